"""What can be done with a task in doubt, or one that failed: each choice as a sentence with its consequence.

Pure: views in, choices out.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.model.states import FAILING, Decision, TaskState, UndoState
from core.model.views import RunInfo, TaskInfo
from tui import actions, words


@dataclass(frozen=True, slots=True)
class Choice:
    """`decision` is set where the engine's `decide` is meant; the others are actions on the run."""

    name: str
    title: str
    consequence: str
    decision: Decision | None = None
    role: str = ""


def choices_for(task: TaskInfo, run: RunInfo, *, alike: int = 1) -> list[Choice]:
    """The choices for a task, the harmless ones first; none where nothing is to be decided.

    `alike` is how many tasks in doubt of its step the decision settles.
    """
    where = task.server if alike == 1 else f"all {alike} servers"
    if task.undo is UndoState.IN_DOUBT:
        return _undo_in_doubt(where)
    if task.state is TaskState.IN_DOUBT:
        return _in_doubt(where)
    if task.state in FAILING:
        return _failed(task, run)
    return []


def _in_doubt(where: str) -> list[Choice]:
    again = f"runs again on {where}, though it may have run already"
    return [
        Choice("done", "It is done", "counts as done, nothing runs again; dependents go on", Decision.DONE),
        Choice("skip", "Skip it", "counts as skipped; dependents go on without it", Decision.SKIP),
        Choice(
            "failed", "It failed", "counts as failed; dependents are blocked, r may retry it", Decision.FAILED
        ),
        Choice("retry", "Run it again", again, Decision.RETRY, "warning"),
    ]


def _undo_in_doubt(where: str) -> list[Choice]:
    again = f"the undo runs again on {where}, though it may have run already"
    return [
        Choice("done", "It is undone", "counts as undone; the rollback goes on", Decision.DONE),
        Choice(
            "failed",
            "The undo failed",
            f"what it needed stays as it is on {where}",
            Decision.FAILED,
        ),
        Choice("retry", "Undo it again", again, Decision.RETRY, "warning"),
    ]


def _failed(task: TaskInfo, run: RunInfo) -> list[Choice]:
    choices: list[Choice] = []
    if not actions.why_not_retry(run):
        told = f"runs again on {task.server}; what it had blocked opens again"
        if task.may_have_run:
            told = f"runs again on {task.server}, though it may have run already"
        choices.append(
            Choice("retry-task", "Retry this task", told, role="warning" if task.may_have_run else "")
        )
        failed = actions.count(run, *FAILING)
        if failed > 1:
            told = f"{words.plural(failed, 'task')} open again; done work is not repeated"
            choices.append(Choice("retry-all", "Retry all failed", told))
    if not actions.why_not_roll_back(run):
        told = "undoes what this run did, in reverse order"
        choices.append(Choice("roll-back", "Roll back the run", told, role="warning"))
    return choices
