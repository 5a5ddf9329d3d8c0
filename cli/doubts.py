"""Tasks in doubt without a person: what `--in-doubt` decides, and what a person is told to decide.

The policy decides a task once in one command: one that is in doubt again afterwards waits for a person.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cli.actor import actor
from cli.options import command
from cli.terminal import clean, note, say, signed
from cli.words import listed, plural
from core.model.ids import TaskKey
from core.model.states import Decision, InDoubtPolicy, TaskState, UndoState
from themes.signs import TASK_SIGNS, UNDO_SIGNS, Sign

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.views import RunInfo, TaskInfo

DECISIONS = {InDoubtPolicy.RETRY: Decision.RETRY, InDoubtPolicy.SKIP: Decision.SKIP}


async def tasks_in_doubt(engine: Engine, run: RunInfo) -> list[TaskInfo]:
    """Every task whose outcome, or whose undo's outcome, nobody knows."""
    found = list(await every_task(engine, run.number, TaskState.IN_DOUBT))
    if run.undo_counts.get(UndoState.IN_DOUBT):
        known = {task.key for task in found}
        found += [
            task
            for task in await every_task(engine, run.number)
            if task.undo is UndoState.IN_DOUBT and task.key not in known
        ]
    return found


async def every_task(engine: Engine, number: int, *states: TaskState) -> list[TaskInfo]:
    """All tasks of a run in these states (any when none is given), by index."""
    found: list[TaskInfo] = []
    after = -1
    while page := await engine.tasks(number, states=states, after=after):
        found += page
        after = page[-1].index
    return found


async def decide_by_policy(
    engine: Engine, run: RunInfo, policy: InDoubtPolicy, decided: set[TaskKey]
) -> bool:
    """Decides what the policy may decide and `decided` does not hold yet; True where anything was."""
    decision = DECISIONS.get(policy)
    if decision is None:
        return False
    some = False
    for task in await tasks_in_doubt(engine, run):
        skipped_undo = task.undo is UndoState.IN_DOUBT and decision is Decision.SKIP
        if task.key in decided or skipped_undo:
            continue
        decided.add(task.key)
        await engine.decide(
            run.number, task.key, decision, actor=actor(), reason=f"--in-doubt {policy.value}"
        )
        some = True
    return some


async def tell_doubts(engine: Engine, run: RunInfo) -> None:
    """Names the tasks in doubt and the commands that decide them, on stderr."""
    tasks = await tasks_in_doubt(engine, run)
    if not tasks:
        return
    say(f"{plural(len(tasks), 'task')} in doubt: nobody knows whether the command ran")
    for (sign, known), names in _by_evidence(tasks).items():
        say(f"  {signed(sign, sys.stderr)}  {clean(listed(names))}" + (f": {clean(known)}" if known else ""))
    number, first = str(run.number), str(tasks[0].key)
    note("ask the servers again:")
    note(f"  {command('runs', 'resume', number)}")
    note("what is known, and what each decision does:")
    note(f"  {command('runs', 'show', number, first)}")
    note("decide (retry runs the command again; done, failed and skip record what you know):")
    note(f"  {command('runs', 'decide', number, first, 'retry', '--reason')} TEXT")


def _by_evidence(tasks: list[TaskInfo]) -> dict[tuple[Sign, str], list[str]]:
    """The names of tasks by what is known of them: many have the same fate."""
    groups: dict[tuple[Sign, str], list[str]] = {}
    for task in tasks:
        if task.undo is UndoState.IN_DOUBT:
            fate = UNDO_SIGNS[UndoState.IN_DOUBT], task.undo_why
        else:
            fate = TASK_SIGNS[TaskState.IN_DOUBT], task.evidence or task.why
        groups.setdefault(fate, []).append(str(task.key))
    return groups
