"""The output of one task on the whole screen: found in, saved, with or without times; and where to get all of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input

from core.engine.run_reader import RunReader
from core.errors import WindlassError
from core.model.ids import TaskKey
from core.model.views import TaskInfo
from themes.signs import TASK_SIGNS
from tui import replay_text, words
from tui.bridge import Changes
from tui.look import Chosen, look
from tui.paint import Span
from tui.saving import save_text
from tui.screens.base import Live
from tui.session import Session
from tui.tail import Tail
from tui.widgets.line import SpanLine
from tui.widgets.output import OutputPane

MAX_LINES = 50_000
TAIL_BYTES = 4 * 1024 * 1024


class OutputScreen(Live[None]):
    """Follows the task's output; scrolling back and finding hold it still."""

    FOOTER = ("follow", "find", "next(1)", "wrap", "times", "save", "copy")
    BINDINGS = [
        Binding(
            "f", "follow", "follow", id="out.follow", tooltip="Keep the newest line in view, or hold still"
        ),
        Binding(
            "slash", "find", "find", id="out.find", tooltip="Find a text, from here on and round the end"
        ),
        Binding("n", "next(1)", "next", id="out.next", tooltip="The next line that has it"),
        Binding("N", "next(-1)", "previous", id="out.previous", tooltip="The line before that has it"),
        Binding("t", "times", "times", id="out.times", tooltip="The time of day before each line, or not"),
        Binding(
            "w",
            "wrap",
            "wrap",
            id="out.wrap",
            tooltip="Long lines on several rows, or moved aside by left and right",
        ),
        Binding("s", "save", "save", id="out.save", tooltip="Save the lines that are kept here in a file"),
        Binding(
            "y", "copy", "copy command", id="out.copy", tooltip="Copy the command that prints this output"
        ),
        Binding(
            "escape,q,o", "back", "back", id="out.back", tooltip="Back to the run; a search is ended first"
        ),
    ]
    DEFAULT_CSS = """
    OutputScreen {
        #output { height: 1fr; }
        #find { display: none; border: none; height: 1; padding: 0 1; background: $surface; }
        #find.-open { display: block; }
    }
    """

    def __init__(self, session: Session, run: int, task: TaskKey, source: RunReader | None = None) -> None:
        """`source` is what is read where that is not the engine: the past, which stands still meanwhile."""
        super().__init__(session)
        self.source: RunReader = source or session.engine
        self.number = run
        self.key = task
        self.task_info: TaskInfo | None = None
        self._tail: Tail | None = None

    def body(self) -> ComposeResult:
        yield SpanLine(id="state")
        yield OutputPane(max_lines=MAX_LINES, id="output")
        yield Input(placeholder="a text to find; enter goes to the next line that has it", id="find")

    @property
    def pane(self) -> OutputPane:
        """The output."""
        return self.query_one("#output", OutputPane)

    @property
    def field(self) -> Input:
        """What is looked for."""
        return self.query_one("#find", Input)

    def crumbs(self) -> Sequence[str]:
        return ("runs", str(self.number), str(self.key), "output")

    def on_mount(self) -> None:
        self._tail = Tail(self.source, self.pane, tail_bytes=TAIL_BYTES)
        self.pane.focus()

    async def reload(self, changes: Changes) -> None:
        if not changes.touches(self.number) or self._tail is None:
            return
        task = self.task_info = await self.source.task(self.number, self.key)
        self._show_state()
        await self._tail.show(self.number, task)

    def _show_state(self) -> None:
        """How the task stands, and what is seen of its lines."""
        task, style = self.task_info, look(self)
        if task is None:
            return
        told = style.text(task.why)
        past = [] if self.source is self.session.engine else [*replay_text.sign(style), ("  ", "")]
        left = [*past, style.signed(TASK_SIGNS[task.state]), (f"  {told}", "muted")]
        right: list[Span] = []
        if self.pane.wraps:
            right = [("wrapped", "muted")]
        elif self.pane.column:
            right = [(f"from column {self.pane.column + 1}", "accent")]
        self.query_one("#state", SpanLine).show(left, right)

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        if action == "follow":
            return "hold" if self.pane.follow else "follow"
        if action == "wrap" and self.pane.wraps:
            return "no wrap"
        return "no times" if action == "times" and self.pane.shows_times else ""

    def reason(self, action: str) -> str:
        if action.startswith("next") and not self.field.value:
            return "nothing is looked for: / does"
        return "there is nothing to save" if action == "save" and not len(self.pane.output_lines) else ""

    def on_output_pane_follows(self) -> None:
        self.refresh_keys()

    def action_follow(self) -> None:
        self.pane.set_follow(not self.pane.follow)
        self.refresh_keys()

    def action_find(self) -> None:
        self.field.add_class("-open")
        self.field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.pane.find(event.value)

    def on_input_submitted(self) -> None:
        self.pane.focus()
        self._go_on(1)

    def action_next(self, by: int) -> None:
        if self.allowed("next"):
            self._go_on(by)

    def _go_on(self, by: int) -> None:
        text = self.field.value
        if text and not self.pane.find(text, backwards=by < 0, again=True):
            self.say(f"no line that is kept here has {text!r}")
        self.refresh_keys()

    def action_times(self) -> None:
        self.pane.set_times(not self.pane.shows_times)
        self.refresh_keys()

    def action_wrap(self) -> None:
        style = look(self)
        style.wrap = not style.wrap
        self.post_message(Chosen(wrap=style.wrap))
        self.pane.rewrap()
        self._show_state()
        self.refresh_keys()

    def on_output_pane_shifted(self) -> None:
        self._show_state()

    def action_save(self) -> None:
        if self.allowed("save"):
            self.undertake(self._save, "save")

    async def _save(self) -> None:
        lines = self.pane.output_lines
        kept = [lines[at] for at in range(len(lines))]
        text = "".join(
            f"{words.clock(line.time, seconds=True) + ' ' if line.time and self.pane.shows_times else ''}"
            f"{line.text if line.stream is not None else f'-- {line.text} --'}\n"
            for line in kept
        )
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(look(self).clock()))
        name = f"run-{self.number}-{self.key.step}-{self.key.server}-{stamp}.txt"
        try:
            folder = self.session.workspace.path if self.session.workspace else "."
            path = await asyncio.to_thread(save_text, folder, name, text)
        except (OSError, WindlassError) as error:
            self.say(f"it could not be saved: {error}", bad=True)
            return
        more = "; the oldest were let go: y has the command for all" if lines.forgotten else ""
        self.say(f"{words.plural(len(kept), 'line')} saved in {path}{more}")

    def action_copy(self) -> None:
        self.copy(self.session.command("runs", "logs", str(self.number), str(self.key)))

    def action_back(self) -> None:
        if self.field.has_class("-open"):
            self.field.value = ""
            self.field.remove_class("-open")
            self.pane.focus()
        else:
            self.dismiss(None)
