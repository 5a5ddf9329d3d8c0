"""`windlass workspace`: which workspaces there are, which is in use, which are trusted; and moving one elsewhere."""

from __future__ import annotations

import click

from cli.lazy import Lazy, LazyGroup
from cli.options import workspace_option

TABLE = {
    "list": Lazy("cli.workspace_names:list_workspaces", "List the registered workspaces.", "Look"),
    "show": Lazy(
        "cli.workspace_names:show", "Show what a workspace is, and why it is the one at hand.", "Look"
    ),
    "add": Lazy("cli.workspace_names:add", "Register a folder under a name.", "Names"),
    "use": Lazy("cli.workspace_names:use", "Make a workspace the one in use.", "Names"),
    "rename": Lazy("cli.workspace_names:rename", "Give a registered workspace another name.", "Names"),
    "remove": Lazy("cli.workspace_names:remove", "Forget a name; no file is removed.", "Names"),
    "export": Lazy("cli.workspace_move:export", "Write a workspace to one archive.", "Move"),
    "import": Lazy("cli.workspace_move:import_", "Unpack an archive into a new folder.", "Move"),
    "trust": Lazy("cli.workspace_trust:trust", "Let a workspace name programs that run here.", "Trust"),
    "untrust": Lazy("cli.workspace_trust:untrust", "Stop running programs that a workspace names.", "Trust"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def workspace() -> None:
    """Register, choose, export, import and trust workspaces."""
