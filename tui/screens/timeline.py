"""The timeline of a run: who took how long, what waited for what, and what determined the end.

It reads the run's events once and what came since when something changes; all arithmetic is in `core.model.timeline`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from core.model.timeline import Bar, Timeline, Trace, timeline
from core.model.views import RunInfo, StepNeed, TaskInfo
from tui import actions, timeline_text, words
from tui.bridge import EVERYTHING, Changes
from tui.look import look
from tui.paint import Spans
from tui.screens.base import Live
from tui.session import Session
from tui.widgets.line import SpanLine
from tui.widgets.table import Column, VirtualTable

PAGE = 1000
BAR_COLUMN = 5
DRAWN_AT_MOST_EVERY_S = 1.0
"""Of a run that goes on, the whole timeline is worked out again at most so often."""
MOST_LINES = 8


class TimelineScreen(Live[None]):
    """Bars by step; enter goes into one. `b` takes servers instead of steps, `s` puts the longest first."""

    FOOTER = ("open", "sort", "servers", "to_run", "back")
    BINDINGS = [
        Binding("s", "sort", "longest first", id="timeline.sort", tooltip="The longest first, or in order"),
        Binding("b", "servers", "by server", id="timeline.servers", tooltip="Bars by server, or by step"),
        Binding(
            "escape,q", "back", "back", id="timeline.back", tooltip="Out of the step, or back to the run"
        ),
        Binding("v", "to_run", "run", id="timeline.run", tooltip="Back to the run"),
    ]
    DEFAULT_CSS = """
    TimelineScreen {
        #panel { border: $frame $line; border-title-color: $foreground; height: 1fr; }
        #axis { color: $muted; }
        #bars { height: 1fr; }
        #path { height: auto; max-height: 8; padding: 0 1; }
        &.-short #path { max-height: 4; }
    }
    """

    def __init__(self, session: Session, number: int) -> None:
        super().__init__(session)
        self.number = number
        self.run_info: RunInfo | None = None
        self.line: Timeline | None = None
        self._needs: Sequence[StepNeed] = ()
        self._steps: list[str] = []
        self._trace = Trace()
        self._events = 0
        self._drawn_at = 0.0
        self._late = False
        self._by_server = False
        self._inside = ""
        self._longest = False

    def body(self) -> ComposeResult:
        yield SpanLine(id="state")
        yield SpanLine(id="axis")
        yield VirtualTable[Bar](
            (
                Column("", 1),
                Column("name", 20),
                Column("", 4, right=True),
                Column("took", 7, right=True),
                Column("queued", 7, right=True, min_table=90),
                Column(""),
            ),
            key=lambda bar: bar.name,
            cells=self._cells,
            empty=[[("Nothing has started: bars will appear here.", "muted")]],
            id="bars",
        )
        yield SpanLine(id="legend")
        yield Static("", id="path")

    @property
    def bars(self) -> VirtualTable[Bar]:
        """The bars."""
        return self.query_one("#bars", VirtualTable)

    def crumbs(self) -> Sequence[str]:
        name = f"{self.number} {self.run_info.batch}" if self.run_info else str(self.number)
        return ("runs", name, "timeline", *([self._inside] if self._inside else []))

    def on_mount(self) -> None:
        self.query_one("#state", SpanLine).show([("reading the events of the run", "muted")])
        self.bars.focus()

    def _cells(self, bar: Bar) -> Sequence[Spans]:
        if self.line is None:
            return []
        name = bar.name
        if self._inside and bar.key is not None:
            name = bar.key.step if self._by_server else bar.key.server
        return timeline_text.row(bar, self.line, self.bars.column_width(BAR_COLUMN), look(self), name)

    # ------------------------------------------------------------ staying current

    async def reload(self, changes: Changes) -> None:
        if not changes.touches(self.number) and self.run_info is not None:
            return
        if time.monotonic() - self._drawn_at < DRAWN_AT_MOST_EVERY_S:
            self._late = True  # the tick draws it
            return
        engine = self.session.engine
        if self.session.workspace is None:
            self.session.workspace = await engine.workspace()
        run = await engine.run(self.number)
        steps = await engine.steps(self.number)
        if self.run_info is None:
            self._needs = await engine.step_needs(self.number)
        tasks: list[TaskInfo] = []
        while page := await engine.tasks(self.number, after=tasks[-1].index if tasks else -1, limit=PAGE):
            tasks += page
            if len(page) < PAGE:
                break
        await self._read_events()
        self._steps = [step.name for step in steps]
        self.run_info = run
        found = await asyncio.to_thread(
            timeline, run, steps, tasks, self._needs, self._trace, look(self).clock()
        )
        self.line = found
        self._drawn_at = time.monotonic()
        self._late = False
        self._draw()

    async def _read_events(self) -> None:
        engine = self.session.engine
        while True:
            page = await engine.events(self._trace.seq, run=self.number, limit=PAGE)
            for event in page:
                self._trace.note(event)
            self._events += len(page)
            if len(page) < PAGE:
                return
            told = look(self).own(f"reading the events of the run: {self._events:,} so far")
            self.query_one("#state", SpanLine).show([(told, "muted")])
            await asyncio.sleep(0)

    def tick(self) -> None:
        super().tick()
        going = self.run_info is not None and actions.is_executing(self.run_info)
        if self._late or going:
            self.needs_reload(EVERYTHING)

    # ------------------------------------------------------------ drawing

    def _shown(self) -> list[Bar]:
        line = self.line
        if line is None:
            return []
        if self._inside:
            bars = line.of_server(self._inside) if self._by_server else line.of_step(self._inside)
        else:
            bars = line.by_server() if self._by_server else line.by_step(self._steps)
        return timeline_text.longest_first(bars) if self._longest else bars

    def _draw(self, cursor: str | None = None) -> None:
        line, run, style = self.line, self.run_info, look(self)
        if line is None or run is None:
            return
        bars = self._shown()
        self.bars.set_items(bars, cursor=cursor)
        self.bars.refresh()
        self.call_after_refresh(self._draw_axis)
        what = "server" if self._by_server != bool(self._inside) else "step"
        where = f"{self._inside}: " if self._inside else ""
        order = "longest first" if self._longest else "in order"
        told = f"{where}{words.plural(len(bars), what)}, {order}"
        took = words.duration(line.end - line.start) or "0s"
        so_far = " so far" if run.ended is None else ""
        self.query_one("#state", SpanLine).show(
            [(style.text(told), "bold")], [(f"{took}{so_far}", ""), ("  from ", "muted"), *self._from(line)]
        )
        self.query_one("#legend", SpanLine).show(timeline_text.legend(line, style))
        width = max(20, self.size.width - 2)
        lines = timeline_text.path_lines(line, run.ended is None, style, width, most=MOST_LINES)
        self.set_text("#path", lines)
        self.refresh_top()

    def _from(self, line: Timeline) -> Spans:
        return [(words.clock(line.start, seconds=True), "muted")]

    def _draw_axis(self) -> None:
        if self.line is None or not self.query("#axis"):
            return
        cells = self.bars.column_width(BAR_COLUMN)
        told = timeline_text.axis(self.line.start, self.line.end, cells)
        left = self.bars.size.width - self.bars.scrollable_content_region.width
        line = self.query_one("#axis", SpanLine)
        line.styles.padding = (0, max(0, left), 0, 0)
        line.show([], [(told, "muted")])

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        if action == "sort":
            return "in order" if self._longest else "longest first"
        if action == "servers":
            return "by step" if self._by_server else "by server"
        if action == "back":
            return "out" if self._inside else "back"
        return ""

    def reason(self, action: str) -> str:
        if action == "open" and self._inside:
            return "these are single tasks: esc leads out"
        return ""

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        if not self._inside:
            self._inside = str(message.key)
            self._draw()
            self.bars.action_to(0)
            self.refresh_keys()

    def action_sort(self) -> None:
        self._longest = not self._longest
        self._draw()
        self.refresh_keys()

    def action_servers(self) -> None:
        self._by_server, self._inside = not self._by_server, ""
        self._draw()
        self.refresh_keys()

    def action_back(self) -> None:
        if self._inside:
            self._inside, before = "", self._inside
            self._draw(before)
            self.refresh_keys()
        else:
            self.dismiss(None)

    def action_to_run(self) -> None:
        self.dismiss(None)
