"""How the engine's views look as rows: the cells of every table, in one place, so that they agree.

Pure functions: a view and a `Look` in, spans out.
"""

from __future__ import annotations

from collections.abc import Mapping

from core.model.actors import place
from core.model.states import FAILING, Phase, RunState, TaskState, UndoState
from core.model.views import BatchInfo, RunInfo, ServerInfo, TaskInfo
from themes.signs import INTERRUPTED, TASK_SIGNS, UNDO_SIGNS, Sign, run_sign
from tui import words
from tui.doubts import doubts
from tui.look import Look
from tui.overview import what_is_needed
from tui.paint import Span, Spans
from tui.widgets.line import bar
from tui.widgets.table import Column

SERVER_SIGNS: Mapping[str, Sign] = {
    "started": Sign("✓", "+", "started", "success"),
    "stopped": Sign("■", "/", "stopped", "muted"),
    "error": Sign("✗", "x", "error", "error"),
    "unknown": Sign("○", ".", "unknown", "muted"),
}
SPEAKING = {*FAILING, TaskState.IN_DOUBT, TaskState.BLOCKED, TaskState.SKIPPED, TaskState.CANCELLED}
"""States that are explained by their reason rather than by the last line of output."""
BAR_CELLS = 12
TASK_COLUMNS = (
    Column("server", 12),
    Column("state", 14),
    Column("try", 3, right=True),
    Column("took", 7, right=True, min_table=62),
    Column("last line"),
)
"""Those of `task_row`."""


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
