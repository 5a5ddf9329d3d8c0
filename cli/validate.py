"""`windlass validate`: every fault of a workspace at once, without touching a server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.complete import complete_batches
from cli.environments import environment_option
from cli.exits import Exit
from cli.failures import fault_line
from cli.launch import perform, reader
from cli.options import json_option, workspace_folder, workspace_option
from cli.terminal import clean, emit, note, out, say
from cli.words import listed, plural

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.errors import Fault, InputError


@click.command()
@click.argument("batches", metavar="[BATCH]...", nargs=-1, shell_complete=complete_batches)
@environment_option
@json_option
@workspace_option
def validate(batches: Sequence[str], environment: str, as_json: bool) -> Exit:
    """Check the workspace: every fault with file:line:column.

    Looks at workspace.yaml, the servers, and the batches (all, or those named), each planned with its defaults
    where no parameter must be given. No server is connected to. Of the configuration what the batches use is looked at;
    `windlass config validate` checks all of it.
    """
    return perform(_validate(batches, environment, as_json))


async def _validate(batches: Sequence[str], environment: str, as_json: bool) -> Exit:
    from core.engine.validation import environments_of
    from core.errors import InputError

    folder = workspace_folder()
    faults: list[Fault] = []
    checked: list[str] = []
    try:
        async with reader(folder) as engine:
            info = await engine.workspace()
            faults += info.faults
            servers = await _servers(engine, faults)
            checked = await _batches(
                engine,
                folder,
                batches,
                faults,
                environments=[environment] if environment else environments_of(info),
                plan=servers is not None and not info.faults,
                empty=servers == 0,
            )
    except InputError as error:  # workspace.yaml itself, or a batch that is not there
        if not error.faults:
            raise
        faults += error.faults
    for fault in faults:
        if as_json:
            emit(jsonforms.fault(fault))
        else:
            file = fault.file if Path(fault.file).is_absolute() else str(folder / fault.file)
            out(clean(fault_line(file, fault.line, fault.column, fault.message, fault.hint)))
    if faults:
        say(f"{plural(len(faults), 'fault')}")
        return Exit.BAD_INPUT
    note(f"valid: {plural(servers or 0, 'server')}, {plural(len(checked), 'batch', 'batches')}")
    return Exit.OK


async def _servers(engine: Engine, faults: list[Fault]) -> int | None:
    """How many servers there are; None where the inventory has faults."""
    from core.errors import InputError

    try:
        return len(await engine.servers())
    except InputError as error:
        faults += _of(error)
        return None


async def _batches(
    engine: Engine,
    folder: Path,
    names: Sequence[str],
    faults: list[Fault],
    *,
    environments: Sequence[str],
    plan: bool,
    empty: bool,
) -> list[str]:
    """Checks batches and returns which; where the servers have faults plans would only repeat them.

    In a workspace without servers (`empty`) a batch that finds none is no fault.
    """
    from core.engine.validation import check_batch

    known = {batch.path: batch for batch in await engine.batches()}
    if names:
        from core.workspace.find import find_batch

        paths = [str(find_batch(name, folder)) for name in names]
    else:
        paths = list(known)
    for path in paths:
        batch = known.get(path)
        if batch is None or not (plan or batch.faults):
            continue
        checked = await check_batch(engine, batch, environments, empty=empty)
        faults += checked.faults
        for warning in checked.warnings:
            note(clean(f"{Path(path).name}: {warning}"))
        if checked.needs:
            asked = listed([f"--param {name}=VALUE" for name in checked.needs])
            note(f"{batch.name}: not planned, it needs {asked}")
    return paths


def _of(error: InputError) -> list[Fault]:
    """The faults of an error; one for the whole file where it has only a message."""
    from core.errors import Fault

    return list(error.faults) or [Fault("servers", 0, 0, error.message, error.hint)]
