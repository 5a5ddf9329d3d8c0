"""Which run and which task a command means; RUN may be left out: the newest that fits, told on stderr."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from cli.terminal import say
from core.errors import InputError
from core.model.ids import TaskKey
from core.model.states import OPEN_RUNS, RunState, TaskState, UndoState
from themes.signs import run_sign

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.views import RunInfo

LOOKED_AT = 200
MAX_NUMBER = 2**53


def split(words: Sequence[str]) -> tuple[int | None, list[str]]:
    """A leading run number and the rest. Raises InputError for a number that is none."""
    if words and words[0].isascii() and words[0].isdigit():
        number = int(words[0])
        if not 0 < number < MAX_NUMBER:
            raise InputError(f"{words[0]} is no run's number", hint="they count from 1")
        return number, list(words[1:])
    return None, list(words)


def task_key(text: str) -> TaskKey:
    """STEP@SERVER. Raises InputError."""
    step, sign, server = text.rpartition("@")
    if not sign or not step or not server:
        raise InputError(f"'{text}' names no task", hint="a task is STEP@SERVER, as in install@web-01")
    return TaskKey(step, server)


async def pick(
    engine: Engine,
    number: int | None,
    fits: Callable[[RunInfo], bool] = lambda run: True,
    what: str = "",
) -> RunInfo:
    """The run of that number, else the newest that fits. Raises InputError where there is none."""
    if number is not None:
        return await engine.run(number)
    runs = await engine.runs(limit=LOOKED_AT)
    for run in runs:
        if fits(run):
            word = run_sign(run.state, interrupted=run.interrupted).word
            say(f"run {run.number} ({run.batch}, {word})")
            return run
    if not runs:
        raise InputError("there is no run yet", hint="`windlass run BATCH` starts one")
    raise InputError(f"there is no run {what}".rstrip(), hint="`windlass runs list` shows where they stand")


def resumable(run: RunInfo) -> bool:
    """Open, and nobody carries it on (asked of an engine that owns the workspace)."""
    return run.state in OPEN_RUNS


def retryable(run: RunInfo) -> bool:
    """It has tasks that a retry opens again."""
    opened = (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.CANCELLED)
    return any(run.counts.get(state) for state in opened) and run.state in (
        RunState.FAILED,
        RunState.CANCELLED,
        RunState.WAITING,
        RunState.PAUSED,
    )


def undoable(run: RunInfo) -> bool:
    """A rollback makes sense without being asked for by number: it is open, or did not end well."""
    return run.state in OPEN_RUNS or run.state in (
        RunState.FAILED,
        RunState.CANCELLED,
        RunState.ROLLBACK_FAILED,
    )


def doubtful(run: RunInfo) -> bool:
    """It has tasks to decide."""
    return bool(run.counts.get(TaskState.IN_DOUBT) or run.undo_counts.get(UndoState.IN_DOUBT))
