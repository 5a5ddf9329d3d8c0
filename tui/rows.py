"""How the engine's views look as rows: the cells of every table, in one place, so that they agree.

Pure functions: a view and a `Look` in, spans out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from core.model.actors import place
from core.model.states import FAILING, Phase, RunState, TaskState, UndoState
from core.model.views import BatchInfo, RunInfo, ServerInfo, StepInfo, TaskInfo
from themes.signs import INTERRUPTED, TASK_SIGNS, UNDO_SIGNS, Sign, run_sign
from tui import words
from tui.doubts import doubts
from tui.look import Look
from tui.overview import what_is_needed
from tui.paint import Span, Spans
from tui.widgets.line import bar

SERVER_SIGNS: Mapping[str, Sign] = {
    "started": Sign("✓", "+", "started", "success"),
    "stopped": Sign("■", "/", "stopped", "muted"),
    "error": Sign("✗", "x", "error", "error"),
    "unknown": Sign("○", ".", "unknown", "muted"),
}
SPEAKING = {*FAILING, TaskState.IN_DOUBT, TaskState.BLOCKED, TaskState.SKIPPED, TaskState.CANCELLED}
"""States that are explained by their reason rather than by the last line of output."""
BAR_CELLS = 12
COUNT_CELLS = 9

State = TypeVar("State", TaskState, UndoState)


def server_sign(state: str) -> Sign:
    """The sign of a server's state, also of one that is not known here."""
    return SERVER_SIGNS.get(state) or Sign("○", ".", state, "muted")


def needs_row(run: RunInfo, look: Look) -> list[Spans]:
    """sign, run, batch, what is needed, when."""
    sign = run_sign(run.state, interrupted=run.interrupted)
    if sign is not INTERRUPTED and doubts(run):
        sign = TASK_SIGNS[TaskState.IN_DOUBT]
    when = run.ended if run.ended is not None else run.created
    return [
        [(look.mark(sign), sign.role)],
        [(f"run {run.number}", "")],
        [(look.text(run.batch), "bold")],
        [(look.text(what_is_needed(run)), sign.role if sign.role != "muted" else "")],
        [(words.ago(when, look.clock()), "muted")],
    ]


def running_row(run: RunInfo, look: Look) -> list[Spans]:
    """sign, run, batch, bar, percent, how much longer, how long so far."""
    sign = run_sign(run.state, interrupted=run.interrupted)
    glyphs = look.glyphs
    done = share_done(run)
    line = bar(done, BAR_CELLS, glyphs.bar_full, glyphs.bar_head, glyphs.bar_empty)
    return [
        [(look.mark(sign), sign.role)],
        [(f"run {run.number}", "")],
        [(look.text(run.batch), "bold")],
        line,
        [(f"{int(done * 100)}%", "")],
        [(left_text(run, look.clock()), "")],
        [(words.duration(words.elapsed_s(run, look.clock())), "muted")],
    ]


def left_text(run: RunInfo, now: float) -> str:
    """How much longer a run may take, in a few cells: "2m left", "soon"; "" where it can't be told."""
    told = words.about(words.left_s(run, now), none="").removeprefix("about ")
    return "soon" if told.startswith("a few") else told


def recent_row(run: RunInfo, look: Look) -> list[Spans]:
    """sign, run, batch, how it ended, how long, when."""
    sign = run_sign(run.state, interrupted=run.interrupted)
    count = f"{run.ended_tasks}/{run.tasks}"
    how = count if run.state is RunState.DONE and not words.trouble(run.counts) else sign.word
    when = run.ended if run.ended is not None else run.created
    return [
        [(look.mark(sign), sign.role)],
        [(f"run {run.number}", "")],
        [(look.text(run.batch), "")],
        [(how, "" if sign.role == "success" else sign.role)],
        [(words.duration(words.elapsed_s(run, look.clock())), "muted")],
        [(words.ago(when, look.clock()), "muted")],
    ]


def run_row(run: RunInfo, look: Look) -> list[Spans]:
    """sign, number, batch, state and what is wrong, tasks, how long, when, by whom."""
    sign = run_sign(run.state, interrupted=run.interrupted)
    role = sign.role if sign.role not in ("muted", "success") else ""
    trouble = words.trouble(run.counts)
    what = f"{sign.word}: {trouble}" if trouble else sign.word
    return [
        [(look.mark(sign), sign.role)],
        [(str(run.number), "bold")],
        [(look.text(run.batch), "")],
        [(what, role)],
        [(f"{run.ended_tasks}/{run.tasks}", "")],
        [(words.duration(words.elapsed_s(run, look.clock())), "muted")],
        [(words.ago(run.created, look.clock()), "muted")],
        [(look.text(place(run.actor)), "muted")],
    ]


def share_done(run: RunInfo) -> float:
    """How much of a run is over, 0.0 to 1.0; while rolling back, how much is undone."""
    if run.state is RunState.ROLLING_BACK:
        total = sum(count for state, count in run.undo_counts.items() if state is not UndoState.NONE)
        open_ = run.undo_counts.get(UndoState.PENDING, 0) + run.undo_counts.get(UndoState.UNDOING, 0)
        return (total - open_) / total if total else 0.0
    return run.ended_tasks / run.tasks if run.tasks else 0.0


def batch_row(batch: BatchInfo, look: Look) -> list[Spans]:
    """name, steps, description; or how many faults it has."""
    name: Span = (look.text(batch.name), "bold")
    if batch.faults:
        wrong = f"{look.mark(TASK_SIGNS[TaskState.FAILED])} {words.plural(len(batch.faults), 'fault')}"
        return [[name], [("", "")], [(wrong, "error")]]
    return [[name], [(words.plural(batch.steps, "step"), "muted")], [(look.text(batch.description), "")]]


