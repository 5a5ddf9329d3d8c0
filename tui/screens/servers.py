"""The inventory: every server of the workspace in one table, filtered as one types, marked, and acted on."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import replace

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from core.errors import Fault, InputError, WindlassError
from core.model.views import ServerInfo
from tui.bridge import Changes
from tui.inventory.columns import BY_ID, cells
from tui.inventory.filter import Found, Searchable
from tui.inventory.reaching import Reaching
from tui.inventory.view import Heading, Row, View
from tui.look import look
from tui.paint import Spans
from tui.screens.finding import Finding
from tui.screens.server import ServerScreen, detail_lines
from tui.screens.server_actions import LIVE_S, ServerActions
from tui.screens.sheets import fault_lines
from tui.session import Session
from tui.widgets.table import VirtualTable

NAMES_IN_COMMAND = 20
"""So many names are copied as a selector, where the filter is none."""

HEADING_KEYS: Spans = (
    ("enter", "bold accent"),
    (" folds or unfolds it, ", "muted"),
    ("space", "bold accent"),
    (" marks its servers", "muted"),
)


class ServersScreen(Finding, ServerActions):
    """`find` filters from the beginning."""

    HINT = "web   group:web not label:zone=b   state:stopped   marked"
    FOOTER = ("open", "mark", "find", "run_command", "shell", "reach", "view", "back")
    BINDINGS = [
        Binding(
            "slash", "find", "find", id="servers.find", tooltip="Filter: words, group:web, state:stopped"
        ),
        Binding(
            "space", "mark", "mark", id="servers.mark", tooltip="Mark it, or a whole group on its heading"
        ),
        Binding(
            "a", "mark_all", "mark all", id="servers.mark-all", tooltip="Mark all that are shown, or none"
        ),
        Binding("v", "view", "view", id="servers.view", tooltip="Choose columns, order and groups"),
        Binding("f", "filters", "filters", id="servers.filters", tooltip="Saved filters: use, save, remove"),
        Binding(
            "S",
            "start_servers",
            "start servers",
            id="servers.start",
            tooltip="Start the stopped ones that are marked, or all",
        ),
        Binding("u", "update", "update", id="servers.update", tooltip="Ask the providers again"),
        Binding(
            "y", "copy", "copy command", id="servers.copy", tooltip="Copy the command that lists the same"
        ),
        Binding(
            "escape,q",
            "back",
            "back",
            id="servers.back",
            tooltip="Back; a filter is cleared first, then marks",
        ),
    ]
    DEFAULT_CSS = """
    ServersScreen {
        #servers-panel { border: $frame $line; border-title-color: $foreground; height: 1fr;
            border-subtitle-color: $muted; }
        #servers-panel:focus-within { border: $frame $line-focus; }
        #detail { border: $frame $line; border-title-color: $foreground; height: 9; padding: 0 1; }
        &.-short #detail { height: 6; }
    }
    """

    def __init__(self, session: Session, *, find: str = "") -> None:
        super().__init__(session, find)
        self._view = View()
        self._searchable = Searchable(())
        self._ordered: Sequence[ServerInfo] = ()
        self._shown = Found(())
        self._folded: set[str] = set()
        self.marked: dict[str, None] = {}
        """Names of marked servers, in the order in which they were marked."""
        self._refresh_next = False
        self._read = False
        self._answered: set[str] = set()
        self._faults: Sequence[Fault] = ()
        self._keeping = asyncio.Lock()
        self.reaching = Reaching(self.ask_one, lambda: look(self).clock(), self._reached)

    def body(self) -> ComposeResult:
        with Vertical(id="servers-panel"):
            yield self.find_field()
            yield VirtualTable[Row](
                [BY_ID[each].column for each in self._view.columns],
                key=_key,
                cells=lambda row: (
                    cells(self._view.columns, row, self.reaching.of(row.name), look(self))
                    if isinstance(row, ServerInfo)
                    else ()
                ),
                margin=lambda row: self._mark_of(row),
                heading=lambda row: self._heading(row),
                id="servers",
            )
        yield Static("", id="detail")

    @property
    def table(self) -> VirtualTable[Row]:
        """The table of servers."""
        return self.query_one("#servers", VirtualTable)

    def list_of_rows(self) -> Widget:
        return self.table

    def crumbs(self) -> Sequence[str]:
        return ("servers",)

    @property
    def way_here(self) -> str:
        return f"servers {self.find}".rstrip()

    def on_mount(self) -> None:
        self.entitle("#servers-panel", "Servers")

    # ------------------------------------------------------------ what is shown

    async def reload(self, changes: Changes) -> None:
        if not self._read:
            self._view = await self._kept_view()
            self._read = True
        if changes.servers or changes.many or self._refresh_next:
            refresh, self._refresh_next = self._refresh_next, False
            try:
                servers = await self.session.engine.servers(refresh=refresh)
            except InputError as error:
                self._faults = error.faults
                self.found()
                raise
            self._faults = ()
            self._searchable = await asyncio.to_thread(Searchable, servers)
            for gone in self.marked.keys() - self._searchable.texts.keys():
                del self.marked[gone]
            self._arrange()

    async def _kept_view(self) -> View:
        from tui.inventory.kept import read_view

        workspace = self.session.workspace
        if workspace is None or not getattr(self.app, "remembers", False):
            return View()
        try:
            return await asyncio.to_thread(read_view, workspace.path)
        except WindlassError as error:
            self.say_error(error)
            return View()

    def show_view(self, view: View) -> None:
        """Shows the inventory in another way, and keeps it for the next time."""
        if view == self._view:
            return
        was, self._view = self._view, view
        self._arrange()
        workspace = self.session.workspace
        if workspace is None or not getattr(self.app, "remembers", False):
            return

        async def keep() -> None:
            from tui.inventory.kept import keep_view

            try:
                async with self._keeping:
                    await asyncio.to_thread(keep_view, view, workspace.path, was)
            except WindlassError as error:
                self.say_error(error)

        self.run_worker(keep(), group="keep")

    def _arrange(self) -> None:
        """Orders all servers: filtering keeps their order."""
        ordered = self._view.ordered(self._searchable.servers, self.reaching.of)
        self._searchable.servers = ordered
        self.table.set_columns([BY_ID[each].column for each in self._view.columns])
        self.found()

    def found(self) -> None:
        self._shown = self._searchable.find(self.find, self.marked)
        self.table.set_empty(self._nothing())
        self.table.set_items(self._view.rows(self._shown.servers, self._folded))
        self._entitle()
        self._show_detail()

    def _nothing(self) -> list[Spans]:
        if self._faults and not self._searchable.servers:
            told: Spans = [("The servers cannot be told before their files are mended.", "bold error")]
            return [told, *fault_lines(self._faults, look(self).text)]
        if self._searchable.servers:
            return [
                [("No server fits the filter. ", "muted"), ("esc", "bold accent"), (" clears it", "muted")]
            ]
        return [[("Servers are what batches work on. List them in servers/NAME.yaml.", "muted")]]

    def _entitle(self) -> None:
        shown, every = len(self._shown.servers), len(self._searchable.servers)
        count = f"{shown} of {every}" if self.find.strip() else str(every)
        marked = f"  {len(self.marked)} marked" if self.marked else ""
        view, told = self._view, []
        if self._shown.told:
            told.append(self._shown.told)
        if view.group:
            told.append(f"by {BY_ID[view.group].column.title}")
        if (view.sort, view.backwards) != ("name", False):
            told.append(f"{BY_ID[view.sort].column.title} {'descending' if view.backwards else 'ascending'}")
        if self.reaching.open:
            told.append(f"{self.reaching.open} asked, r stops")
        elif self.asking_on:
            told.append(f"asked every {LIVE_S:.0f} s")
        self.entitle("#servers-panel", f"Servers {count}{marked}", look(self).text(", ".join(told)))

    def _mark_of(self, row: Row) -> tuple[str, str]:
        if isinstance(row, Heading):
            return " ", ""
        return ("*", "bold accent") if row.name in self.marked else (" ", "")

    def _heading(self, row: Row) -> Spans | None:
        if not isinstance(row, Heading):
            return None
        style = look(self)
        sign = "+" if row.folded else "-"
        return [
            (f"{sign} ", "accent"),
            (style.text(row.value) or "none", "bold"),
            (f"  {row.servers}", "muted"),
        ]

    def _reached(self, name: str) -> None:
        """Thousands may answer in a second: they are drawn together."""
        if not self._answered and not self.leaving:
            self.set_timer(getattr(self.app, "interval_s", 0.1), self._draw_reached)
        self._answered.add(name)

    def _draw_reached(self) -> None:
        answered, self._answered = self._answered, set()
        if self._view.sort == "reach" and not self.reaching.open:
            self._arrange()  # not before all have answered: rows that are being read keep their place
        for name in answered:
            self.table.refresh_key(name)
        self._entitle()
        if self.chosen is not None and self.chosen.name in answered:
            self._show_detail()

    def _visible(self) -> list[ServerInfo]:
        first, last = self.table.visible_range()
        return [row for row in self.table.items[first:last] if isinstance(row, ServerInfo)]

    # ------------------------------------------------------------ the chosen one, and those that are acted on

    @property
    def chosen(self) -> ServerInfo | None:
        row = self.table.chosen
        return row if isinstance(row, ServerInfo) else None

    def acted_on(self) -> Sequence[ServerInfo]:
        """The marked ones, else the chosen one, else those below the chosen heading."""
        if self.marked:
            return [server for server in self._searchable.servers if server.name in self.marked]
        return self._below(self.table.chosen)

    def to_reach(self) -> Sequence[ServerInfo]:
        """The marked ones, else those on the screen."""
        return self.acted_on() if self.marked else self._visible()

    def _below(self, row: Row | None) -> Sequence[ServerInfo]:
        if isinstance(row, ServerInfo):
            return [row]
        return self._view.below(row, self._shown.servers) if row is not None else []

    def _show_detail(self) -> None:
        row, style = self.table.chosen, look(self)
        if isinstance(row, ServerInfo):
            self.entitle("#detail", style.text(row.name))
            self.set_text("#detail", detail_lines(row, self.reaching.of(row.name), style))
        elif row is not None:
            self.entitle("#detail", style.text(row.value) or "none")
            self.set_text("#detail", [HEADING_KEYS])
        else:
            self.entitle("#detail", "")
            self.set_text("#detail", [])

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        if action == "run_command" and self.marked:
            return f"run on {len(self.marked)} marked"
        if action == "open" and isinstance(self.table.chosen, Heading):
            return "unfold" if self.table.chosen.folded else "fold"
        return super().label(action)

    def reason(self, action: str) -> str:
        if action == "open":
            return "" if self.table.items else "there is no server"
        if action in ("mark", "mark_all"):
            return "" if self._shown.servers else "there is no server"
        if action == "start_servers" and not self._startable():
            return "none of the marked servers is stopped" if self.marked else "no server is stopped"
        return super().reason(action)

    def on_virtual_table_highlighted(self) -> None:
        self._show_detail()
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        row = self.table.chosen
        if isinstance(row, ServerInfo):
            self.app.push_screen(ServerScreen(self.session, row.name, self.reaching))
        elif row is not None:
            self._folded ^= {row.value}
            self.found()

    def action_mark(self) -> None:
        row = self.table.chosen
        servers = [server.name for server in self._below(row)]
        if all(name in self.marked for name in servers):
            for name in servers:
                del self.marked[name]
        else:
            self.marked.update(dict.fromkeys(servers))
        self._marks_changed()
        if isinstance(row, ServerInfo) and self.table.cursor + 1 < len(self.table.items):
            self.table.action_move(1)

    def action_mark_all(self) -> None:
        names = [server.name for server in self._shown.servers]
        if names and all(name in self.marked for name in names):
            self.marked.clear()
        else:
            self.marked.update(dict.fromkeys(names))
        self._marks_changed()

    def _marks_changed(self) -> None:
        if "marked" in self.find.split():
            self.found()
        self.table.refresh()
        self._entitle()
        self.refresh_keys()

    def action_back(self) -> None:
        if self.marked and not self.query_one("#find").has_class("-open"):
            self.marked.clear()
            self._marks_changed()
        else:
            super().action_back()

    def action_view(self) -> None:
        from tui.screens.inventory_view import ViewSheet

        self.app.push_screen(ViewSheet(self.session, self._view, self.show_view))

    def action_filters(self) -> None:
        from tui.screens.inventory_filters import FiltersSheet

        def chosen(text: str | None) -> None:
            if text is not None:
                self.set_find(text)

        async def open_it() -> None:
            if getattr(self.app, "remembers", False):
                async with self._keeping:  # others may have saved some since this page was opened
                    kept = await self._kept_view()
                self._view = replace(self._view, filters=kept.filters)
            self.app.push_screen(FiltersSheet(self.session, self._view, self.find, self.show_view), chosen)

        self.undertake(open_it, "filters")

    def action_update(self) -> None:
        self._refresh_next = True
        self.needs_reload(Changes(servers=True))

    def _startable(self) -> Sequence[str]:
        servers = self.acted_on() if self.marked else self._searchable.servers
        return [server.name for server in servers if server.state == "stopped"]

    def action_start_servers(self) -> None:
        if self.allowed("start_servers"):
            self.perform(
                self.session.engine.start_servers(self._startable() if self.marked else ()),
                "servers started",
                lambda: self.needs_reload(Changes(servers=True)),
            )

    def action_copy(self) -> None:
        selector = "" if self.marked else self._shown.selector
        names = list(self.marked) or [server.name for server in self._shown.servers]
        if not selector and 0 < len(names) <= NAMES_IN_COMMAND:
            selector = " or ".join(f"name:{name}" for name in names)
        if not selector:
            self.say(
                f"no command lists exactly these {len(names)} servers" if names else "no server is shown"
            )
            return
        self.copy(
            self.session.command("servers", "list", *([selector] if selector not in ("", "all") else []))
        )


def _key(row: Row) -> Hashable:
    return row.name if isinstance(row, ServerInfo) else ("heading", row.value)
