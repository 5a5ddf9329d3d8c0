"""`windlass config validate, diff`: whole environments, checked and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli import jsonforms
from cli.complete import complete_environments
from cli.config_options import opened, path_argument, settings_options
from cli.environments import environment_option
from cli.exits import Exit
from cli.failures import fault_line
from cli.options import json_option, workspace_folder, workspace_option
from cli.terminal import Cell, clean, emit, note, out, say, table
from cli.words import plural

if TYPE_CHECKING:
    from core.errors import Fault

VALUE_CHARS = 48


@click.command()
@environment_option
@settings_options
@json_option
@workspace_option
def validate(environment: str, settings: tuple[str, ...], texts: tuple[str, ...], as_json: bool) -> Exit:
    """Check the configuration: every fault with its place.

    Without --environment every environment is checked; where there is none, the workspace's own values are. Where
    there is a config/schema.yaml, the values must fit that JSON Schema as well.
    """
    from core.workspace.folder import Workspace

    folder = workspace_folder()
    known = [] if environment else Workspace.load(folder).known_environments()
    chosen = [environment] if environment else [one.name for one in known] or [""]
    faults: list[Fault] = []
    values = 0
    for name in chosen:
        found, count = _checked(name, settings, texts)
        faults += [fault for fault in found if fault not in faults]
        values += count
    for fault in faults:
        if as_json:
            emit(jsonforms.fault(fault))
        else:
            file = str(folder / fault.file) if (folder / fault.file).is_file() else fault.file
            out(clean(fault_line(file, fault.line, fault.column, fault.message, fault.hint)))
    if faults:
        say(plural(len(faults), "fault"))
        return Exit.BAD_INPUT
    named = ", ".join(filter(None, chosen))
    note(f"valid: {plural(values, 'value')}" + (f" in {named}" if named else ""))
    return Exit.OK


def _checked(name: str, settings: tuple[str, ...], texts: tuple[str, ...]) -> tuple[list[Fault], int]:
    """The faults of one environment, and how many values it has."""
    from core.config.check import all_faults
    from core.config.load import leaves
    from core.errors import InputError

    try:
        resolver = opened(name, settings, texts)
    except InputError as error:
        if not error.faults:
            raise
        return list(error.faults), 0
    return all_faults(resolver, workspace_folder()), len(leaves(resolver.config))


@click.command()
@click.argument("left", shell_complete=complete_environments)
@click.argument("right", shell_complete=complete_environments)
@path_argument(required=False)
@json_option
@workspace_option
def diff(left: str, right: str, path: str, as_json: bool) -> Exit:
    """Tell how two environments differ, by their values.

    LEFT and RIGHT are environments; - is the workspace without one. Values are compared as they are worked out:
    what is written differently and comes to the same is no difference. PATH narrows it to what lies below.
    """
    from core.config import paths
    from core.config.compare import ABSENT, differences

    below = paths.parse(path) if path else ()
    found = list(differences(_values(left, below), _values(right, below), below))
    rows: list[list[Cell]] = []
    for difference in found:
        sides = [difference.left, difference.right]
        if as_json:
            shown = [None if side is ABSENT else side for side in sides]
            absent = left if sides[0] is ABSENT else right if sides[1] is ABSENT else None
            emit(jsonforms.difference(paths.show(difference.path), (left, right), shown, absent))
        rows.append([paths.show(difference.path), *map(_shown, sides)])
    if not as_json and rows:
        for line in table(("PATH", left, right), rows):
            out(line)
    if not rows:
        note(f"{left} and {right} come to the same values")
    return Exit.OK


def _values(environment: str, below: tuple[str | int, ...]) -> Any:
    """The values of an environment below a path; what stands for nothing where it has none there."""
    from core.config.compare import ABSENT
    from core.errors import InputError

    resolver = opened("" if environment == "-" else environment)
    faults = resolver.faults(below)
    if faults:
        told = (
            f"the values of {environment} cannot be worked out" if environment != "-" else "values are faulty"
        )
        raise InputError(told, faults=faults)
    if below and resolver.config.find(below) is None:
        return ABSENT
    return resolver.value(below)


def _shown(side: Any) -> Cell:
    from core.config.compare import ABSENT
    from core.config.render import one_line

    return ("(not there)", "muted") if side is ABSENT else clean(one_line(side), VALUE_CHARS)
