"""Which step and task the run screen looks at while it follows a run by itself.

Pure functions. Nothing jumps without need: what is looked at stays while it runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model.states import FAILING, TaskState, UndoState
from core.model.views import StepInfo, TaskInfo

LOOKED_FOR = (TaskState.RUNNING, TaskState.IN_DOUBT, *sorted(FAILING))
UNDO_LOOKED_FOR = (UndoState.UNDOING, UndoState.IN_DOUBT, UndoState.FAILED)


def step_to_watch(steps: Sequence[StepInfo], current: str) -> str:
    """The step that runs (the current one while it does), else the one in trouble, else where the run stands."""
    for undo in UNDO_LOOKED_FOR:
        busy = [step.name for step in steps if step.undo_counts.get(undo)]
        if busy:
            return current if current in busy else busy[-1]
    for state in LOOKED_FOR:
        busy = [step.name for step in steps if step.counts.get(state)]
        if busy:
            return current if current in busy else busy[0]
    started = [step.name for step in steps if any(state is not TaskState.WAITING for state in step.counts)]
    if current:
        return current if not started or current in started else started[-1]
    return started[-1] if started else (steps[0].name if steps else "")


def task_to_watch(tasks: Sequence[TaskInfo], current: str) -> str:
    """The server whose task runs (the current one while it does), else one in trouble, else the current one."""
    for undo in UNDO_LOOKED_FOR:
        busy = [task.server for task in tasks if task.undo is undo]
        if busy:
            return current if current in busy else busy[0]
    for state in LOOKED_FOR:
        busy = [task.server for task in tasks if task.state is state]
        if busy:
            return current if current in busy else busy[0]
    if any(task.server == current for task in tasks):
        return current
    return tasks[0].server if tasks else ""
