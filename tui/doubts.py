"""Tasks in doubt, of the run itself or of its undo: how many, and which."""

from __future__ import annotations

from core.engine.api import Engine
from core.model.states import TaskState, UndoState
from core.model.views import RunInfo, TaskInfo

PAGE = 1000
MOST = 1000
"""So many are listed; after deciding them the next ones are."""


def doubts(run: RunInfo) -> int:
    """How many decisions a run waits for."""
    return run.counts.get(TaskState.IN_DOUBT, 0) + run.undo_counts.get(UndoState.IN_DOUBT, 0)


def is_doubtful(task: TaskInfo) -> bool:
    """True where a person (or evidence) must say how a task, or its undo, ended."""
    return task.state is TaskState.IN_DOUBT or task.undo is UndoState.IN_DOUBT


async def doubtful_tasks(engine: Engine, run: RunInfo) -> list[TaskInfo]:
    """The tasks in doubt in row order. Only where an undo is in doubt all tasks are looked at, page by page."""
    if not doubts(run):
        return []
    if not run.undo_counts.get(UndoState.IN_DOUBT):
        return list(await engine.tasks(run.number, states=(TaskState.IN_DOUBT,), limit=MOST))
    found: list[TaskInfo] = []
    after = -1
    while len(found) < MOST:
        page = await engine.tasks(run.number, after=after, limit=PAGE)
        found += [task for task in page if is_doubtful(task)]
        if len(page) < PAGE:
            break
        after = page[-1].index
    return found
