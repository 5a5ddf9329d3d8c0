"""What happened in the workspace, newest last, as it happens."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from core.model.events import Event
from tui.bridge import Changes
from tui.event_text import QUIET, event_detail, event_row, said, subject
from tui.look import look
from tui.paint import Spans
from tui.screens.listing import Listing
from tui.screens.run import RunScreen
from tui.session import Session
from tui.widgets.table import Column

PAGE = 1000
KEPT = 20_000


class EventsScreen(Listing[Event]):
    """The event log. Output and phases of tasks, which come by the thousand, are left out.

    It begins at the event `at` (its number), else at the newest one, and follows that.
    """

    WHAT = "events"
    HINT = "run 41, failed, web-3, a type such as run.state"
    COLUMNS = (
        Column("time", 8),
        Column("run", 8),
        Column("", 1),
        Column("about", 24, min_table=70),
        Column("what happened"),
    )

    def __init__(self, session: Session, find: str = "", *, at: int | None = None) -> None:
        super().__init__(session, find)
        self._at = at
        self._newest = -1
        self._oldest = 0

    async def reload(self, changes: Changes) -> None:
        engine = self.session.engine
        follows = self.table.cursor >= len(self.table.items) - 1
        if self._newest < 0:
            last = (await engine.workspace()).last_seq
            self._oldest = self._newest = max(0, last - PAGE)
            self.all_read = self._oldest == 0
        while page := await engine.events(self._newest, limit=PAGE):
            self.rows += [event for event in page if event.type not in QUIET]
            self._newest = page[-1].seq
        if len(self.rows) > KEPT:
            del self.rows[: len(self.rows) - KEPT]
            self._oldest, self.all_read = self.rows[0].seq - 1, False
        self.show()
        at, self._at = self._at, None
        if (at is None or not self.table.choose(at)) and follows and self.table.items:
            self.table.choose(self.table.items[-1].seq)

    async def read_older(self) -> None:
        """A page of what is older."""
        begin = max(0, self._oldest - PAGE)
        page = await self.session.engine.events(begin, limit=self._oldest - begin)
        older = [event for event in page if event.seq <= self._oldest and event.type not in QUIET]
        self.rows = [*older, *self.rows]
        self._oldest, self.all_read = begin, begin == 0

    def key_of(self, item: Event) -> Hashable:
        return item.seq

    def cells(self, item: Event) -> Sequence[Spans]:
        return event_row(item, look(self))

    def text_of(self, item: Event) -> str:
        run = f"run {item.run}" if item.run is not None else ""
        return f"{run} {item.type} {subject(item)} {said(item)} {item.actor}"

    def detail(self, item: Event) -> list[Spans]:
        return event_detail(item, look(self), self.size.width)

    def nothing(self) -> list[Spans]:
        return [
            [("Nothing has happened here yet. A run, and whatever is done to it, is told here.", "muted")]
        ]

    def opened(self, item: Event) -> None:
        if item.run is None:
            self.say("this event belongs to no run")
        else:
            self.app.push_screen(RunScreen(self.session, item.run))

    def reason(self, action: str) -> str:
        if action == "open" and self.table.chosen is not None and self.table.chosen.run is None:
            return "this event belongs to no run"
        return super().reason(action)

    def command(self) -> Sequence[str]:
        chosen = self.table.chosen
        run = str(chosen.run) if chosen is not None and chosen.run is not None else ""
        return ("runs", "watch", *([run] if run else []), "--json")
