"""Every run of the workspace, newest first."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from core.model.actors import place
from core.model.views import RunInfo
from themes.signs import run_sign
from tui import rows, words
from tui.bridge import Changes
from tui.look import look
from tui.paint import Spans
from tui.screens.listing import Listing, entry
from tui.screens.run import RunScreen
from tui.widgets.table import Column

PAGE = 200


class RunsScreen(Listing[RunInfo]):
    """The list of runs."""

    WHAT = "runs"
    HINT = "failed, a batch, prod, 41, who started it"
    COLUMNS = (
        Column("", 1),
        Column("run", 6, right=True),
        Column("batch", 16),
        Column("state"),
        Column("tasks", 11, right=True),
        Column("took", 7, right=True, min_table=90),
        Column("started", 8, right=True),
        Column("by", 22, min_table=100),
    )

    async def reload(self, changes: Changes) -> None:
        newest = await self.session.engine.runs(limit=PAGE)
        older = [run for run in self.rows if newest and run.number < newest[-1].number]
        self.rows = [*newest, *older]
        self.all_read = self.all_read or len(newest) < PAGE
        self.show()

    async def read_older(self) -> None:
        """A page of older runs."""
        page = await self.session.engine.runs(limit=PAGE, before=self.rows[-1].number)
        self.rows += page
        self.all_read = len(page) < PAGE

    def tick(self) -> None:
        super().tick()
        for at in range(*self.table.visible_range()):
            if self.table.items[at].ended is None:
                self.table.refresh_row(at)

    def key_of(self, item: RunInfo) -> Hashable:
        return item.number

    def cells(self, item: RunInfo) -> Sequence[Spans]:
        return rows.run_row(item, look(self))

    def text_of(self, item: RunInfo) -> str:
        word = run_sign(item.state, interrupted=item.interrupted).word
        return f"{item.number} {item.batch} {word} {item.environment} {item.actor} {item.why}"

    def detail(self, item: RunInfo) -> list[Spans]:
        clean = look(self).text
        lines = [
            entry("started", [(clean(f"{words.stamp(item.created)} by {place(item.actor)}"), "")]),
            entry("batch", [(clean(item.path), "")]),
        ]
        if item.environment:
            lines.append(entry("environ.", [(clean(item.environment), "bold")]))
        if item.why:
            lines.append(entry("why", [(clean(item.why), "")]))
        if item.controller:
            lines.append(entry("control", [(clean(place(item.controller)), "accent")]))
        return lines

    def nothing(self) -> list[Spans]:
        return [
            [
                ("A run is one execution of a batch. ", "muted"),
                ("b", "bold accent"),
                (" on the dashboard", "muted"),
            ],
            [("starts the first one.", "muted")],
        ]

    def opened(self, item: RunInfo) -> None:
        self.app.push_screen(RunScreen(self.session, item.number))

    def command(self) -> Sequence[str]:
        return ("runs", "list")