def step_sign(step: StepInfo) -> Sign:
    """The sign of a whole step: what matters most in it."""
    counts = step.counts
    for state in (TaskState.RUNNING, TaskState.IN_DOUBT, TaskState.FAILED, TaskState.UNREACHABLE):
        if counts.get(state):
            return TASK_SIGNS[state]
    for state in (TaskState.BLOCKED, TaskState.CANCELLED, TaskState.SKIPPED, TaskState.IN_PLACE):
        if step.tasks and counts.get(state, 0) == step.tasks:
            return TASK_SIGNS[state]
    ended = sum(count for state, count in counts.items() if state.ended)
    if step.tasks and ended >= step.tasks:
        return TASK_SIGNS[TaskState.BLOCKED if counts.get(TaskState.BLOCKED) else TaskState.DONE]
    return TASK_SIGNS[TaskState.WAITING]


def step_row(step: StepInfo, look: Look, *, rolling_back: bool) -> list[Spans]:
    """sign, name, count, trouble, how long."""
    sign = step_sign(step)
    if rolling_back and (undoing := undo_count(step)):
        done, total = undoing
        mark = UNDO_SIGNS[UndoState.UNDONE if done == total else UndoState.UNDOING]
        return [
            [(look.mark(mark), mark.role)],
            [(look.text(step.name), "")],
            [(_count(done, total), "")],
            _troubles(step.undo_counts, UNDO_SIGNS, (UndoState.FAILED, UndoState.IN_DOUBT), look),
            [],
        ]
    ended = sum(count for state, count in step.counts.items() if state.ended)
    wrong = (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.IN_DOUBT, TaskState.BLOCKED)
    return [
        [(look.mark(sign), sign.role)],
        [(look.text(step.name), "bold" if sign is TASK_SIGNS[TaskState.RUNNING] else "")],
        [(_count(ended, step.tasks), "")],
        _troubles(step.counts, TASK_SIGNS, wrong, look),
        [(words.duration(step_took_s(step, look.clock())), "muted")],
    ]


def _count(part: int, whole: int) -> str:
    """ "46/48", or a share where that grows too long for its column."""
    count = f"{part}/{whole}"
    return count if len(count) <= COUNT_CELLS else f"{words.percent(part, whole)}%"


def undo_count(step: StepInfo) -> tuple[int, int] | None:
    """(undone, to undo) of a step; None where nothing of it is undone."""
    counts = {state: count for state, count in step.undo_counts.items() if state is not UndoState.NONE}
    total = sum(counts.values())
    return (counts.get(UndoState.UNDONE, 0), total) if total else None


def _troubles(
    counts: Mapping[State, int], signs: Mapping[State, Sign], wrong: Sequence[State], look: Look
) -> Spans:
    told: list[Span] = []
    for state in wrong:
        if counts.get(state):
            told.append((f"{' ' if told else ''}{look.mark(signs[state])}{counts[state]}", signs[state].role))
    return told


def step_took_s(step: StepInfo, now: float) -> float | None:
    """How long a step has taken, or took."""
    if step.started is None:
        return None
    going = step.counts.get(TaskState.RUNNING, 0) > 0
    end = now if going or step.ended is None else step.ended
    return end - step.started if going or step.ended is not None else None


def task_row(task: TaskInfo, look: Look, *, rolling_back: bool) -> list[Spans]:
    """server, state, try, how long, last line or why."""
    sign = TASK_SIGNS[task.state]
    note = task_note(task)
    if rolling_back and task.undo is not UndoState.NONE:
        sign = UNDO_SIGNS[task.undo]
        note = task.undo_why
    return [
        [(look.text(task.server), "")],
        [look.signed(sign)],
        [(str(task.attempt) if task.attempt else "", "warning" if task.attempt > 1 else "muted")],
        [(words.duration(task_took_s(task, look.clock())), "muted")],
        [(look.text(note, max_chars=300), "" if task.state in {TaskState.RUNNING, *FAILING} else "muted")],
    ]


def task_note(task: TaskInfo) -> str:
    """What is said beside a task: why it stands where it stands, else the last thing it printed."""
    if task.state is TaskState.RUNNING:
        phase = task.phase.word if task.phase else ""
        if task.phase is not None and task.phase.word == "back-off":
            return f"back-off: {task.why}" if task.why else "back-off before the next try"
        if task.why and task.phase in {Phase.RUN, Phase.VERIFY}:  # its server is lost
            return f"{task.why}: {task.last_line}" if task.last_line else task.why
        return task.last_line or phase
    if task.state is TaskState.FAILED and task.why and task.last_line not in task.why:
        return f"{task.why}: {task.last_line}"
    if task.state in SPEAKING:
        return task.why or task.last_line
    return task.last_line or (task.why if task.state is TaskState.IN_PLACE else "")


def task_took_s(task: TaskInfo, now: float) -> float | None:
    """How long a task has taken, or took; None before it started."""
    if task.started is None:
        return None
    if task.ended is not None:
        return task.ended - task.started
    return now - task.started if task.state is TaskState.RUNNING else None


def server_row(server: ServerInfo, look: Look) -> list[Spans]:
    """name, provider, state, address, groups, held by."""
    held: Span = (f"run {server.held_by}", "accent") if server.held_by else ("", "")
    return [
        [(look.text(server.name), "")],
        [(look.text(server.provider), "muted")],
        [look.signed(server_sign(server.state))],
        [
            (
                look.text(f"{server.user}@{server.address}:{server.port}" if server.user else server.address),
                "muted",
            )
        ],
        [(look.text(" ".join(server.groups)), "")],
        [held],
    ]
