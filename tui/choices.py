"""What can be done with a task in doubt, or one that failed: each choice as a sentence with its consequence.

Pure: views in, choices out.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.model.states import FAILING, Decision, TaskState
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


def choices_for(task: TaskInfo, run: RunInfo) -> list[Choice]:
    """The choices for a task, the harmless ones first; none where nothing is to be decided."""
    if task.state is TaskState.IN_DOUBT:
        return _in_doubt(task)
    if task.state in FAILING:
        return _failed(task, run)
    return []


def _in_doubt(task: TaskInfo) -> list[Choice]:
    where = f"{task.step} on {task.server}"
    return [
        Choice(
            "done",
            "It is done",
            f"{where} counts as done without running again; what needs it goes on.",
            Decision.DONE,
        ),
        Choice(
            "skip",
            "Skip it",
            f"{where} counts as skipped; what needs it goes on without it.",
            Decision.SKIP,
        ),
        Choice(
            "failed",
            "It failed",
            f"{where} counts as failed; what needs it is blocked, and a later retry asks again.",
            Decision.FAILED,
        ),
        Choice(
            "retry",
            "Run it again",
            f"the command runs on {task.server} again, although it may have run already.",
            Decision.RETRY,
            "warning",
        ),
    ]


def _failed(task: TaskInfo, run: RunInfo) -> list[Choice]:
    choices: list[Choice] = []
    if not actions.why_not_retry(run):
        risk = ", although it may have run already" if task.may_have_run else ""
        choices.append(
            Choice(
                "retry-task",
                f"Retry on {task.server}"[:20],
                f"{task.step} runs again on {task.server}{risk}; what it had blocked opens again.",
                role="warning" if risk else "",
            )
        )
        failed = actions.count(run, *FAILING)
        if failed > 1:
            told = f"all {words.plural(failed, 'failed task')} open again; done work is not repeated."
            choices.append(Choice("retry-all", "Retry all failed", told))
    if not actions.why_not_roll_back(run):
        told = "the undo of what this run did runs on each server, in reverse order."
        choices.append(Choice("roll-back", "Roll back the run", told, role="warning"))
    return choices
