"""What can be done to servers, the same on the inventory and on the page of one server: a shell, a command, a look."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from textual.app import SuspendNotSupported
from textual.binding import Binding

from core.errors import WindlassError
from core.model.states import TaskState
from core.model.views import ServerInfo
from tui.actions import changed_host_key
from tui.inventory.columns import address
from tui.inventory.reaching import Reaching
from tui.screens.base import Live
from tui.screens.run import RunScreen
from tui.screens.trust import ask_to_trust

NEVER_BEGAN = frozenset({TaskState.WAITING, TaskState.BLOCKED, TaskState.SKIPPED, TaskState.CANCELLED})
LIVE_S = 30.0
"""So often servers are asked again while that is wanted."""


class ServerActions(Live[None]):
    """Subclasses say which server is chosen, and which are acted on."""

    BINDINGS = [
        Binding(
            "s", "shell", "shell", id="servers.shell", tooltip="Open a shell there; exit leads back here"
        ),
        Binding(
            "x",
            "run_command",
            "run a command",
            id="servers.command",
            tooltip="Run one command, as a recorded run",
        ),
        Binding("r", "reach", "ask", id="servers.reach", tooltip="Ask whether they answer; nobody logs in"),
        Binding("R", "reach_live", "ask on", id="servers.reach-live", tooltip="Ask every 30 s, or no longer"),
        Binding("o", "output", "output", id="servers.output", tooltip="The output of its last task"),
        Binding(
            "c", "copy_address", "copy address", id="servers.copy-address", tooltip="Copy USER@ADDRESS:PORT"
        ),
        Binding(
            "T", "trust", "trust host key", id="servers.trust", tooltip="Look at the host key and trust it"
        ),
    ]
    reaching: Reaching

    @property
    @abstractmethod
    def chosen(self) -> ServerInfo | None:
        """The one that the cursor is on."""

    @abstractmethod
    def acted_on(self) -> Sequence[ServerInfo]:
        """Those that a command is run on."""

    @abstractmethod
    def to_reach(self) -> Sequence[ServerInfo]:
        """Those that are asked whether they answer."""

    def reason(self, action: str) -> str:
        """Why an action of this class is not possible; "" where it is, or is another's."""
        server = self.chosen
        if action == "run_command" and not self.acted_on():
            return "no server is chosen"
        if action == "reach" and not self.to_reach():
            return "there is no server"
        if action not in ("shell", "output", "copy_address", "trust"):
            return ""
        if server is None:
            return "no server is chosen"
        workspace = self.session.workspace
        if action == "shell" and workspace is not None and workspace.read_only:
            return "this workspace is read-only: nobody would know what is done there"
        if action == "shell" and server.state == "stopped":
            return f"{server.name} is stopped"
        if action == "output" and server.last_run is None:
            return f"no run had tasks on {server.name} yet"
        if action == "trust" and changed_host_key(server.note):
            return "the host key changed: find out why; it is never trusted from here"
        return ""

    # ------------------------------------------------------------ acting

    def action_shell(self) -> None:
        server, workspace = self.chosen, self.session.workspace
        if server is None or workspace is None or not self.allowed("shell"):
            return

        async def open_it() -> None:
            from tui.shell import shell_on

            try:
                await shell_on(server.name, workspace.path, self.app.suspend, sys.__stderr__ or sys.stderr)
            except SuspendNotSupported:
                self.say("this terminal cannot be given to a shell", bad=True)
            except OSError as error:
                self.say(f"the shell did not start: {error.strerror or error}", bad=True)

        self.undertake(open_it, "shell")

    def action_run_command(self) -> None:
        if not self.allowed("run_command"):
            return
        from tui.screens.run_command import CommandSheet

        def planned(batch: str | None) -> None:
            if batch is not None:
                self._start(batch)

        servers = [server.name for server in self.acted_on()]
        self.app.push_screen(CommandSheet(self.session, servers), planned)

    def _start(self, batch: str) -> None:
        from tui.screens.start import StartSheet

        def started(number: int | None) -> None:
            if number is not None:
                self.app.push_screen(RunScreen(self.session, number))
            else:
                Path(batch).unlink(missing_ok=True)  # nothing was run, so nothing is kept of it

        self.app.push_screen(StartSheet(self.session, batch, alone=True), started)

    def action_output(self) -> None:
        server = self.chosen
        if server is None or not self.allowed("output"):
            return

        async def open_it() -> None:
            from tui.screens.output import OutputScreen

            runs = await self.session.engine.server_runs(server.name)
            # The newest may never have come to it.
            run = next((run for run in runs if run.task_state not in NEVER_BEGAN), None)
            if run is None:
                self.say(f"no task of the last {len(runs)} runs began on {server.name}")
            else:
                self.app.push_screen(OutputScreen(self.session, run.run, run.task))

        self.undertake(open_it, "output")

    def action_copy_address(self) -> None:
        if self.chosen is not None:
            self.copy(address(self.chosen))

    def action_trust(self) -> None:
        if self.chosen is not None and self.allowed("trust"):
            ask_to_trust(self, self.chosen.name)

    # ------------------------------------------------------------ asking

    asking_on = False
    """Whether they are asked again and again."""

    async def ask_one(self, name: str) -> float:
        """How many seconds a server took to answer. Raises ServersUnreachable."""
        return (await self.session.engine.host_key(name)).took_s

    def action_reach(self) -> None:
        """Asks; those that are being asked are let go."""
        if self.reaching.open:
            self.workers.cancel_group(self, "reach")
        elif self.allowed("reach"):
            self.run_worker(self._reach(), group="reach")

    async def _reach(self) -> None:
        try:
            await self.reaching.ask([server.name for server in self.to_reach()])
        except WindlassError as error:
            self.asking_on = False
            self.say_error(error)

    def action_reach_live(self) -> None:
        """Asks again and again while this page is seen."""
        self.asking_on = not self.asking_on
        self.say(f"asking every {LIVE_S:.0f} s" if self.asking_on else "no longer asking")
        if not self.asking_on:
            self.workers.cancel_group(self, "reach")
        elif not self.reaching.open:
            self.action_reach()

    def on_mount(self) -> None:
        self.set_interval(LIVE_S, self._reach_again)

    def _reach_again(self) -> None:
        if self.asking_on and not self.reaching.open and self.seen():
            self.run_worker(self._reach(), group="reach")
