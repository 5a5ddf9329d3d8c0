"""One server: what is known of it, and what runs did there."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from core.model.views import ServerInfo, ServerRun
from themes.signs import TASK_SIGNS, run_sign
from tui import words
from tui.bridge import Changes
from tui.inventory.columns import address
from tui.inventory.reaching import Reached, Reaching
from tui.look import Look, look
from tui.paint import Span, Spans
from tui.rows import server_sign
from tui.screens.listing import entry
from tui.screens.run import RunScreen
from tui.screens.server_actions import ServerActions
from tui.session import Session
from tui.widgets.table import Column, VirtualTable

RUNS = 100


class ServerScreen(ServerActions):
    """The page of one server, by name."""

    FOOTER = ("open", "output", "run_command", "shell", "reach", "copy", "back")
    BINDINGS = [
        Binding("enter", "open", "open run", id="server.open", tooltip="Open the chosen run"),
        Binding(
            "y", "copy", "copy command", id="server.copy", tooltip="Copy the command that shows the same"
        ),
        Binding("u", "update", "update", id="server.update", tooltip="Ask the providers again"),
        Binding("escape,q", "back", "back", id="server.back", tooltip="Back to where you came from"),
    ]
    DEFAULT_CSS = """
    ServerScreen {
        #known { border: $frame $line; border-title-color: $foreground; height: auto; max-height: 14; padding: 0 1; }
        #runs-panel { border: $frame $line; border-title-color: $foreground; height: 1fr; min-height: 4; }
        #runs-panel:focus-within { border: $frame $line-focus; }
        &.-short #known { max-height: 11; }
    }
    """

    def __init__(self, session: Session, name: str, reaching: Reaching | None = None) -> None:
        """`reaching` is what is known already of who answers."""
        super().__init__(session)
        self.server = name
        self._info: ServerInfo | None = None
        self._runs: Sequence[ServerRun] = ()
        self._read = self._refresh_next = False
        self.reaching = reaching or Reaching(
            self.ask_one, lambda: look(self).clock(), lambda _name: self._show()
        )

    def body(self) -> ComposeResult:
        yield Static("", id="known")
        with Vertical(id="runs-panel"):
            yield VirtualTable[ServerRun](
                (
                    Column("", 1),
                    Column("run", 8),
                    Column("batch", 18),
                    Column("here", 22),
                    Column("when", 8, right=True),
                    Column("last line, or why"),
                ),
                key=lambda run: run.run,
                cells=lambda run: run_cells(run, look(self)),
                id="runs",
            )

    @property
    def table(self) -> VirtualTable[ServerRun]:
        """The runs that had tasks on it, newest first."""
        return self.query_one("#runs", VirtualTable)

    def crumbs(self) -> Sequence[str]:
        return ("servers", self.server)

    @property
    def way_here(self) -> str:
        return f"server {self.server}"

    def on_mount(self) -> None:
        self.entitle("#known", look(self).text(self.server))
        self.entitle("#runs-panel", "Runs")
        self.table.focus()

    async def reload(self, changes: Changes) -> None:
        refresh, self._refresh_next = self._refresh_next, False
        if changes.servers or changes.many or refresh:
            servers = await self.session.engine.servers(refresh=refresh)
            self._info = next((server for server in servers if server.name == self.server), None)
        if changes:
            self._runs = await self.session.engine.server_runs(self.server, limit=RUNS)
        self._read = True
        self._show()

    def _show(self) -> None:
        if not self._read or self.leaving:
            return
        style = look(self)
        if self._info is None:
            known: list[Spans] = [[("No provider lists a server of this name.", "warning")]]
        else:
            known = detail_lines(self._info, self.reaching.of(self.server), style)
        self.set_text("#known", known)
        self.table.set_empty(
            [[("No run had tasks here yet. ", "muted"), ("x", "bold accent"), (" runs a command", "muted")]]
        )
        self.table.set_items(self._runs)
        more = "the newest" if len(self._runs) == RUNS else ""
        self.entitle("#runs-panel", f"Runs {len(self._runs)}", more)

    def tick(self) -> None:
        super().tick()
        self._show()

    # ------------------------------------------------------------ the server

    @property
    def chosen(self) -> ServerInfo | None:
        return self._info

    def acted_on(self) -> Sequence[ServerInfo]:
        return [self._info] if self._info is not None else []

    def to_reach(self) -> Sequence[ServerInfo]:
        return self.acted_on()

    # ------------------------------------------------------------ keys

    def reason(self, action: str) -> str:
        if action == "open":
            return "" if self.table.chosen is not None else "no run had tasks here yet"
        if action == "output":
            return "" if self.table.chosen is not None else "no run had tasks here yet"
        return super().reason(action)

    def on_virtual_table_highlighted(self) -> None:
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        run = self.table.chosen
        if run is not None:
            self.app.push_screen(RunScreen(self.session, run.run))

    def action_output(self) -> None:
        """The output of its task in the chosen run."""
        from tui.screens.output import OutputScreen

        run = self.table.chosen
        if run is not None and self.allowed("output"):
            self.app.push_screen(OutputScreen(self.session, run.run, run.task))

    def action_update(self) -> None:
        self._refresh_next = True
        self.needs_reload(Changes(servers=True))

    def action_copy(self) -> None:
        self.copy(self.session.command("servers", "show", self.server))


def detail_lines(server: ServerInfo, reached: Reached, style: Look) -> list[Spans]:
    """What is known of a server, what matters first."""
    clean = style.text
    lines: list[Spans] = []
    if server.note:
        lines.append(entry("note", [(clean(server.note), "warning")]))
    state: list[Span] = [
        style.signed(server_sign(server.state)),
        (f"  told by {clean(server.provider)}", "muted"),
    ]
    if server.held_by is not None:
        state.append((f"  held by run {server.held_by}", "accent"))
    lines.append(entry("state", state))
    role = reached.sign.role if reached.sign is not None else "muted"
    lines.append(entry("reach", [(clean(reached.sentence(style.clock())), role)]))
    lines.append(entry("address", [(clean(address(server)), "")]))
    lines.append(entry("groups", [(clean(" ".join(server.groups)) or "none", "")]))
    labels = "  ".join(f"{key}={value}" for key, value in sorted(server.labels.items()))
    lines.append(entry("labels", [(clean(labels) or "none", "")]))
    lines.append(entry("from", [(clean(server.source or server.provider), "")]))
    for option in server.options_ignored:
        lines.append(entry("ignored", [(clean(option), "warning")]))
    return lines


def run_cells(run: ServerRun, style: Look) -> list[Spans]:
    """sign, run, batch, what its tasks here came to, when, the last line or why."""
    sign = run_sign(run.state, interrupted=run.interrupted)
    here = TASK_SIGNS[run.task_state]
    tasks = sum(run.counts.values())
    told: list[Span] = [style.signed(here), (f"  {words.plural(tasks, 'task')}", "muted")]
    return [
        [(style.mark(sign), sign.role)],
        [(f"run {run.run}", "")],
        [(style.text(run.batch), "bold")],
        told,
        [(words.ago(run.created, style.clock()), "muted")],
        [(style.text(run.why or run.last_line, max_chars=300), "" if run.why else "muted")],
    ]
