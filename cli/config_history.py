"""`windlass config history, revert`: edits that were made, and taking one back."""

from __future__ import annotations

import time

import click

from cli import jsonforms
from cli.actor import actor
from cli.config_change import kept_edits, show_changes, warn
from cli.exits import Exit
from cli.options import changed_workspace, json_option, workspace_folder, workspace_option
from cli.terminal import Cell, emit, note, out, table
from cli.words import ago
from core.model.actors import place


@click.command()
@json_option
@workspace_option
def history(as_json: bool) -> Exit:
    """List the edits that commands made, newest first."""
    from core.config.files import history as changes
    from core.workspace.folder import Workspace

    found = changes(Workspace.load(workspace_folder()))
    if as_json:
        for change in found:
            emit(jsonforms.edit(change, []))
        return Exit.OK
    if not found:
        note("no command has edited the configuration")
        return Exit.OK
    now = time.time()
    rows: list[list[Cell]] = [
        [
            str(change.number),
            change.action,
            change.path,
            change.file,
            ago(change.time, now),
            place(change.actor),
        ]
        for change in found
    ]
    for line in table(("EDIT", "DID", "PATH", "FILE", "WHEN", "BY"), rows, right=("EDIT",)):
        out(line)
    return Exit.OK


@click.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@json_option
@workspace_option
def revert(number: int | None, as_json: bool) -> Exit:
    """Take an edit back, the newest by default.

    NUMBER is that of the list. It is refused where the file has changed since.
    """
    from core.config.files import revert as take_back

    change = take_back(changed_workspace(), number, actor=actor(), keep=kept_edits())
    if as_json:
        emit(jsonforms.edit(change, []))
    else:
        show_changes(change.before or "", change.after, change.file)
    note(f"edit {change.number} took it back")
    warn("" if change.file.endswith("base.yaml") else change.file.rpartition("/")[2].removesuffix(".yaml"))
    return Exit.OK
