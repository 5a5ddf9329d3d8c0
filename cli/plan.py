"""`windlass plan`: what a run of a batch would do. It changes nothing, on no server and in no file."""

from __future__ import annotations

import click

from cli import jsonforms, planview
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import batch_arguments, json_option, workspace_option
from cli.terminal import emit, out


@click.command()
@batch_arguments
@click.option("--connect", is_flag=True, help="Ask every server how commands run there, and what sudo says.")
@json_option
@workspace_option
def plan(batch: str, params: dict[str, str], limit: str, connect: bool, as_json: bool) -> Exit:
    """Show what a run of a batch would do; change nothing.

    BATCH is a name (batches/NAME.yaml) or a path. Every fault of the batch is told with its place. What the last
    session with a server was told of it is told here too; --connect asks anew, and names who does not answer.
    """
    return perform(_plan(batch, params, limit, connect, as_json))


async def _plan(batch: str, params: dict[str, str], limit: str, connect: bool, as_json: bool) -> Exit:
    from cli.selectors import check_limit
    from core.engine.api import PlanRequest

    async with reader() as engine:
        planned = await engine.plan(PlanRequest(batch, params, limit, connect))
    check_limit(planned, limit)
    if as_json:
        emit(jsonforms.plan(planned))
    else:
        for line in planview.whole(planned):
            out(line)
    return Exit.OK
