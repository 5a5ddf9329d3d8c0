"""The dashboard: what needs someone first, then what runs, what ran, what can be started, and the servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical

from core.errors import Fault, InputError, WindlassError
from core.model.states import OPEN_RUNS
from core.model.views import BatchInfo, RunInfo, ServerInfo
from tui import rows, words
from tui.actions import can_resume
from tui.bridge import Changes
from tui.look import Look, look
from tui.overview import Overview, ProviderLine, by_provider, overview
from tui.paint import Spans
from tui.screens.base import Live
from tui.screens.run import RunScreen
from tui.screens.servers import ServersScreen
from tui.screens.sheets import FaultsSheet
from tui.screens.start import StartSheet
from tui.widgets.table import Column, VirtualTable

PANELS = ("needs", "running", "recent", "batches", "servers")


class Dashboard(Live[None]):
    """The first screen. Panels are tables; enter opens what the cursor stands on."""

    FOOTER = ("open", "batches", "servers", "configuration", "resume", "start_servers", "app.leave")
    BINDINGS = [
        Binding(
            "enter", "open", "open", id="dashboard.open", tooltip="Open the chosen run, batch or provider"
        ),
        Binding("b", "batches", "batches", id="dashboard.batches", tooltip="Choose a batch and start it"),
        Binding("i", "servers", "servers", id="dashboard.servers", tooltip="Every server of the workspace"),
        Binding(
            "c",
            "configuration",
            "config",
            id="dashboard.configuration",
            tooltip="The values of the configuration, where each comes from, and changing one",
        ),
        Binding(
            "w",
            "app.workspaces",
            "workspace",
            id="dashboard.workspaces",
            tooltip="The registered workspaces; open another one",
        ),
        Binding("h", "app.go('runs')", "history", id="dashboard.runs", tooltip="Every run, newest first"),
        Binding(
            "e", "app.go('events')", "events", id="dashboard.events", tooltip="What happened, as it happens"
        ),
        Binding(
            "a", "app.go('audit')", "audit", id="dashboard.audit", tooltip="Who decided and changed what"
        ),
        Binding(
            "l", "app.go('log')", "engine log", id="dashboard.log", tooltip="The log of the background engine"
        ),
        Binding(
            "d",
            "app.go('batches')",
            "documents",
            id="dashboard.documents",
            tooltip="The batches and their documents",
        ),
        Binding(
            "r", "resume", "resume", id="dashboard.resume", tooltip="Carry on the chosen run where it stood"
        ),
        Binding(
            "s",
            "start_servers",
            "start servers",
            id="dashboard.start-servers",
            tooltip="Start stopped servers",
        ),
        Binding(
            "q",
            "app.leave",
            "leave",
            id="dashboard.leave",
            tooltip="Leave Windlass; asks while a run executes",
        ),
    ]
    DEFAULT_CSS = """
    Dashboard {
        VirtualTable { border: $frame $line; border-title-color: $foreground; height: auto;
            border-subtitle-color: $warning; }
        VirtualTable:focus { border: $frame $line-focus; }
        #needs { max-height: 10; }
        #columns { height: 1fr; layout: horizontal; }
        #left { width: 1fr; height: 1fr; }
        #right { width: 1fr; height: 1fr; }
        #running { max-height: 8; }
        #recent { height: 1fr; }
        #batches { max-height: 60%; }
        &.-narrow #columns { layout: vertical; }
        &.-narrow #left { height: 1fr; }
        &.-narrow #right { height: auto; max-height: 12; }
        &.-narrow #needs { max-height: 6; }
        &.-narrow #running { max-height: 5; }
        &.-narrow #batches { max-height: 7; }
        &.-narrow #servers { max-height: 5; }
    }
    """

    def body(self) -> ComposeResult:
        yield self._runs_table("needs", rows.needs_row, (1, 8, 16, 0, 8))
        with Container(id="columns"):
            with Vertical(id="left"):
                yield self._runs_table("running", rows.running_row, (1, 8, 0, rows.BAR_CELLS, 4, 7))
                yield self._runs_table("recent", rows.recent_row, (1, 8, 0, 15, 7, 8))
            with Vertical(id="right"):
                yield VirtualTable[BatchInfo](
                    (Column("batch", 20), Column("steps", 9), Column("description")),
                    key=lambda batch: batch.name,
                    cells=lambda batch: rows.batch_row(batch, look(self)),
                    header=False,
                    quiet=True,
                    id="batches",
                )
                yield VirtualTable[ProviderLine](
                    (Column("provider", 10), Column("servers", 5, right=True), Column("states")),
                    key=lambda line: line.provider,
                    cells=lambda line: rows.provider_row(line, look(self)),
                    header=False,
                    quiet=True,
                    id="servers",
                )

    def _runs_table(
        self, name: str, row: Callable[[RunInfo, Look], Sequence[Spans]], widths: Sequence[int]
    ) -> VirtualTable[RunInfo]:
        last = len(widths) - 1
        columns = [
            Column(
                "",
                width,
                right=at == last or (name != "needs" and at == last - 1),
                min_table=66 if name == "recent" and at == last - 1 else 0,
            )
            for at, width in enumerate(widths)
        ]
        return VirtualTable[RunInfo](
            columns,
            key=lambda run: run.number,
            cells=lambda run: row(run, look(self)),
            header=False,
            quiet=True,
            id=name,
        )

    # ------------------------------------------------------------ staying current

    def on_mount(self) -> None:
        self._faults: tuple[Fault, ...] = ()
        self._focused_once = False
        for name in PANELS:
            self.entitle(f"#{name}", name.replace("needs", "needs you").capitalize())

    def crumbs(self) -> Sequence[str]:
        return ("dashboard",)

    def tick(self) -> None:
        super().tick()
        for name in ("needs", "running", "recent"):
            table = self._table(name)
            for at in range(*table.visible_range()):
                table.refresh_row(at)

    def _table(self, name: str) -> VirtualTable[RunInfo]:
        return self.query_one(f"#{name}", VirtualTable)

    async def reload(self, changes: Changes) -> None:
        engine = self.session.engine
        self.session.workspace = await engine.workspace()
        self.refresh_top()
        found = [*await engine.runs(states=tuple(OPEN_RUNS), limit=100), *await engine.runs(limit=50)]
        self._show_runs(overview(found))
        self._leave_empty()
        self._focus_first("needs", "running", "recent")
        if changes.servers:
            await self._reload_servers()
            self._show_batches(await engine.batches())
        self._focus_first("batches")

    def _show_runs(self, seen: Overview) -> None:
        key_b = [("b", "bold accent"), (" starts one", "muted")]
        for name, runs, empty in (
            ("needs", seen.needs, [[("Nothing needs you.", "muted")]]),
            ("running", seen.running, [[("No run is executing. ", "muted"), *key_b]]),
            ("recent", seen.recent, [[("Runs that have ended stand here.", "muted")]]),
        ):
            table = self._table(name)
            table.set_empty(empty)
            table.set_items(runs)
            title = name.replace("needs", "needs you").capitalize()
            self.entitle(f"#{name}", f"{title} {len(runs)}" if runs else title)

    async def _reload_servers(self) -> None:
        table: VirtualTable[ProviderLine] = self.query_one("#servers", VirtualTable)
        try:
            servers: Sequence[ServerInfo] = await self.session.engine.servers()
        except InputError as error:
            self._faults = error.faults
            lines: list[Spans] = [
                [(f"{words.plural(len(error.faults), 'fault')} in the servers' files:", "error")]
            ]
            lines += [[(look(self).text(str(fault)), "")] for fault in error.faults[:3]]
            table.set_empty(lines)
            table.set_items([])
            return
        self._faults = self.session.workspace.faults if self.session.workspace else ()
        lines_by_provider = by_provider(servers)
        self._stopped = sum(line.stopped for line in lines_by_provider)
        table.set_empty(
            [
                [("Servers are what batches work on.", "muted")],
                [("List them in servers/NAME.yaml.", "muted")],
            ]
        )
        table.set_items(lines_by_provider)
        stopped = f"{self._stopped} stopped: s starts them" if self._stopped else ""
        self.entitle("#servers", f"Servers {len(servers)}" if servers else "Servers", stopped)

    _stopped = 0

    def _show_batches(self, batches: Sequence[BatchInfo]) -> None:
        table: VirtualTable[BatchInfo] = self.query_one("#batches", VirtualTable)
        table.set_empty(
            [
                [("Batches are the work to be done, in steps.", "muted")],
                [("Write one as batches/NAME.yaml.", "muted")],
            ]
        )
        table.set_items(list(batches))
        self.entitle("#batches", f"Batches {len(batches)}" if batches else "Batches")

    def _leave_empty(self) -> None:
        """Lets the focus go on to what there is, where all that it stood on has gone elsewhere."""
        table = self.focused
        if isinstance(table, VirtualTable) and table.id in {"needs", "running", "recent"} and not table.items:
            self._focused_once = False

    def _focus_first(self, *names: str) -> None:
        """The first of these panels with something in it, once; afterwards the focus is the reader's."""
        for name in names:
            if not self._focused_once and (self._table(name).items or name == "batches"):
                self._focused_once = True
                self._table(name).focus()

    # ------------------------------------------------------------ keys

    def _chosen_run(self) -> RunInfo | None:
        table = self.focused
        if isinstance(table, VirtualTable) and table.id in {"needs", "running", "recent"} and table.items:
            chosen = table.chosen
            return chosen if isinstance(chosen, RunInfo) else None
        resumable = [run for run in self._table("needs").items if can_resume(run)]
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
            table = self.focused
            return "" if isinstance(table, VirtualTable) and table.items else "nothing is chosen"
        if action == "resume":
            run = self._chosen_run()
            return "" if run is not None and can_resume(run) else "the chosen run does not stand still"
        if action == "start_servers":
            return "" if self._stopped else "no server is stopped"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self.refresh_keys()

    def on_virtual_table_edge(self, message: VirtualTable.Edge) -> None:
        """Over the last row the cursor goes on to the next panel."""
        at = PANELS.index(message.table.id or PANELS[0]) + message.direction
        while 0 <= at < len(PANELS):
            if self._table(PANELS[at]).items:
                self._table(PANELS[at]).focus()
                return
            at += message.direction

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        name, key = message.table.id, message.key
        if name in {"needs", "running", "recent"} and isinstance(key, int):
            self.open_run(key)
        elif name == "batches":
            self.open_start(str(key))
        elif name == "servers":
            self.app.push_screen(ServersScreen(self.session, find=f"provider:{key}"))

    def action_batches(self) -> None:
        self.open_start("")

    def action_servers(self) -> None:
        if self._faults:
            self.app.push_screen(FaultsSheet(self.session, "Faults of the workspace", self._faults))
            return
        self.app.push_screen(ServersScreen(self.session))

    def action_configuration(self) -> None:
        # Imported when it is opened: with the configuration's parts it costs the first frame a fifth of a second.
        from tui.screens.configuration import ConfigurationScreen

        self.app.push_screen(ConfigurationScreen(self.session))

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
