"""`windlass servers`: the group. Its commands live in modules of their own."""

from __future__ import annotations

import click

from cli.lazy import Lazy, LazyGroup
from cli.options import workspace_option

TABLE = {
    "list": Lazy("cli.servers_read:list_servers", "List the servers.", "Look"),
    "show": Lazy("cli.servers_read:show", "Show a server: how it is reached, what holds it.", "Look"),
    "start": Lazy("cli.servers_change:start", "Start servers that their provider can start.", "Act"),
    "stop": Lazy("cli.servers_change:stop", "Stop servers, with what was started on them.", "Act"),
    "ssh": Lazy("cli.servers_ssh:ssh", "Open a shell on a server, or run one command there.", "Act"),
    "exec": Lazy("cli.servers_exec:exec_command", "Run a command on servers, as a recorded run.", "Act"),
    "trust": Lazy("cli.servers_change:trust", "Trust the host key that a server shows.", "Act"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def servers() -> None:
    """List, show, start, stop, reach and trust servers."""
