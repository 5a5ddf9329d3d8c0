"""`windlass config edit`: a file of the configuration in the user's editor, checked before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from cli import jsonforms
from cli.actor import actor
from cli.config_change import kept_edits, show_changes
from cli.config_options import opened
from cli.environments import environment_option
from cli.exits import Exit
from cli.failures import fault_line
from cli.options import changed_workspace, command, json_option, workspace_option
from cli.terminal import Cell, clean, confirm, emit, interactive, note, out, say, table

if TYPE_CHECKING:
    from core.config.paths import Path
    from core.config.resolve import Resolver
    from core.errors import Fault
    from core.workspace.folder import Workspace

VALUE_CHARS = 48


@click.command()
@environment_option
@json_option
@workspace_option
def edit(environment: str, as_json: bool) -> Exit:
    """Change a file of the configuration in your editor, checked.

    VISUAL or EDITOR opens a private copy of config/base.yaml, with --environment of that environment's file. Every
    fault of the result is told; on a terminal you can go on editing, else nothing is saved. What changes by value
    is shown before it is saved, and on a terminal you are asked.
    """
    from core.config.files import file_of
    from core.config.sources import read_text

    workspace = changed_workspace()
    file = file_of(workspace, environment)
    names = [environment] if environment else _environments(workspace)
    before = read_text(workspace.path / file, file) or ""
    old = _read(names, file, before)
    after = _edited(names, file, before, old.faults)
    if after is None:
        return Exit.BAD_INPUT
    if after == before:
        note("unchanged")
        return Exit.OK
    _show_values(old, _read(names, file, after), to_stderr=as_json)
    if interactive() and not confirm(f"Save {clean(file)}?"):
        note("nothing was saved")
        return Exit.NEEDS_PERSON
    return _save(workspace, file, before, after, as_json)


def _environments(workspace: Workspace) -> list[str]:
    """Those that an edit of the shared file has an effect on."""
    return [known.name for known in workspace.known_environments()] or [""]


# ---------------------------------------------------------------- what a text comes to


class _Read:
    """What the configuration comes to with a text: faults, and the values of each environment."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.values: dict[str, dict[Path, Any]] = {}


def _read(names: list[str], file: str, text: str) -> _Read:
    from core.config.check import all_faults
    from core.errors import InputError

    found = _Read()
    for name in names:
        try:
            resolver = opened(name, replaced={file: text})
        except InputError as error:
            if not error.faults:
                raise
            told = list(error.faults)
        else:
            told = all_faults(resolver, changed_workspace().path)
            found.values[name] = _values(resolver)
        found.faults += [fault for fault in told if fault not in found.faults]
    return found


def _values(resolver: Resolver) -> dict[Path, Any]:
    """Every single value by its path; what cannot be worked out is left out."""
    from core.config.load import leaves
    from core.errors import InputError

    values = {}
    for path, _ in leaves(resolver.config):
        try:
            values[path] = resolver.value(path)
        except InputError:
            continue
    return values


# ---------------------------------------------------------------- editing


def _edited(names: list[str], file: str, before: str, known: list[Fault]) -> str | None:
    """What the user made of a text, free of new faults; None where it is given up.

    Faults of other files that were there before are told and are not in the way.
    """
    from cli.editor import edited

    raw = before.encode()
    while True:
        raw = edited(raw, file.rpartition("/")[2], shown="config edit")
        text, faults = _text(raw, file)
        if text == before:
            return before
        if text is not None:
            faults = _read(names, file, text).faults
        stop = [fault for fault in faults if fault.file == file or fault not in known]
        for fault in faults:
            prefix = "" if fault in stop else "warning: "
            told = fault_line(fault.file, fault.line, fault.column, fault.message, fault.hint)
            say(clean(f"{prefix}{told}"))
        if text is not None and not stop:
            return text
        if not interactive() or not confirm("Go on editing?"):
            say("nothing was saved")
            return None


def _text(raw: bytes, file: str) -> tuple[str | None, list[Fault]]:
    """The text of bytes, or why they are none."""
    from core.config.sources import decoded
    from core.errors import Fault, InputError

    try:
        return decoded(raw, file), []
    except InputError as error:
        return None, list(error.faults) or [Fault(file, 0, 0, error.message, error.hint)]


# ---------------------------------------------------------------- saving


def _show_values(old: _Read, new: _Read, *, to_stderr: bool) -> None:
    """What changes by value, each line with the environments that it is true of."""
    from core.config import paths
    from core.config.compare import ABSENT, same

    found: dict[tuple[str, str, str], list[str]] = {}
    for name, values in new.values.items():
        earlier: Mapping[Path, Any] = old.values.get(name, {})
        for path in [*earlier, *(path for path in values if path not in earlier)]:
            sides = (earlier.get(path, ABSENT), values.get(path, ABSENT))
            if not same(*sides):
                line = (paths.show(path), _shown(sides[0]), _shown(sides[1]))
                found.setdefault(line, []).append(name)
    several = len(new.values) > 1
    rows: list[list[Cell]] = [
        [*line, *([", ".join(names) if len(names) < len(new.values) else "all"] if several else [])]
        for line, names in found.items()
    ]
    print_line = say if to_stderr else out
    headers = ("PATH", "BEFORE", "AFTER", *(("IN",) if several else ()))
    for text in table(headers, rows) if rows else ():
        print_line(text)
    if not rows:
        note("no value changes")


def _shown(side: Any) -> str:
    from core.config.compare import ABSENT
    from core.config.render import one_line

    return "(not there)" if side is ABSENT else clean(one_line(side), VALUE_CHARS)


def _save(workspace: Workspace, file: str, before: str, after: str, as_json: bool) -> Exit:
    from core.config.edit import Edited
    from core.config.files import change_file
    from core.errors import NotPossible

    def put(now: str) -> Edited:
        if now != before:
            show_changes(before, after, file)
            raise NotPossible(
                f"{file} has changed while it was edited; nothing was saved",
                hint="above is what you changed: edit it anew",
            )
        return Edited(now, after)

    _, change = change_file(workspace, file, put, actor=actor(), action="edit", path=".", keep=kept_edits())
    if change is None:
        return Exit.OK
    if as_json:
        emit(jsonforms.edit(change, []))
    note(f"edit {change.number}; `{command('config', 'revert', str(change.number))}` takes it back")
    return Exit.OK
