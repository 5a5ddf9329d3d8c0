"""`windlass workspace export, import`: a workspace as one archive, and a new folder from one."""

from __future__ import annotations

from pathlib import Path

import click

from cli.exits import Exit
from cli.options import command, workspace_folder, workspace_option
from cli.terminal import clean, note, out, say
from cli.words import plural

LEFT_OUT_SHOWN = 20


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file where it exists.")
@workspace_option
def export(file: Path | None, force: bool) -> Exit:
    """Write a workspace to one archive.

    FILE is NAME.tar.gz here where it is not given. State (.windlass), .git, private keys and secrets that are not
    encrypted are left out, and named. The same folder always gives the same bytes.
    """
    from core.workspace.archive import export_workspace
    from core.workspace.folder import Workspace

    workspace = Workspace.load(workspace_folder())
    target = file if file is not None else Path(f"{workspace.name}.tar.gz")
    done = export_workspace(workspace, target, replace=force)
    for name, why in list(done.left_out.items())[:LEFT_OUT_SHOWN]:
        say(clean(f"left out: {name}: {why}"))
    if len(done.left_out) > LEFT_OUT_SHOWN:
        say(f"and {len(done.left_out) - LEFT_OUT_SHOWN} more")
    out(clean(str(target)))
    note(f"{plural(done.files, 'file')}, {done.size_bytes} bytes before packing")
    return Exit.OK


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Its registered name; else the one in workspace.yaml.")
@workspace_option
def import_(file: Path, folder: Path, name: str | None) -> Exit:
    """Unpack an archive into a new folder.

    The folder must not exist. It is registered, and not trusted. An archive that holds anything but plain files,
    folders and links within the workspace is refused, and nothing stays of it.
    """
    from core.errors import InputError
    from core.model.names import refuse_workspace_name
    from core.workspace import registry
    from core.workspace.unpack import import_workspace

    if name is not None:
        why = refuse_workspace_name(name)
        if why:
            raise InputError(f"{name!r} names no workspace: {why}")
        known = registry.find(name)
        if known is not None:
            raise registry.taken(name, known.path)
    workspace = import_workspace(file, folder)
    out(clean(str(workspace.path)))
    try:
        entry = registry.add(name or workspace.name, workspace.path)
    except InputError as error:
        say(clean(f"it is imported and not registered: {error.message}"))
        note(f"register it: {command('workspace', 'add', str(folder), '--name', 'NAME')}")
        return Exit.BAD_INPUT
    note(clean(f"registered as '{entry.name}'; it is not trusted: programs that it names are not run"))
    return Exit.OK
