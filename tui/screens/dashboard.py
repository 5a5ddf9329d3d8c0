"""The dashboard: what needs someone first, what runs and ran, how servers and configuration stand, what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical

from core.errors import Fault, InputError, WindlassError
from core.model.states import OPEN_RUNS
from core.model.views import RunInfo, ServerInfo
from tui import words
from tui.actions import can_resume
from tui.bridge import Changes
from tui.look import look
from tui.news import News
from tui.overview import Overview, by_provider, overview
from tui.paint import Spans
from tui.screens.base import NARROW, Live
from tui.screens.run import RunScreen
from tui.screens.servers import ServersScreen
from tui.screens.sheets import FaultsSheet
from tui.screens.start import StartSheet
from tui.screens.tiles import (
    EMPTY,
    RUNS,
    TILES,
    BatchesTile,
    ConfigurationTile,
    EventsTile,
    RunsTile,
    ServersTile,
    Tile,
    title_of,
)
from tui.session import Session
from tui.widgets.table import VirtualTable

BROAD = 160
"""From so many columns on there are three columns of tiles."""
THIN, LOW = 64, 20
"""Below so many columns, or rows where it is narrow, only runs are shown; the keys lead to the rest."""
CONFIGURATION_TICKS = 3
"""So many seconds apart it is looked whether a file of the configuration was changed."""


class Dashboard(Live[None]):
    """The first screen. Each tile is a table; enter opens what the cursor stands on, or what the tile is about."""

    FOOTER = ("open", "batches", "servers", "configuration", "resume", "start_servers", "app.leave")
    BINDINGS = [
        Binding("enter", "open", "open", id="dashboard.open", tooltip="Open what the cursor stands on"),
        Binding("left", "beside(-1)", "left", id="tiles.left", tooltip="The tile on the left", show=False,
                priority=True),
        Binding("right", "beside(1)", "right", id="tiles.right", tooltip="The tile on the right", show=False,
                priority=True),
        Binding("b", "batches", "batches", id="dashboard.batches", tooltip="Choose a batch and start it"),
        Binding("i", "servers", "servers", id="dashboard.servers", tooltip="Every server of the workspace"),
        Binding("p", "app.go('providers')", "providers", id="dashboard.providers",
                tooltip="Who lists the servers, and whether that went well"),
        Binding("c", "configuration", "config", id="dashboard.configuration",
                tooltip="The values of the configuration, where each comes from, and changing one"),
        Binding("w", "app.workspaces", "workspace", id="dashboard.workspaces",
                tooltip="The registered workspaces; open another one"),
        Binding("h", "app.go('runs')", "history", id="dashboard.runs", tooltip="Every run, newest first"),
        Binding("e", "app.go('events')", "events", id="dashboard.events", tooltip="What happened, as it happens"),
        Binding("a", "app.go('audit')", "audit", id="dashboard.audit", tooltip="Who decided and changed what"),
        Binding("l", "app.go('log')", "engine log", id="dashboard.log", tooltip="The log of the background engine"),
        Binding("d", "app.go('batches')", "documents", id="dashboard.documents",
                tooltip="The batches and their documents"),
        Binding("r", "resume", "resume", id="dashboard.resume", tooltip="Carry on the chosen run where it stood"),
        Binding("s", "start_servers", "start servers", id="dashboard.start-servers",
                tooltip="Start stopped servers"),
        Binding("q", "app.leave", "leave", id="dashboard.leave", tooltip="Leave Windlass; runs go on"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    Dashboard {
        #needs { max-height: 10; }
        #columns { height: 1fr; layout: horizontal; }
        #left, #right, #work { width: 1fr; height: 1fr; }
        #state { width: 1fr; height: auto; }
        #running { max-height: 8; }
        #recent, #events { height: 1fr; }
        #servers, #configuration { max-height: 7; }
        #batches { max-height: 50%; }
        &.-short #needs, &.-narrow #needs { max-height: 6; }
        &.-short #running, &.-narrow #running { max-height: 5; }
        &.-short #servers, &.-short #configuration { max-height: 4; }
        &.-broad #right { width: 2fr; layout: horizontal; }
        &.-broad #state { height: 1fr; }
        &.-broad #servers, &.-broad #configuration { max-height: 50%; }
        &.-narrow #columns { layout: vertical; }
        &.-narrow #right { height: auto; }
        &.-narrow #state { height: 6; layout: horizontal; }
        &.-narrow #work { height: 10; layout: horizontal; }
        &.-narrow.-short #state { height: 4; }
        &.-narrow.-short #work { height: 5; }
        &.-narrow #right Tile { width: 1fr; height: 1fr; max-height: 100%; }
        &.-thin #right { display: none; }
    }
    """

    def body(self) -> ComposeResult:
        yield RunsTile("needs")
        with Container(id="columns"):
            with Vertical(id="left"):
                yield RunsTile("running")
                yield RunsTile("recent")
            with Container(id="right"):
                with Container(id="state"):
                    yield ServersTile()
                    yield ConfigurationTile()
                with Container(id="work"):
                    yield BatchesTile()
                    yield EventsTile()

    # ------------------------------------------------------------ staying current

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._faults: tuple[Fault, ...] = ()
        self._focused_once = False
        self._stopped = 0
        self._ticks = 0
        self._news = News()

    def on_mount(self) -> None:
        for name in TILES:
            self.entitle(f"#{name}", title_of(name))

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(width >= BROAD, "-broad")
        self.set_class(width < THIN or (width < NARROW and height < LOW), "-thin")

    def crumbs(self) -> Sequence[str]:
        return ("dashboard",)

    def tick(self) -> None:
        super().tick()
        for name in (*RUNS, "events"):
            tile = self._tile(name)
            for at in range(*tile.visible_range()):
                tile.refresh_row(at)
        self._ticks += 1
        if self._ticks % CONFIGURATION_TICKS == 0:
            self._configuration.look_again(self.session)

    def _tile(self, name: str) -> Tile[Any]:
        return self.query_one(f"#{name}", Tile)

    @property
    def _configuration(self) -> ConfigurationTile:
        return self.query_one(ConfigurationTile)

    @property
    def looked(self) -> asyncio.Event:
        """Set once the configuration was looked at."""
        return self._configuration.looked

    async def reload(self, changes: Changes) -> None:
        engine = self.session.engine
        self.session.workspace = workspace = await engine.workspace()
        self.refresh_top()
        found = [*await engine.runs(states=tuple(OPEN_RUNS), limit=100), *await engine.runs(limit=50)]
        self._show_runs(overview(found))
        self._focus_first(*RUNS)
        if changes.servers:
            await self._reload_servers()
            self._show_rows("batches", await engine.batches())
        self._focus_first("batches")
        await self._news.read(engine, workspace)
        self._tile("events").set_items(self._news.events)
        if changes.servers:
            self._configuration.look_again(self.session, anew=changes.many)

    def _show_rows(self, name: str, found: Sequence[Any], subtitle: str = "") -> None:
        """The rows of a tile, and in its frame how many they are."""
        self._tile(name).set_items(found)
        self._entitle_tile(name, len(found), subtitle)

    def _entitle_tile(self, name: str, count: int, subtitle: str = "") -> None:
        title = title_of(name)
        self.entitle(f"#{name}", f"{title} {count}" if count else title, subtitle)

    def _show_runs(self, seen: Overview) -> None:
        here = self.focused
        stood = isinstance(here, RunsTile) and bool(here.items)
        for name, runs in zip(RUNS, (seen.needs, seen.running, seen.recent), strict=True):
            self._show_rows(name, runs)
        if stood and isinstance(here, RunsTile) and not here.items:
            self._focused_once = False  # all that the cursor stood on has gone elsewhere

    async def _reload_servers(self) -> None:
        tile = self._tile("servers")
        try:
            servers: Sequence[ServerInfo] = await self.session.engine.servers()
        except InputError as error:
            self._faults = error.faults
            lines: list[Spans] = [
                [(f"{words.plural(len(error.faults), 'fault')} in the servers' files:", "error")]
            ]
            lines += [[(look(self).text(str(fault)), "")] for fault in error.faults[:3]]
            tile.set_empty(lines)
            self._show_rows("servers", [])
            return
        self._faults = self.session.workspace.faults if self.session.workspace else ()
        lines_by_provider = by_provider(servers)
        self._stopped = sum(line.stopped for line in lines_by_provider)
        tile.set_empty(EMPTY["servers"])
        tile.set_items(lines_by_provider)
        stopped = f"{self._stopped} stopped: s starts them" if self._stopped else ""
        self._entitle_tile("servers", len(servers), stopped)

    def _focus_first(self, *names: str) -> None:
        """The first of these tiles with something in it, once; afterwards the focus is the reader's."""
        for name in names:
            if not self._focused_once and (self._tile(name).items or name == "batches"):
                self._focused_once = True
                self._tile(name).focus()

    # ------------------------------------------------------------ keys

    def _chosen_run(self) -> RunInfo | None:
        tile = self.focused
        if isinstance(tile, RunsTile) and tile.items:
            return tile.chosen
        resumable = [run for run in self._tile("needs").items if can_resume(run)]
        return resumable[0] if resumable else None

    def footer(self) -> Sequence[str]:
        keys = ["open", "batches", "servers"]
        run = self._chosen_run()
        if run is not None and can_resume(run):
            keys.append("resume")
        if self._stopped:
            keys.append("start_servers")
        quiet = len(keys) == 3  # nothing that is to be done now needs the room
        return [*keys, "configuration", *(["app.workspaces"] if quiet else []), "app.leave"]

    def reason(self, action: str) -> str:
        if action == "open":
            return "" if isinstance(self.focused, Tile) else "no tile is chosen"
        if action == "resume":
            run = self._chosen_run()
            return "" if run is not None and can_resume(run) else "the chosen run does not stand still"
        if action == "start_servers":
            return "" if self._stopped else "no server is stopped"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self.refresh_keys()

    def on_virtual_table_edge(self, message: VirtualTable.Edge) -> None:
        """Over the last row the cursor goes on to the next tile."""
        at = TILES.index(message.table.id or TILES[0]) + message.direction
        while 0 <= at < len(TILES):
            tile = self._tile(TILES[at])
            if tile.shown:
                tile.focus()
                return
            at += message.direction

    def action_beside(self, direction: int) -> None:
        """To the tile on the left or on the right, the one that is nearest in height."""
        here = self.focused
        if not isinstance(here, Tile):
            return
        edge = here.region.right if direction > 0 else here.region.x
        others = [
            tile
            for tile in self.query(Tile)
            if tile.shown and (tile.region.x >= edge if direction > 0 else tile.region.right <= edge)
        ]
        nearest = min(
            others,
            key=lambda tile: (abs(tile.region.y - here.region.y), abs(tile.region.x - edge)),
            default=None,
        )
        if nearest is not None:
            nearest.focus()

    def action_open(self) -> None:
        if isinstance(self.focused, Tile):
            self.focused.action_open()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        name, key = message.table.id, message.key
        if name in RUNS and isinstance(key, int):
            self.open_run(key)
        elif name == "batches":
            self.open_start(str(key))
        elif name == "servers":
            self.app.push_screen(ServersScreen(self.session, find=f"provider:{key}"))
        elif name == "configuration":
            self.open_configuration(str(key))
        elif name == "events" and isinstance(key, int):
            from tui.screens.events import EventsScreen

            self.app.push_screen(EventsScreen(self.session, at=key))

    async def on_tile_entered(self, message: Tile.Entered) -> None:
        """Enter where there is no row: to what the tile is about."""
        name = message.tile.id
        if name in ("servers", "configuration"):
            await self.run_action(name)
        else:
            await self.run_action(f"app.go('{'runs' if name in RUNS else name}')")

    def action_batches(self) -> None:
        self.open_start("")

    def action_servers(self) -> None:
        if self._faults:
            self.app.push_screen(FaultsSheet(self.session, "Faults of the workspace", self._faults))
            return
        self.app.push_screen(ServersScreen(self.session))

    def action_configuration(self) -> None:
        self.open_configuration()

    def open_configuration(self, environment: str | None = None) -> None:
        """The values of the configuration, in an environment."""
        # Imported when it is opened: with the configuration's parts it costs the first frame a fifth of a second.
        from tui.screens.configuration import ConfigurationScreen

        self.app.push_screen(ConfigurationScreen(self.session, environment))

    def action_resume(self) -> None:
        run = self._chosen_run()
        if not self.allowed("resume") or run is None:
            return
        number = run.number
        self.perform(
            self.session.engine.resume(number, actor=self.session.actor),
            f"run {number} goes on",
            lambda: self.open_run(number),
        )

    def action_start_servers(self) -> None:
        if not self.allowed("start_servers"):
            return
        self.say("starting servers")

        async def start() -> None:
            try:
                names = await self.session.engine.start_servers()
            except WindlassError as error:
                self.say_error(error)
            else:
                self.say(f"{words.plural(len(names), 'server')} running")
            self.needs_reload(Changes(servers=True))

        self.undertake(start, "servers")

    def open_run(self, number: int) -> None:
        """The live screen of a run."""
        self.app.push_screen(RunScreen(self.session, number))

    def open_start(self, batch: str) -> None:
        """The start sheet; the run that it started is shown live."""

        def started(number: int | None) -> None:
            if number is not None:
                self.open_run(number)

        self.app.push_screen(StartSheet(self.session, batch), started)
