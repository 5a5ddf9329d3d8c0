"""`windlass plan`: what a run of a batch would do. It changes nothing, on no server and in no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import jsonforms, planview
from cli.config_options import settings_options
from cli.environments import environment_option
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import batch_arguments, json_option, workspace_option
from cli.terminal import emit, out

if TYPE_CHECKING:
    from core.engine.api import PlanRequest


@click.command()
@batch_arguments
@environment_option
@click.option("--connect", is_flag=True, help="Ask every server how commands run there, and what sudo says.")
@settings_options
@json_option
@workspace_option
def plan(
    batch: str,
    params: dict[str, str],
    limit: str,
    environment: str,
    connect: bool,
    settings: tuple[str, ...],
    texts: tuple[str, ...],
    as_json: bool,
) -> Exit:
    """Show what a run of a batch would do; change nothing.

    BATCH is a name (batches/NAME.yaml) or a path. Every fault of the batch is told with its place. What the last
    session with a server was told of it is told here too; --connect asks anew, and names who does not answer.
    """
    from core.engine.api import PlanRequest

    request = PlanRequest(batch, params, limit, connect, environment, settings, texts)
    return perform(_plan(request, as_json))


async def _plan(request: PlanRequest, as_json: bool) -> Exit:
    from cli.selectors import check_limit

    async with reader() as engine:
        planned = await engine.plan(request)
    check_limit(planned, request.limit)
    if as_json:
        emit(jsonforms.plan(planned))
    else:
        for line in planview.whole(planned):
            out(line)
    return Exit.OK
