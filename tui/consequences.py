"""What an action on a run will do, said before it is done, with the command that does the same.

Pure functions: views in, an `Act` out. Screens ask with it, and do it only when a person says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.model.states import FAILING, Asked, RunState, TaskState, UndoState
from core.model.views import RunInfo, StepInfo, TaskInfo
from tui import words
from tui.actions import count, is_executing
from tui.doubts import doubts, is_doubtful
from tui.paint import Span, Spans

MOST_NAMED = 6
HANDED_OVER = (TaskState.RUNNING, TaskState.DONE, TaskState.FAILED, TaskState.IN_DOUBT)
"""States of tasks that a rollback covers: something of them may have run."""


@dataclass(frozen=True, slots=True)
class Act:
    """`title` asks, `lines` say what will happen, `yes` is the word for going on, `done` what is told afterwards;
    `command` are the words of the command line that does the same; `by_name`, that a name is asked for where the run
    says so.
    """

    title: str
    lines: Sequence[Spans]
    yes: str
    done: str
    command: Sequence[str]
    by_name: bool = False


def _plain(text: str) -> Spans:
    return [(text, "")]


def _warned(text: str) -> Spans:
    return [("! ", "bold warning"), (text, "warning")]


def _muted(text: str) -> Spans:
    return [(text, "muted")]


def _open(count: int) -> str:
    return "opens" if count == 1 else "open"


def pausing(run: RunInfo) -> Act:
    """Nothing more starts."""
    lines: list[Spans] = []
    if run.state is RunState.ROLLING_BACK:
        flying = run.undo_counts.get(UndoState.UNDOING, 0)
        left = run.undo_counts.get(UndoState.PENDING, 0)
        lines.append(_plain(f"{words.plural(flying, 'undo')} in flight end first; {left} more do not start."))
    else:
        flying, left = count(run, TaskState.RUNNING), count(run, TaskState.WAITING)
        lines.append(
            _plain(f"{words.plural(flying, 'task')} in flight end first; {left} that wait do not start.")
        )
    lines.append(_muted("Nothing is stopped or undone. p carries it on."))
    told = "pausing: tasks in flight end first"
    return Act(f"Pause run {run.number}?", lines, "pause it", told, ("runs", "pause", str(run.number)))


def resuming(run: RunInfo) -> Act:
    """A run that stands goes on from where it stood."""
    lines: list[Spans] = []
    flying = count(run, TaskState.RUNNING)
    if run.state is RunState.RUNNING and not run.interrupted:
        lines.append(_plain("The pause is taken back before it came about."))
    elif run.interrupted and flying:
        told = f"The servers are asked about {words.plural(flying, 'task')} that were in flight"
        lines.append(_plain(f"{told}: what ended is recorded, what runs is followed, nothing runs twice."))
    if doubts(run):
        told = f"The servers are asked about {words.plural(doubts(run), 'task')} in doubt"
        lines.append(_plain(f"{told}; what they cannot settle still waits for you."))
    if run.asked is Asked.ROLL_BACK or run.state is RunState.ROLLING_BACK:
        left = run.undo_counts.get(UndoState.PENDING, 0) + run.undo_counts.get(UndoState.UNDOING, 0)
        lines.append(_warned(f"It is the rollback that goes on: {words.plural(left, 'undo')} left."))
    elif run.asked is Asked.CANCEL:
        lines.append(_warned("It is the cancelling that goes on: nothing new starts."))
    else:
        waiting = count(run, TaskState.WAITING)
        lines.append(_plain(f"{words.plural(waiting, 'task')} that wait start when their needs are met."))
        failed = count(run, *FAILING)
        if failed:
            lines.append(_muted(f"{words.plural(failed, 'task')} that failed stay so: r opens them again."))
    lines.append(_muted("Done work is not repeated."))
    told = f"run {run.number} goes on"
    return Act(f"Resume run {run.number}?", lines, "resume it", told, ("runs", "resume", str(run.number)))


def retrying(run: RunInfo, failing: Sequence[TaskInfo]) -> Act:
    """What failed is opened again. `failing` are the tasks that did, or the first ones of many."""
    open_again = count(run, *FAILING)
    lines: list[Spans] = []
    if open_again:
        named = words.listed([str(task.key) for task in failing], 3)
        lines.append(_plain(f"{words.plural(open_again, 'task')} {_open(open_again)} again: {named}."))
    blocked, called_off = count(run, TaskState.BLOCKED), 0
    if blocked:
        lines.append(
            _plain(f"So does what they had blocked ({words.plural(blocked, 'task')}), once they end well.")
        )
    if run.asked is Asked.CANCEL:
        called_off = count(run, TaskState.CANCELLED)
        lines.append(
            _plain(f"{words.plural(called_off, 'task')} that the cancel kept from starting do start.")
        )
    risky = [str(task.key) for task in failing if task.may_have_run]
    if risky:
        lines.append(_warned("may have run already, and runs again:"))
        lines.append([(f"  {words.listed(risky, 3)}", "warning")])
    lines.append(_muted("The run goes on by itself. Done work is not repeated."))
    told = f"{words.plural(open_again + called_off, 'task')} opened again"
    command = ("runs", "retry", str(run.number), *(["--accept-risk"] if risky else []))
    return Act(f"Retry run {run.number}?", lines, "retry", told, command)


def retrying_one(run: RunInfo, task: TaskInfo) -> Act:
    """One task is opened again."""
    lines: list[Spans] = [_plain(f"{task.key} opens again, with what it had blocked.")]
    if task.may_have_run:
        lines.append(_warned("It may have run already, and runs again."))
    others = count(run, *FAILING) - 1
    if others > 0:
        lines.append(_muted(f"{words.plural(others, 'other task')} that failed stay so."))
    lines.append(_muted("The run goes on by itself. Done work is not repeated."))
    risk = ["--accept-risk"] if task.may_have_run else []
    command = ("runs", "retry", str(run.number), str(task.key), *risk)
    return Act(f"Retry {task.key}?", lines, "retry", f"{task.key} opened again", command)


def cancelling(run: RunInfo) -> Act:
    """Attempts in flight are stopped and the run ends."""
    running, waiting = count(run, TaskState.RUNNING), count(run, TaskState.WAITING)
    lines = [
        _plain(
            f"{words.plural(running, 'task')} in flight will be stopped; {waiting} that wait never start."
        ),
        _plain("A stop that a server does not confirm leaves its task in doubt."),
        _muted("What is done stays done: R rolls it back."),
    ]
    title = f"Cancel run {run.number}?"
    return Act(title, lines, "cancel the run", "cancelling", ("runs", "cancel", str(run.number)))


def rolling_back(run: RunInfo, steps: Sequence[StepInfo]) -> Act:
    """What the run did is undone."""
    lines: list[Spans] = [_plain("The undo of what this run did runs on each server, in reverse order.")]
    begun = [step for step in steps if any(step.counts.get(state) for state in HANDED_OVER)]
    undone = [step.name for step in reversed(begun) if not step.irreversible]
    if undone:
        lines.append(_plain(f"In this order: {words.listed(undone, MOST_NAMED)}."))
    fixed = [step.name for step in steps if step.irreversible]
    if fixed:
        told: list[Span] = [("! ", "bold warning")]
        told.append((f"cannot be undone: {words.listed(fixed, MOST_NAMED)}", "warning"))
        lines.append(told)
    doubtful = count(run, TaskState.IN_DOUBT)
    if doubtful:
        lines.append([(f"{words.plural(doubtful, 'task')} in doubt will be decided as failed.", "warning")])
    if is_executing(run):
        lines.append(_muted("It begins when nothing of the run runs any more."))
    command = ["runs", "rollback", str(run.number), *(["--confirm", "NAME"] if run.confirm else [])]
    return Act(f"Roll back run {run.number}?", lines, "roll back", "rolling back", command, by_name=True)


def why_not_skip(task: TaskInfo | None) -> str:
    """Skipping is a decision about a task in doubt: that is all that the engine offers."""
    if task is None:
        return "no task is chosen"
    if task.state is TaskState.IN_DOUBT:
        return ""
    if is_doubtful(task):
        return "an undo in doubt cannot be skipped: d decides it"
    if task.state in FAILING:
        return f"only a task in doubt can be skipped, and this one is {task.state.word}: r opens it again"
    return f"only a task in doubt can be skipped, and this one is {task.state.word}"
