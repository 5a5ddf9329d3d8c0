"""`windlass config validate`: whole environments, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.config_options import opened, settings_options
from cli.environments import environment_option
from cli.exits import Exit
from cli.failures import fault_line
from cli.options import json_option, workspace_folder, workspace_option
from cli.terminal import clean, emit, note, out, say
from cli.words import plural

if TYPE_CHECKING:
    from core.errors import Fault


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
    from core.config.check import all_faults, secret_faults
    from core.config.load import leaves
    from core.errors import InputError
    from core.workspace.folder import Workspace

    try:
        resolver = opened(name, settings, texts)
    except InputError as error:
        if not error.faults:
            raise
        return list(error.faults), 0
    folder = workspace_folder()
    faults = [*all_faults(resolver, folder), *secret_faults(resolver, Workspace.load(folder))]
    return faults, len(leaves(resolver.config))
