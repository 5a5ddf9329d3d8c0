"""How the steps of a run look as rows: lanes, sign, name, count, bar, what went wrong, pace, and how long.

Pure functions: views and a `Look` in, spans out. Which columns there are goes by the room: what is dropped first is the
pace, then the bar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.model.states import FAILING, TaskState, UndoState
from core.model.views import StepInfo
from themes.signs import TASK_SIGNS, UNDO_SIGNS, Sign
from tui import pace, words
from tui.look import Look
from tui.pace import Paces, ended_tasks
from tui.paint import Span, Spans
from tui.step_graph import StepGraph, drawn
from tui.widgets.line import bar
from tui.widgets.table import Column

GAP = 1
COUNT_CELLS = 9
TROUBLE_CELLS = (6, 14)
PACE_CELLS = 7
TIME_CELLS = 6
NAME_CELLS = (8, 28)
"""The narrowest and the widest column of names."""
BAR_CELLS = (4, 40)
ENOUGH_BAR = 6
BAR_COLUMN = 3
LANES_NARROW, LANES_WIDE = 3, 8
ROOMY = 76
"""From so many cells on there is room for many lanes."""

State = TypeVar("State", TaskState, UndoState)


def most_lanes(width: int) -> int:
    """For how many lanes there is room."""
    return LANES_WIDE if width >= ROOMY else LANES_NARROW


def columns(steps: Sequence[StepInfo], graph: StepGraph, width: int) -> list[Column]:
    """lanes and sign, name, count, bar, trouble, pace, time: what fits into so many cells. Bars take what is left."""
    lanes = graph.cells(most_lanes(width))
    longest = max((len(step.name) for step in steps), default=0)
    count = max((len(_count(step.tasks, step.tasks)) for step in steps), default=3)
    name = min(max(longest, NAME_CELLS[0]), NAME_CELLS[1])
    room = width - 1 - lanes - count - TROUBLE_CELLS[0] - TIME_CELLS - 4 * GAP - name
    paced = room >= PACE_CELLS + BAR_CELLS[0] + 2 * GAP
    if paced:
        room -= PACE_CELLS + GAP
    barred = room >= BAR_CELLS[0] + GAP
    trouble = TROUBLE_CELLS[0]
    if barred:  # what went wrong gets more room once the bar has enough
        more = min(max(0, room - GAP - ENOUGH_BAR), TROUBLE_CELLS[1] - trouble)
        trouble, room = trouble + more, room - more
    shown = [Column("", lanes), Column("step", name if barred else 0), Column("ended", count, right=True)]
    shown.append(Column("", min(room - GAP, BAR_CELLS[1])) if barred else _HIDDEN)
    shown.append(Column("", trouble))
    shown.append(Column("pace", PACE_CELLS, right=True) if paced else _HIDDEN)
    return [*shown, Column("took", TIME_CELLS, right=True)]


_HIDDEN = Column("", 1, min_table=10_000)


@dataclass(frozen=True, slots=True)
class StepLook:
    """What the rows of steps are drawn with: the graph, the paces, the cells of a bar, and whether it rolls back."""

    look: Look
    graph: StepGraph = field(default_factory=StepGraph)
    paces: Paces = field(default_factory=Paces)
    most_lanes: int = LANES_WIDE
    bar_cells: int = 8
    rolling_back: bool = False


def row(step: StepInfo, how: StepLook) -> list[Spans]:
    """The cells of one step, as `columns` names them."""
    look = how.look
    undoing = undo_count(step) if how.rolling_back else None
    if undoing is not None:
        done, total = undoing
        sign = UNDO_SIGNS[UndoState.UNDONE if done == total else UndoState.UNDOING]
        wrong = _troubles(step.undo_counts, UNDO_SIGNS, (UndoState.FAILED, UndoState.IN_DOUBT), look)
        share, role, speed, time = done / total, "accent" if done < total else "muted", "", ""
    else:
        done, total = ended_tasks(step), step.tasks
        sign = sign_of(step)
        wrong = _troubles(step.counts, TASK_SIGNS, WRONG, look)
        share, role = done / total if total else 0.0, bar_role(step)
        now = look.clock()
        seen = how.paces.of_step(step, now)
        speed = pace.told(seen.per_s)
        time = pace.left(seen.left_s) or words.duration(took_s(step, now))
    before, after = drawn(how.graph, step.name, look.glyphs, how.most_lanes)
    glyphs = look.glyphs
    running = sign is TASK_SIGNS[TaskState.RUNNING]
    return [
        [(before, "muted"), (look.mark(sign), sign.role), (after, "muted")],
        [(look.text(step.name), "bold" if running else "")],
        [(_count(done, total), "")],
        bar(share, how.bar_cells, glyphs.bar_full, glyphs.bar_head, glyphs.bar_empty, role),
        wrong,
        [(speed, "")],
        [(time, "" if time.startswith("~") else "muted")],
    ]


WRONG = (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.IN_DOUBT, TaskState.BLOCKED)


def sign_of(step: StepInfo) -> Sign:
    """The sign of a whole step: what matters most in it."""
    counts = step.counts
    for state in (TaskState.RUNNING, TaskState.IN_DOUBT, TaskState.FAILED, TaskState.UNREACHABLE):
        if counts.get(state):
            return TASK_SIGNS[state]
    for state in (TaskState.BLOCKED, TaskState.CANCELLED, TaskState.SKIPPED, TaskState.IN_PLACE):
        if step.tasks and counts.get(state, 0) == step.tasks:
            return TASK_SIGNS[state]
    if step.tasks and ended_tasks(step) >= step.tasks:
        return TASK_SIGNS[TaskState.BLOCKED if counts.get(TaskState.BLOCKED) else TaskState.DONE]
    return TASK_SIGNS[TaskState.WAITING]


def bar_role(step: StepInfo) -> str:
    """The colour of a step's bar."""
    if any(step.counts.get(state) for state in FAILING):
        return "error"
    if step.counts.get(TaskState.IN_DOUBT) or step.counts.get(TaskState.BLOCKED):
        return "warning"
    return "success" if step.tasks and ended_tasks(step) >= step.tasks else "accent"


def undo_count(step: StepInfo) -> tuple[int, int] | None:
    """(undone, to undo) of a step; None where nothing of it is undone."""
    counts = {state: count for state, count in step.undo_counts.items() if state is not UndoState.NONE}
    total = sum(counts.values())
    return (counts.get(UndoState.UNDONE, 0), total) if total else None


def took_s(step: StepInfo, now: float) -> float | None:
    """How long a step has taken, or took."""
    if step.started is None:
        return None
    going = step.counts.get(TaskState.RUNNING, 0) > 0
    end = now if going or step.ended is None else step.ended
    return end - step.started if going or step.ended is not None else None


def _count(part: int, whole: int) -> str:
    """ "46/48", or a share where that grows too long for its column."""
    count = f"{part}/{whole}"
    return count if len(count) <= COUNT_CELLS else f"{words.percent(part, whole)}%"


def _troubles(
    counts: Mapping[State, int], signs: Mapping[State, Sign], wrong: Sequence[State], look: Look
) -> Spans:
    told: list[Span] = []
    for state in wrong:
        if counts.get(state):
            told.append((f"{' ' if told else ''}{look.mark(signs[state])}{counts[state]}", signs[state].role))
    return told
