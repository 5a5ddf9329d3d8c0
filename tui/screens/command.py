"""The command bar: a line at the bottom, what it could become above it, and what was typed before."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from core.errors import InputError
from tui.commands import Offer, offers, parse
from tui.look import look
from tui.paint import Spans
from tui.screens.base import Sheet
from tui.session import Session

OFFERED = 8


class CommandBar(Sheet[str]):
    """Ends with the line that was entered, which can be parsed; None where it was left.

    `read_words` gives those that a command may be given, while it is typed already; `before` is what was entered
    earlier, newest last.
    """

    FOOTER = ("run", "complete", "close")
    BINDINGS = [
        Binding("enter", "run", "go", id="command.run", tooltip="Do it"),
        Binding(
            "tab",
            "complete",
            "complete",
            id="command.complete",
            tooltip="Take the first offer",
            priority=True,
        ),
        Binding(
            "up", "older(-1)", "earlier", id="command.earlier", tooltip="What was entered before", show=False
        ),
        Binding(
            "down", "older(1)", "later", id="command.later", tooltip="What was entered after it", show=False
        ),
        Binding("escape", "close", "back", id="command.close", tooltip="Leave without doing anything"),
    ]
    DEFAULT_CSS = """
    CommandBar {
        align: center bottom;
        #sheet { width: 100%; max-width: 100%; height: auto; }
        #offers { height: auto; padding: 0 1; }
        #line { border: none; height: 1; margin: 0 1; background: $surface; }
        #wrong { height: auto; padding: 0 1; color: $error; display: none; }
        #wrong.-told { display: block; }
        #keys { margin-top: 0; }
    }
    """

    def __init__(
        self,
        session: Session,
        read_words: Callable[[], Awaitable[Mapping[str, Sequence[tuple[str, str]]]]],
        before: Sequence[str],
    ) -> None:
        super().__init__(session)
        self._read_words = read_words
        self._words: Mapping[str, Sequence[tuple[str, str]]] = {}
        self._before = list(before)
        self._at = len(self._before)
        self._offered: list[Offer] = []

    def sheet(self) -> ComposeResult:
        yield Static("", id="offers")
        yield Static("", id="wrong")
        yield Input(placeholder="a command, or the number of a run", id="line", select_on_focus=False)

    def on_mount(self) -> None:
        self.entitle("#sheet", "Go to")
        self.query_one("#line").focus()
        self._offer("")
        self.undertake(self._learn, "words")

    async def _learn(self) -> None:
        self._words = await self._read_words()
        self._offer(self._line.value)

    @property
    def _line(self) -> Input:
        return self.query_one("#line", Input)

    def on_input_changed(self, event: Input.Changed) -> None:
        self._offer(event.value)
        self._tell("")

    def _offer(self, line: str) -> None:
        clean = look(self).text
        self._offered = offers(line, self._words, OFFERED)
        lines: list[Spans] = [
            [("  " if at else "> ", "accent"), (clean(offer.told), "" if at else "bold")]
            for at, offer in enumerate(self._offered)
        ]
        self.set_text("#offers", lines)

    def _tell(self, why: str) -> None:
        self.query_one("#wrong").set_class(bool(why), "-told")
        self.set_text("#wrong", [[(look(self).text(why), "error")]])

    def on_input_submitted(self) -> None:
        self.action_run()

    def action_run(self) -> None:
        line = self._line.value.strip()
        if not line:
            self.dismiss(None)
            return
        try:
            parse(line)
        except InputError as error:
            self._tell(f"{error.message}: {error.hint}" if error.hint else error.message)
            return
        self.dismiss(line)

    def action_complete(self) -> None:
        if self._offered:
            self._line.value = self._offered[0].line
            self._line.cursor_position = len(self._line.value)

    def action_older(self, by: int) -> None:
        if self._before:
            self._at = max(0, min(len(self._before), self._at + by))
            self._line.value = self._before[self._at] if self._at < len(self._before) else ""
            self._line.cursor_position = len(self._line.value)

    def action_close(self) -> None:
        """Leaves at once, also from the field."""
        self.dismiss(None)
