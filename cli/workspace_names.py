"""`windlass workspace list, show, add, use, rename, remove`: names for folders; no folder is changed by them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.complete import complete_workspaces
from cli.exits import Exit
from cli.options import GIVEN, json_option, workspace_option
from cli.terminal import Cell, clean, emit, note, out, table

if TYPE_CHECKING:
    from core.workspace.folder import Workspace
    from core.workspace.registry import Entry


@click.command("list")
@json_option
@workspace_option
def list_workspaces(as_json: bool) -> Exit:
    """List the registered workspaces.

    The one in use is marked: it is taken where none is named and no folder upward is one.
    """
    from core.workspace.registry import entries

    found = entries()
    if as_json:
        for entry in found:
            emit(jsonforms.workspace_name(entry))
    elif found:
        for line in table(("", "NAME", "FOLDER", "STATE"), [_row(entry) for entry in found], max_chars=160):
            out(line)
    else:
        note("none is registered: `windlass workspace add DIR` registers one")
    return Exit.OK


def _row(entry: Entry) -> list[Cell]:
    state: Cell = "in use" if entry.active else ""
    return [
        "*" if entry.active else "",
        entry.name,
        str(entry.path),
        state if entry.there else ("no workspace there", "warning"),
    ]


@click.command()
@click.argument("name", required=False, shell_complete=complete_workspaces)
@json_option
@workspace_option
def show(name: str | None, as_json: bool) -> Exit:
    """Show what a workspace is, and why it is the one at hand.

    Without NAME the one that other commands would take here.
    """
    from core.workspace import registry
    from core.workspace.find import choose_workspace
    from core.workspace.folder import Workspace
    from core.workspace.trust import is_trusted

    chosen = choose_workspace(name if name is not None else GIVEN.get("workspace"))
    workspace = Workspace.open(chosen.path)
    entry = registry.of_folder(workspace.path)
    trusted = is_trusted(workspace)
    if as_json:
        emit(jsonforms.workspace(workspace, entry.name if entry else "", trusted, chosen.why))
    else:
        for label, text in _lines(workspace, entry, trusted, chosen.why):
            out(f"{label + ':':<14}{clean(text)}")
    if workspace.broken is not None:
        from cli.failures import tell

        tell(workspace.broken)
        return Exit.BAD_INPUT
    return Exit.OK


def _lines(workspace: Workspace, entry: Entry | None, trusted: bool, why: str) -> list[tuple[str, str]]:
    environments = [
        f"{known.name} ({workspace.protection_of(known.name).value})" for known in workspace.environments
    ]
    lines = [
        ("workspace", workspace.name),
        ("folder", str(workspace.path)),
        ("chosen", why),
        ("registered", f"as {entry.name}{', in use' if entry.active else ''}" if entry else "no"),
        ("description", workspace.description),
        ("environments", ", ".join(environments)),
        ("labels", ", ".join(f"{key}={value}" for key, value in workspace.labels.items())),
        ("protection", workspace.protection.value),
        ("read-only", "yes" if workspace.read_only else ""),
        ("may read", ", ".join(map(str, workspace.allow_paths))),
        ("variables", ", ".join(workspace.allow_env)),
        ("trusted", "yes" if trusted else "no: programs that it names are not run"),
    ]
    return [(label, text) for label, text in lines if text]


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="Its name; else the one in workspace.yaml.")
@workspace_option
def add(folder: Path, name: str | None) -> Exit:
    """Register a folder under a name.

    The name is then as good as the folder: `-w NAME`.
    """
    from core.workspace.folder import Workspace
    from core.workspace.registry import add as register

    workspace = Workspace.load(folder)
    entry = register(name or workspace.name, workspace.path)
    out(clean(f"{entry.name} {entry.path}"))
    return Exit.OK


@click.command()
@click.argument("name", metavar="NAME|DIR", shell_complete=complete_workspaces)
@workspace_option
def use(name: str) -> Exit:
    """Make a workspace the one in use.

    It is taken where none is named and no folder upward is one. A folder is registered under its name. Where it cannot
    be opened the one in use before stays.
    """
    from core.workspace import registry

    entry = registry.find(name)
    if entry is None and not ("/" in name or (Path(name) / "workspace.yaml").is_file()):
        registry.require(name)
    workspace = _openable(entry.path if entry else Path(name))
    if entry is None:
        known = registry.of_folder(workspace.path)
        entry = known or registry.add(workspace.name, workspace.path)
    entry = registry.use(entry.name)
    out(clean(f"{entry.name} {entry.path}"))
    if workspace.broken is not None:
        note("its workspace.yaml is faulty: `windlass validate` says where")
    return Exit.OK


def _openable(path: Path) -> Workspace:
    """A workspace that can be opened, if only for looking: faults of its settings do not count."""
    from core.errors import InputError, WorkspaceNewer
    from core.workspace.folder import Workspace

    try:
        return Workspace.load(path)
    except WorkspaceNewer:
        raise
    except InputError as error:
        if not error.faults:  # it is none, or cannot be read
            raise
        path = path.absolute()
        return Workspace(path=path, name=path.name, broken=error)


@click.command()
@click.argument("old", shell_complete=complete_workspaces)
@click.argument("new")
@workspace_option
def rename(old: str, new: str) -> Exit:
    """Give a registered workspace another name.

    The folder and its workspace.yaml stay as they are.
    """
    from core.workspace.registry import rename as give

    entry = give(old, new)
    out(clean(f"{entry.name} {entry.path}"))
    return Exit.OK


@click.command()
@click.argument("name", shell_complete=complete_workspaces)
@workspace_option
def remove(name: str) -> Exit:
    """Forget a name; no file is removed."""
    from core.workspace.registry import remove as forget

    entry = forget(name)
    note(clean(f"'{entry.name}' is forgotten; {entry.path} stays as it is"))
    if entry.active:
        note("it was in use: none is in use now")
    return Exit.OK
