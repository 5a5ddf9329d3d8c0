"""`windlass run`: plans a batch, asks on a terminal, has it carried out and follows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from cli import jsonforms, planview
from cli.actor import actor
from cli.config_options import settings_options
from cli.environments import confirm_option, environment_option, tell_protection, typed_name
from cli.exits import Exit
from cli.launch import carrier, perform, reader
from cli.options import (
    batch_arguments,
    changed_folder,
    command,
    follow_options,
    foreground_option,
    workspace_option,
)
from cli.terminal import confirm, emit, interactive, out, say

if TYPE_CHECKING:
    from pathlib import Path

    from cli.follow import Following
    from core.engine.api import Engine, RunRequest

POLL_S = 0.5


@click.command()
@batch_arguments
@environment_option
@follow_options
@click.option("-y", "--yes", is_flag=True, help="Do not ask, also on a terminal.")
@click.option("--alongside", is_flag=True, help="Start although another open run holds some of the servers.")
@click.option(
    "--detach", is_flag=True, help="Start it in a background engine, print its number, and follow nothing."
)
@foreground_option
@click.option("--wait", is_flag=True, help="Wait until no other engine and no other run is in the way.")
@settings_options
@confirm_option
@workspace_option
def run(
    batch: str,
    params: dict[str, str],
    limit: str,
    environment: str,
    how: Following,
    yes: bool,
    alongside: bool,
    detach: bool,
    foreground: bool,
    wait: bool,
    settings: tuple[str, ...],
    texts: tuple[str, ...],
    typed: str,
) -> Exit:
    """Run a batch and follow it.

    BATCH is a name (batches/NAME.yaml) or a path. On a terminal the background engine carries it out, started
    where none runs: Ctrl-C, or the end of the terminal, only stops following. Without a terminal, or with
    --foreground, where no background engine runs, it is carried out here: the first Ctrl-C (or SIGTERM, SIGHUP)
    starts no further task, lets those in flight end and leaves the run resumable; the second stops at once. Without a
    terminal it asks nothing; where production needs its name typed, --confirm gives it.
    """
    from core.engine.api import PlanRequest, RunRequest

    asked = PlanRequest(batch, params, limit, False, environment, settings, texts)
    request = RunRequest(asked, actor(), alongside, confirm=typed)
    ask = not yes and interactive()
    if detach and foreground:
        raise click.UsageError("--detach and --foreground exclude each other")
    if detach:
        return perform(_detached(changed_folder(), request, how, ask=ask))
    return perform(_run(changed_folder(), request, how, ask=ask, wait=wait, foreground=foreground))


async def _detached(folder: Path, request: RunRequest, how: Following, *, ask: bool) -> Exit:
    from cli.launch import background
    from core.errors import WorkspaceOwned

    engine = await background(folder, start=True)
    if engine is None:
        async with reader(folder) as looking:
            owner = (await looking.workspace()).owner
        raise WorkspaceOwned(
            f"an engine that ends with its terminal owns this workspace: {owner}",
            hint="wait until it ends, or start the run there",
        )
    try:
        asked = await _approved(engine, request, ask=ask)
        if asked is None:
            return Exit.NEEDS_PERSON
        info = await engine.start(asked)
    finally:
        await engine.close()
    if how.as_json:
        emit(jsonforms.run(info))
    else:
        out(str(info.number))
    say(
        f"run {info.number} goes on in the background engine; follow it: {command('attach', str(info.number))}"
    )
    return Exit.OK


async def _run(
    folder: Path, request: RunRequest, how: Following, *, ask: bool, wait: bool, foreground: bool
) -> Exit:
    if not wait:
        async with carrier(folder, foreground=foreground) as engine:
            return await start(engine, request, how, ask=ask)
    from core.errors import NotPossible, ReadOnlyWorkspace, WorkspaceOwned

    told = ""
    while True:
        try:
            async with carrier(folder, foreground=foreground) as engine:
                if request.alongside or not (await engine.plan(request.plan)).held:
                    return await start(engine, request, how, ask=ask)
                raise NotPossible("the servers are held by another run")
        except ReadOnlyWorkspace:
            raise  # no waiting changes that
        except (WorkspaceOwned, NotPossible) as error:
            if error.message != told:
                told = error.message
                say(f"waiting: {told}")
        await _until_free(folder, request, foreground)


async def _until_free(folder: Path, request: RunRequest, foreground: bool) -> None:
    """Waits, without owning anything, until an engine is free to carry it out and no open run holds the servers."""
    async with reader(folder) as engine:
        while True:
            await asyncio.sleep(POLL_S)
            owner = (await engine.workspace()).owner
            if owner is not None and (foreground or not owner.background):
                continue
            if request.alongside or not (await engine.plan(request.plan)).held:
                return


async def start(engine: Engine, request: RunRequest, how: Following, *, ask: bool) -> Exit:
    """Plans, tells, asks, starts exactly what was told, and follows."""
    from cli.follow import act_and_follow

    asked = await _approved(engine, request, ask=ask)
    if asked is None:
        return Exit.NEEDS_PERSON
    return await act_and_follow(engine, lambda: engine.start(asked), how)


async def _approved(engine: Engine, request: RunRequest, *, ask: bool) -> RunRequest | None:
    """Plans, tells and asks: the request for exactly what was told, None where the person does not want it."""
    from dataclasses import replace

    from cli.selectors import check_limit

    plan = await engine.plan(request.plan)
    check_limit(plan, request.plan.limit)
    tell_protection(plan.place, plan.protection)
    say(planview.headline(plan))
    for line in planview.notices(plan):
        say(line)
    why = f"needs its name: {'; '.join(plan.confirm_why)}"
    typed = typed_name(plan.confirm, why, request.confirm)
    if ask and not plan.confirm and not confirm("Start this run?"):
        say("nothing was started")
        return None
    return replace(request, digest=plan.digest, confirm=typed)
