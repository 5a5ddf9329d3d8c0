"""The servers of the workspace: one virtual table, a filter, what is known of the chosen one, and host keys."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from core.model.views import ServerInfo
from tui import rows
from tui.actions import changed_host_key
from tui.bridge import Changes
from tui.look import look
from tui.paint import Span, Spans
from tui.screens.base import Live
from tui.screens.run import RunScreen
from tui.screens.trust import ask_to_trust
from tui.session import Session
from tui.widgets.table import Column, VirtualTable


def matches(server: ServerInfo, find: str) -> bool:
    """True where every word of the filter is found; `provider:x`, `group:x`, `state:x` look at one field only."""
    for word in find.lower().split():
        field, colon, value = word.partition(":")
        fields = {"provider": (server.provider,), "group": server.groups, "state": (server.state,)}
        if colon and field in fields:
            if not any(value in entry.lower() for entry in fields[field]):
                return False
            continue
        everything = (server.name, server.provider, server.state, server.address, *server.groups)
        labels = (f"{key}={entry}" for key, entry in server.labels.items())
        if not any(word in entry.lower() for entry in (*everything, *labels)):
            return False
    return True


class ServersScreen(Live[None]):
    """`find` filters from the beginning."""

    FOOTER = ("open", "find", "trust", "start_servers", "update", "back")
    BINDINGS = [
        Binding(
            "slash", "find", "find", id="servers.find", tooltip="Filter by name, group:web, state:stopped"
        ),
        Binding(
            "T", "trust", "trust host key", id="servers.trust", tooltip="Look at the host key and trust it"
        ),
        Binding(
            "s", "start_servers", "start servers", id="servers.start", tooltip="Start every stopped server"
        ),
        Binding("u", "update", "update", id="servers.update", tooltip="Ask the providers again"),
        Binding("escape,q", "back", "back", id="servers.back", tooltip="Back; a filter is cleared first"),
    ]
    DEFAULT_CSS = """
    ServersScreen {
        #find { display: none; border: none; height: 1; padding: 0 1; background: $surface; }
        #find.-open { display: block; }
        #servers-panel { border: $frame $line; border-title-color: $foreground; height: 1fr; }
        #servers-panel:focus-within { border: $frame $line-focus; }
        #detail { border: $frame $line; border-title-color: $foreground; height: 8; padding: 0 1; }
        &.-narrow #detail { height: 6; }
    }
    """

    def __init__(self, session: Session, *, find: str = "") -> None:
        super().__init__(session)
        self._find = find
        self._servers: list[ServerInfo] = []
        self._refresh_next = False

    def body(self) -> ComposeResult:
        with Vertical(id="servers-panel"):
            yield Input(
                self._find, placeholder="name, group:web, state:stopped", id="find", select_on_focus=False
            )
            yield VirtualTable[ServerInfo](
                (
                    Column("name", 18),
                    Column("provider", 9, min_table=70),
                    Column("state", 12),
                    Column("address", 24, min_table=90),
                    Column("groups"),
                    Column("held by", 8),
                ),
                key=lambda server: server.name,
                cells=lambda server: rows.server_row(server, look(self)),
                id="servers",
            )
        yield Static("", id="detail")

    @property
    def table(self) -> VirtualTable[ServerInfo]:
        """The table of servers."""
        return self.query_one("#servers", VirtualTable)

    def crumbs(self) -> Sequence[str]:
        return ("servers",)

    @property
    def way_here(self) -> str:
        return f"servers {self._find}".rstrip()

    def on_mount(self) -> None:
        self.entitle("#servers-panel", "Servers")
        self.query_one("#find").set_class(bool(self._find), "-open")
        self.table.focus()

    async def reload(self, changes: Changes) -> None:
        if changes.servers or changes.many or self._refresh_next:
            refresh, self._refresh_next = self._refresh_next, False
            self._servers = list(await self.session.engine.servers(refresh=refresh))
            self._show()

    def _show(self) -> None:
        found = [server for server in self._servers if matches(server, self._find)]
        if self._servers:
            nothing: list[Spans] = [
                [("No server fits the filter. ", "muted"), ("esc", "bold accent"), (" clears it", "muted")]
            ]
        else:
            nothing = [[("Servers are what batches work on. List them in servers/NAME.yaml.", "muted")]]
        self.table.set_empty(nothing)
        self.table.set_items(found)
        count = f"{len(found)} of {len(self._servers)}" if self._find else str(len(found))
        self.entitle("#servers-panel", f"Servers {count}")
        self._show_detail()

    def _show_detail(self) -> None:
        server = self.table.chosen
        self.entitle("#detail", look(self).text(server.name) if server else "")
        self.set_text("#detail", self._detail(server) if server else [])

    def _detail(self, server: ServerInfo) -> list[Spans]:
        clean = look(self).text
        lines: list[Spans] = []
        if server.note:
            lines.append([("note      ", "muted"), (clean(server.note), "warning")])
        for option in server.options_ignored:
            lines.append([("ignored   ", "muted"), (clean(option), "warning")])
        where = f"{server.user}@{server.address}" if server.user else server.address
        lines.append([("address   ", "muted"), (clean(f"{where} port {server.port}"), "")])
        lines.append([("groups    ", "muted"), (clean(" ".join(server.groups)) or "none", "")])
        labels: list[Span] = [(clean(f"{key}={value}  "), "") for key, value in sorted(server.labels.items())]
        lines.append([("labels    ", "muted"), *(labels or [("none", "")])])
        lines.append([("from      ", "muted"), (clean(server.source or server.provider), "")])
        return lines

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        return "open its run" if action == "open" else ""

    def reason(self, action: str) -> str:
        server = self.table.chosen
        if action == "open":
            return "" if server is not None and server.held_by is not None else "no run holds this server"
        if action == "trust":
            if server is None:
                return "no server is chosen"
            if changed_host_key(server.note):
                return "the host key changed: find out why; it is never trusted from here"
        if action == "start_servers" and not any(server.state == "stopped" for server in self._servers):
            return "no server is stopped"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self._show_detail()
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        """The run that holds the server."""
        server = self.table.chosen
        if server is not None and server.held_by is not None:
            self.app.push_screen(RunScreen(self.session, server.held_by))
        elif server is not None:
            self.say(f"no run holds {server.name}")

    def on_input_changed(self, event: Input.Changed) -> None:
        self._find = event.value
        self._show()

    def on_input_submitted(self) -> None:
        self.table.focus()

    def action_find(self) -> None:
        field = self.query_one("#find", Input)
        field.add_class("-open")
        field.focus()

    def action_back(self) -> None:
        field = self.query_one("#find", Input)
        if field.has_class("-open"):
            field.value = ""
            field.remove_class("-open")
            self.table.focus()
        else:
            self.leave()

    def action_update(self) -> None:
        self._refresh_next = True
        self.needs_reload(Changes(servers=True))

    def action_start_servers(self) -> None:
        if self.allowed("start_servers"):
            self.perform(
                self.session.engine.start_servers(),
                "servers started",
                lambda: self.needs_reload(Changes(servers=True)),
            )

    def action_trust(self) -> None:
        server = self.table.chosen
        if server is not None and self.allowed("trust"):
            ask_to_trust(self, server.name)
