"""The tiles of the dashboard: a table in a frame each, which leads to its screen also where there is no row in it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from textual.message import Message

from core.model.events import Event
from core.model.views import BatchInfo, RunInfo
from tui import rows, tiles
from tui.look import Look, look
from tui.overview import ProviderLine, Standing
from tui.paint import Spans
from tui.session import Session
from tui.widgets.table import Column, VirtualTable

Item = TypeVar("Item")

TILES = ("needs", "running", "recent", "servers", "configuration", "batches", "events")
"""In the order in which tab goes round them."""
RUNS = ("needs", "running", "recent")
TITLES: Mapping[str, str] = {"needs": "Needs you"}

STARTS_ONE: Spans = [("b", "bold accent"), (" starts one", "muted")]
EMPTY: Mapping[str, Sequence[Spans]] = {
    "needs": [[("Nothing needs you. What fails, stands or is in doubt comes here.", "muted")]],
    "running": [[("No run is executing. ", "muted"), *STARTS_ONE]],
    "recent": [[("Runs that have ended stand here.", "muted")]],
    "servers": [
        [("Servers are what batches work on.", "muted")],
        [("List them in servers/NAME.yaml.", "muted")],
    ],
    "configuration": [
        [("Values that batches use, in layers.", "muted")],
        [("c", "bold accent"), (" tells how to set the first one", "muted")],
    ],
    "batches": [
        [("Batches are the work, in steps.", "muted")],
        [("Write one as batches/NAME.yaml.", "muted")],
    ],
    "events": [
        [("What happens is told here.", "muted")],
        [("b", "bold accent"), (" starts a run", "muted")],
    ],
}
"""What each is for, and what makes the first one."""


def title_of(tile: str) -> str:
    """What a tile is called in its frame."""
    return TITLES.get(tile, tile.capitalize())


class Tile(VirtualTable[Item]):
    """A table that tells as well where somebody wants to open it and there is no row."""

    DEFAULT_CSS = """
    Tile { border: $frame $line; border-title-color: $foreground; height: auto; border-subtitle-color: $warning; }
    Tile:focus { border: $frame $line-focus; }
    """

    @dataclass
    class Entered(Message):
        """Enter on a tile without rows."""

        tile: Tile[Any]

        @property
        def control(self) -> Tile[Any]:
            return self.tile

    def __init__(
        self,
        id: str,
        columns: Sequence[Column],
        *,
        key: Callable[[Item], Any],
        cells: Callable[[Item], Sequence[Spans]],
    ) -> None:
        super().__init__(columns, key=key, cells=cells, header=False, quiet=True, empty=EMPTY[id], id=id)

    def on_mount(self) -> None:
        self._resize_rows()  # for what stands there before there are rows

    def action_open(self) -> None:
        if self.items:
            super().action_open()
        else:
            self.post_message(self.Entered(self))

    @property
    def shown(self) -> bool:
        """False where there is no room for it on this terminal."""
        return all(node.display for node in self.ancestors_with_self)


class RunsTile(Tile[RunInfo]):
    """Runs, one of three kinds."""

    COLUMNS: Mapping[str, Sequence[Column]] = {
        "needs": (
            Column("", 1),
            Column("", 8),
            Column("", 16),
            Column(""),
            Column("", 8, right=True, min_table=50),
        ),
        "running": (
            Column("", 1),
            Column("", 8),
            Column(""),
            Column("", rows.BAR_CELLS),
            Column("", 4, right=True),
            Column("", 11, right=True, min_table=56),
            Column("", 7, right=True, min_table=70),
        ),
        "recent": (
            Column("", 1),
            Column("", 8),
            Column(""),
            Column("", 15, right=True),
            Column("", 7, right=True, min_table=66),
            Column("", 8, right=True, min_table=50),
        ),
    }
    ROWS: Mapping[str, Callable[[RunInfo, Look], Sequence[Spans]]] = {
        "needs": rows.needs_row,
        "running": rows.running_row,
        "recent": rows.recent_row,
    }

    def __init__(self, id: str) -> None:
        row = self.ROWS[id]
        super().__init__(
            id, self.COLUMNS[id], key=lambda run: run.number, cells=lambda run: row(run, look(self))
        )


class ServersTile(Tile[ProviderLine]):
    """Servers by provider, state and reachability."""

    def __init__(self) -> None:
        super().__init__(
            "servers",
            (Column("provider", 8), Column("servers", 5, right=True), Column("states")),
            key=lambda line: line.provider,
            cells=lambda line: tiles.provider_row(line, look(self), self.column_width(2)),
        )


class BatchesTile(Tile[BatchInfo]):
    """The batches that can be started."""

    def __init__(self) -> None:
        super().__init__(
            "batches",
            (Column("batch", 16), Column("steps", 9, min_table=50), Column("description")),
            key=lambda batch: batch.name,
            cells=lambda batch: rows.batch_row(batch, look(self)),
        )


class EventsTile(Tile[Event]):
    """The newest events that are worth a glance."""

    def __init__(self) -> None:
        super().__init__(
            "events",
            (Column("", 1), Column("what happened"), Column("", 7, right=True)),
            key=lambda event: event.seq,
            cells=lambda event: tiles.event_row(event, look(self)),
        )


class ConfigurationTile(Tile[Standing]):
    """How the configuration stands in each environment. It is read beside everything else, once its files changed."""

    def __init__(self) -> None:
        super().__init__(
            "configuration",
            (Column("environment", 9), Column("state", 10), Column("values")),
            key=lambda standing: standing.environment,
            cells=lambda standing: tiles.standing_row(standing, look(self), self.column_width(2)),
        )
        self.set_empty([[("Reading the configuration", "muted")]])
        self.looked = asyncio.Event()
        """Set once the configuration was looked at."""
        self._looking = False
        self._stamp: Any = None

    def look_again(self, session: Session, *, anew: bool = False) -> None:
        """Reads the configuration where its files were changed since, or `anew`; nothing while it is being read."""
        if not self._looking and session.workspace is not None:
            self._looking = True
            if anew:
                self._stamp = None
            self.run_worker(self._look(session, Path(session.workspace.path)), group="configuration")

    async def _look(self, session: Session, folder: Path) -> None:
        try:
            # Imported when it is looked at: with its parts it costs the first frame a fifth of a second.
            configuration = await asyncio.to_thread(importlib.import_module, "tui.configuration")
            stamp = await asyncio.to_thread(configuration.stamp, folder)
            if stamp != self._stamp:
                servers = configuration.servers_of(session.engine)
                found = await asyncio.to_thread(configuration.standings, folder, servers)
                self.set_empty(EMPTY["configuration"])
                self.set_items([] if all(each.untouched for each in found) else found)
                self._stamp = stamp
        finally:
            self._looking = False
            self.looked.set()
