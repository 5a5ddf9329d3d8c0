"""`windlass workspace trust, untrust`: whether a workspace may name programs that are run on this machine."""

from __future__ import annotations

import click

from cli.audited import audited
from cli.exits import Exit
from cli.options import workspace_folder, workspace_option
from cli.terminal import clean, confirm, interactive, note, out, say


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed without a terminal.")
@workspace_option
def trust(yes: bool) -> Exit:
    """Let a workspace name programs that run here.

    A ProxyCommand in an ssh configuration of the workspace is such a program, and so is what a batch names as
    secret('command:…'). Trust belongs to this folder as it lies here: a copy, a clone and an import have none. Look
    at what it names first.
    """
    from core.errors import NeedsPerson
    from core.workspace.folder import Workspace
    from core.workspace.trust import trust as give

    workspace = Workspace.load(workspace_folder())
    if not yes:
        if not interactive():
            raise NeedsPerson(
                f"programs that {workspace.path} names would run as you: without a terminal that needs --yes",
                hint="look at its servers/*.yaml, the files they name, and `command:` in its batches first",
            )
        if not confirm(clean(f"Run programs that {workspace.path} names, as you?")):
            say("nothing was changed")
            return Exit.NEEDS_PERSON
    audited(workspace.path, "workspace.trust")
    give(workspace)
    out(clean(f"trusted {workspace.path}"))
    return Exit.OK


@click.command()
@workspace_option
def untrust() -> Exit:
    """Stop running programs that a workspace names."""
    from core.workspace.folder import Workspace
    from core.workspace.trust import untrust as take_back

    workspace = Workspace(path=workspace_folder(), name="")
    if take_back(workspace):
        audited(workspace.path, "workspace.untrust")
        out(clean(f"not trusted any more: {workspace.path}"))
    else:
        note(clean(f"{workspace.path} was not trusted"))
    return Exit.OK
