"""What `windlass runs show` prints: a run with its steps and its trouble, or one task with its evidence."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from cli import doubts, jsonforms
from cli.environments import PRODUCTION
from cli.options import command
from cli.planview import used_lines
from cli.summary import can_undo, headline, next_steps
from cli.terminal import Cell, ascii_only, clean, emit, note, out, paint, say, signed, table
from cli.words import ago, counted, duration, short_path, stamp
from core.errors import InputError
from core.model.ids import TaskKey
from core.model.states import Decision, TaskState, UndoState
from core.report.gather import last_lines
from themes.signs import TASK_SIGNS, UNDO_SIGNS

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.views import AttemptInfo, Explanation, RunInfo, StepInfo, TaskInfo

TROUBLE = (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.IN_DOUBT)
TROUBLE_SHOWN = 20
LAST_LINES = 40

CONSEQUENCES = {
    Decision.RETRY: "the command is handed over again, although it may have run already",
    Decision.DONE: "it counts as done: what needs it may start",
    Decision.FAILED: "it counts as failed: what needs it is blocked",
    Decision.SKIP: "it is passed over: what needs it may start",
}


async def show_run(
    engine: Engine, run: RunInfo, *, all_tasks: bool = False, step: str = "", as_json: bool = False
) -> None:
    """A run, its steps, its tasks in trouble (or all, or those of one step), and what to do next."""
    steps = list(await engine.steps(run.number))
    if step and step not in {found.name for found in steps}:
        names = ", ".join(found.name for found in steps)
        raise InputError(f"run {run.number} has no step '{step}'", hint=f"it has: {names}")
    if step:
        tasks = [task for task in await doubts.every_task(engine, run.number) if task.step == step]
    elif all_tasks:
        tasks = await doubts.every_task(engine, run.number)
    else:
        tasks = await _trouble(engine, run)
    used = await engine.used_values(run.number)
    if as_json:
        emit(jsonforms.run(run))
        for one in used:
            emit(jsonforms.used_value(run.number, one))
        for found in steps:
            emit(jsonforms.step(run.number, found))
        for task in tasks:
            emit(jsonforms.task(run.number, task))
        return
    _head(run)
    out()
    for line in used_lines(used):
        out(line)
    for line in table(("STEP", "KIND", "STATE", "TASKS", "TOOK", "WHAT"), [_step_row(s) for s in steps]):
        out(line)
    shown = tasks if (all_tasks or step) else tasks[:TROUBLE_SHOWN]
    if shown:
        out()
        rows = [_task_row(task) for task in shown]
        for line in table(("TASK", "STATE", "TRY", "TOOK", "UNDO", "WHY"), rows, max_chars=120):
            out(line)
    if len(tasks) > len(shown):
        out(f"and {len(tasks) - len(shown)} more: {command('runs', 'show', str(run.number), '--tasks')}")
    await _tell_next(run, tasks, undoable=can_undo(steps))


def _head(run: RunInfo) -> None:
    now = time.time()
    out(headline(run, now))
    if run.why:
        out(f"why:     {clean(run.why)}")
    out(f"started: {stamp(run.created)} ({ago(run.created, now)}) by {clean(run.actor)}")
    if run.controller:
        out(f"control: {clean(run.controller)}: others may only pause it")
    if run.ended is not None:
        out(f"ended:   {stamp(run.ended)} ({ago(run.ended, now)})")
    if run.interrupted:
        out("owner:   none: the engine that executed it has ended; it can be resumed")
    if run.parent is not None:
        out(f"parent:  run {run.parent}")
    if run.environment or run.protection == PRODUCTION:
        told = paint(run.protection, "error", sys.stdout) if run.protection == PRODUCTION else run.protection
        out(f"environ: {clean(run.environment) or 'none'} (protection {told})")
    if run.params:
        out(f"params:  {clean(', '.join(f'{name}={value!r}' for name, value in run.params.items()))}")
    out(f"batch:   {clean(short_path(run.path))}")


async def _trouble(engine: Engine, run: RunInfo) -> list[TaskInfo]:
    found = await doubts.every_task(engine, run.number, *TROUBLE)
    if run.undo_counts.get(UndoState.IN_DOUBT) or run.undo_counts.get(UndoState.FAILED):
        known = {task.key for task in found}
        found += [
            task
            for task in await doubts.every_task(engine, run.number)
            if task.undo in (UndoState.IN_DOUBT, UndoState.FAILED) and task.key not in known
        ]
    return found


async def _tell_next(run: RunInfo, tasks: list[TaskInfo], *, undoable: bool) -> None:
    number = str(run.number)
    trouble = [task for task in tasks if task.state in (TaskState.FAILED, TaskState.UNREACHABLE)]
    undecided = [
        task for task in tasks if task.state is TaskState.IN_DOUBT or task.undo is UndoState.IN_DOUBT
    ]
    if undecided:
        first = str(undecided[0].key)
        note(f"ask the servers: {command('runs', 'resume', number)}")
        note(f"what is known of it: {command('runs', 'show', number, first)}")
        note(f"decide: {command('runs', 'decide', number, first)} retry|done|failed|skip --reason TEXT")
    elif run.interrupted:
        note(f"carry on: {command('runs', 'resume', number)}")
    for line in next_steps(run, trouble, undoable=undoable):
        note(line)


def _step_row(step: StepInfo) -> list[Cell]:
    ended = sum(count for state, count in step.counts.items() if state.ended)
    took = step.ended - step.started if step.started is not None and step.ended is not None else None
    words = counted({state: count for state, count in step.counts.items() if state is not TaskState.WAITING})
    undo = ", ".join(
        f"{count} {UNDO_SIGNS[state].word}"
        for state, count in step.undo_counts.items()
        if count and state is not UndoState.NONE
    )
    state = "; ".join(text for text in (words or "waiting", undo) if text)
    return [step.name, step.kind, state, f"{ended}/{step.tasks}", duration(took), step.summary]


def _task_row(task: TaskInfo) -> list[Cell]:
    sign = TASK_SIGNS[task.state]
    evidence = task.evidence if task.state is TaskState.IN_DOUBT else ""
    took = task.ended - task.started if task.started is not None and task.ended is not None else None
    return [
        str(task.key),
        (sign.text(ascii_only=ascii_only()), sign.role),
        f"{task.attempt}/{task.attempts}",
        duration(took),
        UNDO_SIGNS[task.undo].word,
        "; ".join(text for text in (task.why, evidence, task.undo_why) if text),
    ]


# ---------------------------------------------------------------- one task


async def show_task(engine: Engine, run: RunInfo, key: TaskKey, *, as_json: bool = False) -> None:
    """One task: state, what is certain and what is not, attempts, its last output, what can be decided."""
    task = await engine.task(run.number, key)
    attempts = list(await engine.attempts(run.number, key))
    told = await engine.explain(run.number, key)
    if as_json:
        emit(jsonforms.task(run.number, task))
        emit(jsonforms.explanation(run.number, str(key), told))
        for attempt in attempts:
            emit(jsonforms.attempt(run.number, str(key), attempt))
        return
    out(f"{signed(TASK_SIGNS[task.state], sys.stdout)}  {clean(str(key))}  of run {run.number}")
    _tell_explanation(told)
    if task.decision:
        risk = "; it may have run before that" if task.may_have_run else ""
        out(f"decided:   {task.decision} by {clean(task.decided_by)}{risk}")
    if attempts:
        out()
        headers = ("ATTEMPT", "WHAT", "BEGUN", "TOOK", "OUTCOME", "WHY", "EVIDENCE")
        for line in table(headers, [_attempt_row(found) for found in attempts], right=("ATTEMPT",)):
            out(line)
    lines = await last_lines(engine, run.number, task, LAST_LINES)
    if lines:
        out()
        for line in lines:
            out(f"{paint('|', 'muted', sys.stdout)} {line}")
    _tell_choices(run, task)


def _tell_explanation(told: Explanation) -> None:
    for label, sentences in (
        ("why:", told.sentences),
        ("certain:", told.certain),
        ("not known:", told.unknown),
    ):
        for sentence in sentences:
            out(f"{label:<10} {clean(sentence)}")
            label = ""


def _attempt_row(attempt: AttemptInfo) -> list[Cell]:
    took = attempt.ended - attempt.intent if attempt.ended is not None else None
    ended = f" (exit {attempt.exit_status})" if attempt.exit_status is not None else ""
    return [
        str(attempt.number),
        attempt.purpose.value,
        stamp(attempt.intent),
        duration(took),
        (attempt.outcome or "open") + ended,
        attempt.why,
        attempt.evidence,
    ]


def _tell_choices(run: RunInfo, task: TaskInfo) -> None:
    number, key = str(run.number), str(task.key)
    undo = task.undo is UndoState.IN_DOUBT
    if undo or task.state is TaskState.IN_DOUBT:
        say()
        for decision, consequence in CONSEQUENCES.items():
            if undo and decision is Decision.SKIP:
                continue
            note(f"{command('runs', 'decide', number, key, decision.value, '--reason')} TEXT")
            note(f"    {consequence}")
    elif task.state in (TaskState.FAILED, TaskState.UNREACHABLE) and not run.state.open:
        note(f"try it again: {command('runs', 'retry', number, key)}")
