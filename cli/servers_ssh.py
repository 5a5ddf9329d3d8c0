"""`windlass servers ssh`: OpenSSH's own client, connected as Windlass connects."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli.complete import complete_servers
from cli.launch import perform
from cli.options import command as as_command
from cli.options import workspace_folder, workspace_option

if TYPE_CHECKING:
    from core.workspace.folder import Workspace
    from providers.base import Server


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("name", shell_complete=complete_servers)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@workspace_option
def ssh(name: str, command: Sequence[str]) -> int:
    """Open a shell on a server, or run one command there.

    It uses the same address, user, keys and trusted host keys as runs do, and ends with ssh's exit status. Nothing
    of it is recorded: `windlass servers exec` is. A read-only workspace refuses it: nobody knows what is done there.
    """
    from core.engine.protection import check_changeable
    from core.engine.reach import may_name_programs
    from core.errors import NotPossible
    from core.ssh.interactive import interactive_argv
    from core.workspace.folder import Workspace

    workspace = Workspace.load(workspace_folder())
    check_changeable(workspace)
    server = perform(_find(workspace, name))
    if command and command[0] == "--":
        command = command[1:]
    if server.state == "stopped":
        raise NotPossible(f"{name} is stopped", hint=f"start it: {as_command('servers', 'start', name)}")
    trusted = may_name_programs(workspace)
    with interactive_argv(server, workspace.known_hosts, command, foreign_programs=trusted) as argv:
        child = subprocess.Popen(argv)
        # ssh answers the keys itself; what the terminal sends to the whole group must not end us before it. What is
        # meant for us ends it: nobody would be left to end a session that nobody sees.
        kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT)}
        kept |= {
            number: signal.signal(number, lambda *_: child.terminate())
            for number in (signal.SIGTERM, signal.SIGHUP)
        }
        try:
            status = _wait(child)
        finally:
            for number, handler in kept.items():
                signal.signal(number, handler)
    return 128 - status if status < 0 else status


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Its exit status. Where ssh stops itself (its escape ~^Z), everything that the terminal belongs to stops with it,
    as for ^Z itself, and goes on with it.
    """
    while True:
        _, told = os.waitpid(child.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(told):
            child.returncode = os.waitstatus_to_exitcode(told)
            return child.returncode
        os.killpg(0, signal.SIGTSTP)
        child.send_signal(signal.SIGCONT)


async def _find(workspace: Workspace, name: str) -> Server:
    """The server as its provider describes it. Raises InputError."""
    from core.engine.catalogue import Catalogue

    catalogue = Catalogue(workspace)
    try:
        return await catalogue.server(name)
    finally:
        await catalogue.close()
