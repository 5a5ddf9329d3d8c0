"""How a run stands, in the end: one line on stdout, and on stderr what failed, what it printed, what to do next."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli import doubts
from cli.choose import doubtful
from cli.options import command
from cli.terminal import clean, note, out, paint, say, signed
from cli.words import counted, duration, plural
from core.model.states import Asked, RunState, TaskState, UndoState
from core.report.gather import last_lines
from themes.signs import TASK_SIGNS, UNDO_SIGNS, run_sign

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.views import RunInfo, StepInfo, TaskInfo

FAILED_SHOWN = 5
TAIL_LINES = 10


def headline(run: RunInfo, now: float) -> str:
    """A run in one line: "✓ done  run 44 web-rollout: 96 tasks on 12 servers in 1m 04s: 90 done, 6 in place"."""
    took = duration((run.ended if run.ended is not None else now) - run.created)
    where = f"{plural(run.tasks, 'task')} on {plural(run.servers, 'server')}"
    text = f"{signed(run_sign(run.state, interrupted=run.interrupted), sys.stdout)}  run {run.number} "
    text += f"{clean(run.batch)}: {where} in {took}: {counted(run.counts) or 'none'}"
    undone = {
        state: count for state, count in run.undo_counts.items() if state is not UndoState.NONE and count
    }
    if undone:
        text += "; " + ", ".join(f"{count} {UNDO_SIGNS[state].word}" for state, count in undone.items())
    return text


async def tell_next(engine: Engine, run: RunInfo) -> None:
    """Tells only what to do next, and what to decide."""
    trouble = await doubts.every_task(engine, run.number, TaskState.FAILED, TaskState.UNREACHABLE)
    if run.state is RunState.WAITING:
        await doubts.tell_doubts(engine, run)
    for line in next_steps(run, trouble, undoable=can_undo(await engine.steps(run.number))):
        note(line)


async def tell_end(engine: Engine, run: RunInfo, *, as_json: bool = False, brief: bool = False) -> None:
    """Tells how a followed run stands. With `as_json` stdout keeps to its objects.

    With `brief` the output is on stdout already: failures are not told again, and the line goes to stderr.
    """
    trouble = await doubts.every_task(engine, run.number, TaskState.FAILED, TaskState.UNREACHABLE)
    if not brief:
        await tell_failures(engine, run, trouble)
    if run.state is RunState.WAITING:
        await doubts.tell_doubts(engine, run)
    for line in next_steps(run, trouble, undoable=can_undo(await engine.steps(run.number))):
        note(line)
    if not as_json:
        line = headline(run, time.time())
        if run.state is RunState.DONE and trouble:
            names = ", ".join(str(task.key) for task in trouble[:FAILED_SHOWN])
            more = f" and {len(trouble) - FAILED_SHOWN} more" if len(trouble) > FAILED_SHOWN else ""
            line += f"; within max_failures: {clean(names)}{more}"
        (say if brief else out)(line)


async def tell_failures(engine: Engine, run: RunInfo, trouble: list[TaskInfo]) -> None:
    """The first failed tasks with the last lines of their output, on stderr."""
    for task in trouble[:FAILED_SHOWN]:
        sign = signed(TASK_SIGNS[task.state], sys.stderr)
        tries = f"attempt {task.attempt} of {task.attempts}: " if task.attempts > 1 and task.attempt else ""
        say(f"{sign}  {clean(str(task.key))}  {tries}{clean(task.why)}".rstrip())
        if task.state is TaskState.FAILED:
            for line in await last_lines(engine, run.number, task, TAIL_LINES):
                say(f"    {paint('|', 'muted', sys.stderr)} {line}")
    if len(trouble) > FAILED_SHOWN:
        rest = plural(len(trouble) - FAILED_SHOWN, "task")
        say(f"and {rest} more: {command('runs', 'show', str(run.number))}")


def can_undo(steps: Sequence[StepInfo]) -> bool:
    """Whether any step that changes something has an undo."""
    return any(not step.irreversible and step.kind != "wait" for step in steps)


def next_steps(run: RunInfo, trouble: list[TaskInfo], *, undoable: bool) -> list[str]:
    """What a person may do now, as commands."""
    number = str(run.number)
    steps: list[tuple[str, str]] = []
    failed = [task for task in trouble if task.state is TaskState.FAILED]
    if failed and run.state is not RunState.DONE:
        steps.append(("its output:", command("runs", "logs", number, str(failed[0].key))))
    match run.state:
        case RunState.FAILED | RunState.CANCELLED if failed or run.state is RunState.FAILED:
            steps.append(("try again:", command("runs", "retry", number)))
        case RunState.ROLLBACK_FAILED:
            steps.append(("look at it:", command("runs", "show", number)))
        case RunState.PAUSED:
            steps.append(("go on:", command("runs", "resume", number)))
        case RunState.WAITING if not doubtful(run):
            steps.append(("go on:", command("runs", "resume", number)))
        case _:
            pass
    over = (RunState.FAILED, RunState.CANCELLED, RunState.WAITING, RunState.ROLLBACK_FAILED)
    if undoable and run.state in over and run.asked is not Asked.ROLL_BACK:
        steps.append(("undo it:", command("runs", "rollback", number)))
    elif undoable and run.state is RunState.ROLLBACK_FAILED:
        steps.append(("undo again:", command("runs", "rollback", number)))
    width = max((len(what) for what, _ in steps), default=0)
    return [f"{what:<{width}} {how}" for what, how in steps]
