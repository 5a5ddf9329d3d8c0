"""`windlass runs diff`: the batch file as it is now against the text that a run was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.complete import complete_runs
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import command, workspace_option
from cli.terminal import clean, note, out, say

if TYPE_CHECKING:
    from core.engine.api import Engine


@click.command()
@click.argument("run", required=False, type=click.IntRange(1), shell_complete=complete_runs)
@workspace_option
def diff(run: int | None) -> Exit:
    """Show how a batch file differs from what a run was made from.

    A run goes on from its stored text whatever became of the file; a new run takes the file as it is. Nothing is
    printed where the two are the same.
    """
    return perform(_diff(run))


async def _diff(number: int | None) -> Exit:
    from cli.choose import pick

    async with reader() as engine:
        found = await pick(engine, number)
        told = await engine.batch_changes(found.number)
    for line in told.splitlines():
        out(clean(line))
    if not told:
        note(f"the batch is as run {found.number} was made from it")
    return Exit.OK


async def tell_changes(engine: Engine, number: int) -> None:
    """Says on stderr that a batch file has changed since the run was made, and what that means."""
    if await engine.batch_changes(number):
        say(
            f"the batch file has changed since run {number} was made: the run goes on from its stored text; "
            f"`{command('runs', 'diff', str(number))}` shows the difference, a new run takes it over"
        )
