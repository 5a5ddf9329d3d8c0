"""`windlass runs list, show, watch, wait`: they read only, whoever owns the workspace."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli import jsonforms
from cli.actor import at_terminal
from cli.complete import complete_batches, complete_runs
from cli.exits import Exit, status_of
from cli.launch import elsewhere, perform, reader
from cli.options import json_option, parse_cursor, workspace_option
from cli.terminal import Cell, ascii_only, emit, note, out, table
from cli.words import ago, counted, duration
from core.model.actors import place

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.views import RunInfo, WorkspaceInfo

STATES = (
    "running",
    "paused",
    "waiting_for_person",
    "done",
    "failed",
    "cancelled",
    "rolling_back",
    "rolled_back",
    "rollback_failed",
)
"""As core.model.states.RunState has them; a test holds the two together."""


@click.command("list")
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Only runs in this state.")
@click.option(
    "--batch", default="", metavar="NAME", shell_complete=complete_batches, help="Only of this batch."
)
@click.option(
    "-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="How many."
)
@click.option("--before", type=click.IntRange(1), metavar="RUN", help="Only runs older than this one.")
@json_option
@workspace_option
def list_runs(states: Sequence[str], batch: str, limit: int, before: int | None, as_json: bool) -> Exit:
    """List the runs, newest first."""
    return perform(_list(states, batch, limit, before, as_json))


async def _list(states: Sequence[str], batch: str, limit: int, before: int | None, as_json: bool) -> Exit:
    from core.model.states import RunState

    async with reader() as engine:
        found = await engine.runs(
            states=[RunState(state) for state in states], batch=batch, limit=limit, before=before
        )
    if as_json:
        for run in found:
            emit(jsonforms.run(run))
    elif found:
        now = time.time()
        headers = ("RUN", "BATCH", "STATE", "TASKS", "SERVERS", "TOOK", "STARTED", "BY", "WHY")
        for line in table(
            headers, [_row(run, now) for run in found], right=("RUN", "TASKS", "SERVERS", "TOOK")
        ):
            out(line)
    else:
        note(
            "no run yet: `windlass run BATCH` starts one"
            if not (states or batch or before)
            else "no such run"
        )
    return Exit.OK


def _row(run: RunInfo, now: float) -> list[Cell]:
    from themes.signs import run_sign

    sign = run_sign(run.state, interrupted=run.interrupted)
    took = duration((run.ended if run.ended is not None else now) - run.created)
    return [
        str(run.number),
        run.batch,
        (sign.text(ascii_only=ascii_only()), sign.role),
        f"{run.ended_tasks}/{run.tasks}",
        str(run.servers),
        took if run.ended is not None or not run.interrupted else "",
        ago(run.created, now),
        place(run.actor),
        run.why or (counted(run.counts) if run.state.open else ""),
    ]


@click.command()
@click.argument("words", metavar="[RUN] [TASK]", nargs=-1, shell_complete=complete_runs)
@click.option("--tasks", "all_tasks", is_flag=True, help="List every task, not only those with trouble.")
@click.option("--step", default="", metavar="STEP", help="List the tasks of this step.")
@json_option
@workspace_option
def show(words: Sequence[str], all_tasks: bool, step: str, as_json: bool) -> Exit:
    """Show a run or a task: where it stands, why, what to do next.

    TASK is STEP@SERVER: its attempts, its evidence, and why it stands where it stands.
    """
    return perform(_show(words, all_tasks, step, as_json))


async def _show(words: Sequence[str], all_tasks: bool, step: str, as_json: bool) -> Exit:
    from cli import runs_show
    from cli.choose import pick, split, task_key
    from core.errors import InputError

    number, rest = split(words)
    if len(rest) > 1:
        raise InputError(f"one task at a time: {' '.join(rest)}")
    async with reader() as engine:
        run = await pick(engine, number)
        if rest:
            await runs_show.show_task(engine, run, task_key(rest[0]), as_json=as_json)
        else:
            await runs_show.show_run(engine, run, all_tasks=all_tasks, step=step, as_json=as_json)
    return Exit.OK


def _following(name: str) -> Callable[[Callable[..., Exit]], click.Command]:
    """A command that follows a run, under one of its names."""

    def decorate(function: Callable[..., Exit]) -> click.Command:
        for option in (
            workspace_option,
            json_option,
            click.option(
                "--plain",
                is_flag=True,
                help="Sentences on stdout, without signs and columns, as a screen reader wants them.",
            ),
            click.option("--output", is_flag=True, help="Print what the tasks print as well."),
            click.option(
                "--after",
                default="0",
                metavar="[INCARNATION:]SEQ",
                callback=parse_cursor,
                help="Only events after this one; with its incarnation a number of another one is refused.",
            ),
            click.option(
                "--url", default="", help="An engine elsewhere: http://127.0.0.1:7411, as `ssh -L` brings it."
            ),
            click.option(
                "--token-file",
                type=click.Path(path_type=Path),
                help="The file (0600) with the token that --url asks for.",
            ),
            click.option(
                "--ca",
                type=click.Path(path_type=Path),
                help="The certificates that an https --url is checked against, instead of the system's.",
            ),
            click.argument("run", required=False, type=click.IntRange(1), shell_complete=complete_runs),
        ):
            function = option(function)
        return click.command(name)(function)

    return decorate


@_following("watch")
def watch(**given: Any) -> Exit:
    """Follow a run live, whoever executes it.

    It begins with what happened so far, and ends with the run's status when the run ended, is paused, waits for
    a person, or is interrupted. Ctrl-C ends the watching and nothing else.
    """
    return _follow(**given)


@_following("attach")
def attach(**given: Any) -> Exit:
    """Follow a run that goes on elsewhere (also: runs watch).

    Without a number it is the newest open run. It begins with what happened so far; Ctrl-C ends the watching and
    nothing else.
    """
    return _follow(**given)


def _follow(
    run: int | None,
    after: tuple[str, int],
    url: str,
    token_file: Path | None,
    ca: Path | None,
    output: bool,
    plain: bool,
    as_json: bool,
) -> Exit:
    if plain and as_json:
        raise click.UsageError("--plain and --json exclude each other")
    return perform(_watch(_looking(url, token_file, ca), run, after, output, as_json, plain))


def _looking(url: str, token_file: Path | None, ca: Path | None) -> AbstractAsyncContextManager[Engine]:
    """What is looked at: the workspace at hand, or an engine elsewhere."""
    if not url:
        if token_file is not None or ca is not None:
            raise click.UsageError("--token-file and --ca are for --url")
        return reader()
    if token_file is None:
        raise click.UsageError(
            "--url needs --token-file: a token in an address or a command line is seen by others"
        )
    return elsewhere(url, token_file, ca)


def _present(info: WorkspaceInfo, run: int, *, elsewhere: bool) -> AbstractContextManager[object]:
    """Lets others see who watches; of an engine elsewhere that is told by the engine itself."""
    from core.engine.presence import Presence
    from core.workspace.folder import Workspace

    if elsewhere:
        return nullcontext()
    return Presence(Workspace.open(Path(info.path)).state_dir, at_terminal(), "watching", run)


async def _watch(
    looking: AbstractAsyncContextManager[Engine],
    number: int | None,
    after: tuple[str, int],
    output: bool,
    as_json: bool,
    plain: bool,
) -> Exit:
    from cli.choose import pick
    from cli.follow import Following
    from cli.follow import watch as follow

    async with looking as engine:
        incarnation, seq = after
        if incarnation:
            await engine.events(seq, limit=1, incarnation=incarnation)  # refuses a cursor of another one
        run = await pick(engine, number)
        with _present(await engine.workspace(), run.number, elsewhere=engine.elsewhere):
            return await follow(engine, run.number, seq, Following(as_json, output, plain=plain))


@click.command()
@click.argument("run", required=False, type=click.IntRange(1), shell_complete=complete_runs)
@json_option
@workspace_option
def wait(run: int | None, as_json: bool) -> Exit:
    """Wait until a run ends; end with its status.

    It returns as well when the run is paused or waits for a person (4), or is interrupted (130).
    """
    return perform(_wait(run, as_json))


async def _wait(number: int | None, as_json: bool) -> Exit:
    from cli.choose import pick
    from cli.summary import headline

    async with reader() as engine:
        run = await pick(engine, number)
        run = await engine.wait(run.number)
    status = status_of(run)
    if as_json:
        emit(jsonforms.result(run, status))
    else:
        out(headline(run, time.time()))
    return status
