"""`windlass runs resume, retry, decide, pause, cancel, rollback`: each opens the engine, acts, and follows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import click

from cli.actor import actor
from cli.complete import complete_runs, complete_steps
from cli.environments import confirm_option, tell_protection, typed_name
from cli.exits import Exit, status_of
from cli.launch import carrier, perform, steerer
from cli.options import command, follow_options, foreground_option, selector_option, workspace_option
from cli.terminal import clean, confirm, interactive, say

if TYPE_CHECKING:
    from cli.follow import Following
    from core.engine.api import Engine
    from core.model.views import RunInfo

reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is kept with the run.")
run_argument = click.argument("run", required=False, type=click.IntRange(1), shell_complete=complete_runs)


@click.command()
@run_argument
@foreground_option
@follow_options
@workspace_option
def resume(run: int | None, foreground: bool, how: Following) -> Exit:
    """Carry on a paused or interrupted run.

    It goes on from its stored snapshot; done work is not repeated. Tasks in doubt are probed first; what evidence
    does not settle waits for a decision, or is decided by --in-doubt.
    """
    return perform(_resume(run, foreground, how))


async def _resume(number: int | None, foreground: bool, how: Following) -> Exit:
    from cli.choose import pick, resumable
    from cli.follow import act_and_follow
    from cli.runs_diff import tell_changes

    async with carrier(foreground=foreground) as engine:
        run = await pick(engine, number, resumable, "to resume")
        await tell_changes(engine, run.number)
        return await act_and_follow(engine, lambda: engine.resume(run.number, actor=actor()), how)


@click.command()
@click.argument("words", metavar="[RUN] [TASK]...", nargs=-1, shell_complete=complete_runs)
@click.option("--accept-risk", is_flag=True, help="Also tasks that may have run, and may still be running.")
@foreground_option
@follow_options
@workspace_option
def retry(words: Sequence[str], accept_risk: bool, foreground: bool, how: Following) -> Exit:
    """Open failed tasks again and carry on.

    Without TASK (STEP@SERVER) all failed and unreachable ones, with what they had blocked.
    """
    return perform(_retry(words, accept_risk, foreground, how))


async def _retry(words: Sequence[str], accept_risk: bool, foreground: bool, how: Following) -> Exit:
    from cli.choose import pick, retryable, split, task_key
    from cli.follow import act_and_follow

    number, rest = split(words)
    keys = [task_key(word) for word in rest]
    async with carrier(foreground=foreground) as engine:
        run = await pick(engine, number, retryable, "with failed tasks to retry")

        async def act() -> RunInfo:
            return await engine.retry(run.number, actor=actor(), tasks=keys, accept_risk=accept_risk)

        return await act_and_follow(engine, act, how)


@click.command()
@click.argument("words", metavar="[RUN] [TASK]... DECISION", nargs=-1, shell_complete=complete_runs)
@click.option("--all", "every", is_flag=True, help="Every task in doubt.")
@click.option("--reason", required=True, metavar="TEXT", help="What you know; it is kept with the decision.")
@click.option("--no-resume", is_flag=True, help="Only decide: do not carry the run on.")
@foreground_option
@follow_options
@workspace_option
def decide(
    words: Sequence[str], every: bool, reason: str, no_resume: bool, foreground: bool, how: Following
) -> Exit:
    """Decide a task in doubt: retry, done, failed or skip.

    DECISION is one of: retry (runs the command again although it may have run), done, failed, skip. When nothing
    is in doubt any more the run goes on and is followed.
    """
    return perform(_decide(words, every, reason, no_resume, foreground, how))


async def _decide(
    words: Sequence[str], every: bool, reason: str, no_resume: bool, foreground: bool, how: Following
) -> Exit:
    from cli.choose import doubtful, pick, split, task_key
    from cli.doubts import tasks_in_doubt, tell_doubts
    from cli.follow import act_and_follow
    from core.errors import InputError
    from core.model.states import Asked, Decision

    number, rest = split(words)
    known = ", ".join(decision.value for decision in Decision)
    if not rest or rest[-1] not in {decision.value for decision in Decision}:
        raise InputError("the last word is the decision", hint=f"one of: {known}")
    decision = Decision(rest[-1])
    keys = [task_key(word) for word in rest[:-1]]
    if bool(keys) == every:
        raise InputError("name the tasks to decide (STEP@SERVER), or say --all")
    async with carrier(foreground=foreground, steers=True) as engine:
        run = await pick(engine, number, doubtful, "with a task in doubt")
        if every:
            keys = [task.key for task in await tasks_in_doubt(engine, run)]
        for key in keys:
            run = await engine.decide(run.number, key, decision, actor=actor(), reason=reason)
            say(f"{key}: {decision.value}")
        if doubtful(run):
            await tell_doubts(engine, run)
            return Exit.NEEDS_PERSON
        if not (await engine.workspace()).owned:
            say("the command that executes it goes on with it")
            return Exit.OK
        if no_resume or not run.state.open or run.asked is Asked.PAUSE:
            return await _tell(engine, run, how)
        return await act_and_follow(engine, lambda: engine.resume(run.number, actor=actor()), how)


@click.command()
@run_argument
@reason_option
@follow_options
@workspace_option
def pause(run: int | None, reason: str, how: Following) -> Exit:
    """Start no further task of a run.

    Also one that another command executes: it goes on to the end of what is in flight there.
    """

    async def act(engine: Engine, number: int) -> RunInfo:
        return await engine.pause(number, actor=actor(), reason=reason)

    return perform(_end(run, act, "to pause", how))


@click.command()
@run_argument
@reason_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask, also on a terminal.")
@follow_options
@workspace_option
def cancel(run: int | None, reason: str, yes: bool, how: Following) -> Exit:
    """End a run without finishing it.

    What has not started never will, and what was done stays done: `windlass runs rollback` undoes it.
    """

    async def act(engine: Engine, number: int) -> RunInfo:
        return await engine.cancel(number, actor=actor(), reason=reason)

    return perform(_end(run, act, "to cancel", how, ask="" if yes else "Cancel run {}?"))


async def _end(
    number: int | None,
    act: Callable[[Engine, int], Awaitable[RunInfo]],
    what: str,
    how: Following,
    ask: str = "",
) -> Exit:
    from cli.choose import pick, resumable
    from cli.follow import act_and_follow

    async with steerer() as engine:
        run = await pick(engine, number, resumable, what)
        if ask and interactive() and not confirm(ask.format(run.number)):
            say("nothing was changed")
            return Exit.NEEDS_PERSON
        return await act_and_follow(engine, lambda: act(engine, run.number), how)


@click.command()
@run_argument
@click.option(
    "--step", "steps", multiple=True, shell_complete=complete_steps, help="Only this step; may be repeated."
)
@selector_option("Only these servers.")
@reason_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask, also on a terminal.")
@confirm_option
@foreground_option
@follow_options
@workspace_option
def rollback(
    run: int | None,
    steps: Sequence[str],
    limit: str,
    reason: str,
    yes: bool,
    typed: str,
    foreground: bool,
    how: Following,
) -> Exit:
    """Undo what a run did, in reverse order.

    It covers each task of which an attempt was handed over, whatever came of it; steps without an undo stay as
    they are. Without RUN it is the newest run that is open or did not end well.
    """
    return perform(_rollback(run, list(steps), limit, reason, yes, typed, foreground, how))


async def _rollback(
    number: int | None,
    steps: list[str],
    limit: str,
    reason: str,
    yes: bool,
    typed: str,
    foreground: bool,
    how: Following,
) -> Exit:
    from cli.choose import pick, undoable
    from cli.follow import act_and_follow

    async with carrier(foreground=foreground) as engine:
        run = await pick(engine, number, undoable, "to roll back (name one that ended well by its number)")
        kept = [step.name for step in await engine.steps(run.number) if step.irreversible]
        if kept:
            say(f"irreversible, stays as it is: {', '.join(kept)}")
        if run.confirm:
            tell_protection(run.confirm, "production")
            typed = typed_name(run.confirm, "a rollback takes back what was done: it needs the name", typed)
        elif not yes and interactive() and not confirm(f"Roll back run {run.number}?"):
            say("nothing was changed")
            return Exit.NEEDS_PERSON

        async def act() -> RunInfo:
            return await engine.roll_back(
                run.number, actor=actor(), steps=steps, limit=limit, reason=reason, confirm=typed
            )

        return await act_and_follow(engine, act, how)


@click.command()
@run_argument
@click.option("--release", is_flag=True, help="Give it back.")
@click.option(
    "-y", "--yes", is_flag=True, help="Do not ask; needed without a terminal where somebody has it."
)
@workspace_option
def control(run: int | None, release: bool, yes: bool) -> Exit:
    """Take the control of a run, so that nobody else changes it.

    While you have it others may look on and pause the run; whoever wants more takes the control over first, which is
    recorded with both names. It is yours at this terminal, or with your token, until you give it back.
    """
    return perform(_control(run, release, yes))


async def _control(number: int | None, release: bool, yes: bool) -> Exit:
    from cli.choose import pick
    from core.errors import NeedsPerson
    from core.model.actors import place

    here = place(actor())
    async with steerer() as engine:
        run = await pick(engine, number, lambda run: run.state.open, "that is not over")
        there = place(run.controller)
        if not release and there not in ("", here) and not yes:
            told = f"{there} has the control of run {run.number}"
            if not interactive():
                raise NeedsPerson(
                    f"{told}: without a terminal taking it needs --yes", hint="nothing was changed"
                )
            if not confirm(clean(f"{told}. Take it over?")):
                say("nothing was changed")
                return Exit.NEEDS_PERSON
        run = await engine.control(run.number, actor=actor(), take=not release)
        if release:
            say(f"nobody has the control of run {run.number}")
        else:
            say(
                clean(
                    f"{place(run.controller)} has the control of run {run.number}: others may only pause it"
                )
            )
            say(f"give it back with: {command('runs', 'control', str(run.number), '--release')}")
    return Exit.OK


async def _tell(engine: Engine, run: RunInfo, how: Following) -> Exit:
    from cli import jsonforms
    from cli.summary import tell_end
    from cli.terminal import emit

    status = status_of(run)
    if how.as_json:
        emit(jsonforms.result(run, status))
    await tell_end(engine, run, as_json=how.as_json)
    return status
