"""The output of one task on the whole screen: more of it than the run screen keeps, and where to get all of it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding

from core.engine.run_reader import RunReader
from core.model.ids import TaskKey
from themes.signs import TASK_SIGNS
from tui import replay_text
from tui.bridge import Changes
from tui.look import look
from tui.screens.base import Live
from tui.session import Session
from tui.tail import Tail
from tui.widgets.line import SpanLine
from tui.widgets.output import OutputPane

MAX_LINES = 50_000
TAIL_BYTES = 4 * 1024 * 1024


class OutputScreen(Live[None]):
    """Follows the task's output; scrolling back holds it still."""

    FOOTER = ("follow", "copy", "back")
    BINDINGS = [
        Binding(
            "f", "follow", "follow", id="out.follow", tooltip="Keep the newest line in view, or hold still"
        ),
        Binding(
            "y", "copy", "copy command", id="out.copy", tooltip="Copy the command that prints this output"
        ),
        Binding("escape,q,o", "back", "back", id="out.back", tooltip="Back to the run"),
    ]
    DEFAULT_CSS = """
    OutputScreen { #output { height: 1fr; } }
    """

    def __init__(self, session: Session, run: int, task: TaskKey, source: RunReader | None = None) -> None:
        """`source` is what is read where that is not the engine: the past, which stands still meanwhile."""
        super().__init__(session)
        self.source: RunReader = source or session.engine
        self.number = run
        self.key = task
        self._tail: Tail | None = None

    def body(self) -> ComposeResult:
        yield SpanLine(id="state")
        yield OutputPane(max_lines=MAX_LINES, id="output")

    @property
    def pane(self) -> OutputPane:
        """The output."""
        return self.query_one("#output", OutputPane)

    def crumbs(self) -> Sequence[str]:
        return ("runs", str(self.number), str(self.key), "output")

    def on_mount(self) -> None:
        self._tail = Tail(self.source, self.pane, tail_bytes=TAIL_BYTES)
        self.pane.focus()

    async def reload(self, changes: Changes) -> None:
        if not changes.touches(self.number) or self._tail is None:
            return
        task = await self.source.task(self.number, self.key)
        style = look(self)
        sign = TASK_SIGNS[task.state]
        told = style.text(task.why)
        past = [] if self.source is self.session.engine else [*replay_text.sign(style), ("  ", "")]
        self.query_one("#state", SpanLine).show([*past, style.signed(sign), (f"  {told}", "muted")])
        await self._tail.show(self.number, task)

    def label(self, action: str) -> str:
        return ("hold" if self.pane.follow else "follow") if action == "follow" else ""

    def on_output_pane_follows(self) -> None:
        self.refresh_keys()

    def action_follow(self) -> None:
        self.pane.set_follow(not self.pane.follow)
        self.refresh_keys()

    def action_copy(self) -> None:
        self.copy(self.session.command("runs", "logs", str(self.number), str(self.key)))

    def action_back(self) -> None:
        self.dismiss(None)
