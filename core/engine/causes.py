"""The chain of causes behind a task that waits or is blocked, down to what somebody can do something about.

Worked out from counts by step and the tasks of one server: never from all tasks of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.batch.model import Need
from core.model.states import TaskState
from core.model.views import StepInfo, TaskInfo

LINKS = 6
"""A chain is told so far; what is behind that is the same again, one step earlier."""
ENDED_BADLY: Mapping[TaskState, str] = {
    TaskState.FAILED: "has failed",
    TaskState.UNREACHABLE: "was unreachable",
    TaskState.CANCELLED: "was cancelled",
    TaskState.BLOCKED: "is blocked",
}


def causes(
    needs: Mapping[str, Sequence[Need]],
    task: TaskInfo,
    steps: Mapping[str, StepInfo],
    own: Mapping[str, TaskInfo],
) -> list[str]:
    """Sentences, each the cause of the one before; the task's own sentence comes before the first.

    `own` holds the tasks of the same server by step.
    """
    blocked = task.state is TaskState.BLOCKED
    told: list[str] = []
    step, seen = task.step, {task.step}
    while len(told) < LINKS:
        need = _holding(needs.get(step, ()), steps, own, blocked=blocked)
        if need is None or need.step in seen:
            break
        seen.add(need.step)
        sentence, goes_on = (_blocking if blocked else _keeping)(need, steps, own)
        if sentence:
            told.append(sentence)
        if not goes_on:
            break
        step = need.step
    return told


def _holding(
    needs: Sequence[Need], steps: Mapping[str, StepInfo], own: Mapping[str, TaskInfo], *, blocked: bool
) -> Need | None:
    """The need that is to be looked at: the first that holds the step up."""
    for need in needs:
        mine = own.get(need.step)
        if blocked:
            if mine is not None and mine.state in ENDED_BADLY:
                return need
        elif need.scope == "server":
            if mine is not None and not mine.state.ended:
                return need
        elif any(count and not state.ended for state, count in steps[need.step].counts.items()):
            return need
    return None


def _blocking(need: Need, steps: Mapping[str, StepInfo], own: Mapping[str, TaskInfo]) -> tuple[str, bool]:
    """Why a needed task keeps another one from ever starting, and whether there is a cause behind it."""
    mine = own[need.step]
    why = f": {mine.why}" if mine.why else ""
    return f"{need.step} on {mine.server} {ENDED_BADLY[mine.state]}{why}", mine.state is TaskState.BLOCKED


def _keeping(need: Need, steps: Mapping[str, StepInfo], own: Mapping[str, TaskInfo]) -> tuple[str, bool]:
    """What keeps a needed step from ending, and whether there is a cause behind it."""
    mine = own.get(need.step)
    if need.scope == "server" and mine is not None:
        if mine.state is TaskState.IN_DOUBT:
            return (
                f"{need.step} on {mine.server} is in doubt: it holds what needs it until it is decided",
                False,
            )
        if mine.state is TaskState.RUNNING:
            return f"{need.step} on {mine.server} runs: attempt {mine.attempt} of {mine.attempts}", False
        return f"{need.step} on {mine.server} has not started", True
    counts = steps[need.step].counts
    if doubt := counts.get(TaskState.IN_DOUBT, 0):
        what = f"{doubt} tasks in doubt are" if doubt > 1 else "task in doubt is"
        return f"{need.step} ends when its {what} decided", False
    if running := counts.get(TaskState.RUNNING, 0):
        return f"{need.step} runs on {running} server{'s' if running > 1 else ''} now", False
    step = steps[need.step]
    if ended := sum(count for state, count in counts.items() if state.ended):
        return f"of {need.step} {ended} of {step.tasks} have ended, and none runs now", True
    return f"{need.step} has not started", True
