"""The grid line: one sign for each task of a step, in row order; buckets where there are more tasks than cells.

A bucket shows the state in it that matters most, so that one failure among thousands is seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from textual.strip import Strip
from textual.widget import Widget

from core.model.states import TaskState, UndoState
from themes.signs import TASK_SIGNS, UNDO_SIGNS
from tui.look import look
from tui.paint import Span, strip

MOST_IMPORTANT_FIRST: tuple[TaskState | UndoState, ...] = (
    TaskState.IN_DOUBT,
    UndoState.IN_DOUBT,
    TaskState.FAILED,
    UndoState.FAILED,
    TaskState.UNREACHABLE,
    TaskState.BLOCKED,
    TaskState.RUNNING,
    UndoState.UNDOING,
    UndoState.PENDING,
    TaskState.CANCELLED,
    TaskState.WAITING,
    TaskState.SKIPPED,
    TaskState.IN_PLACE,
    TaskState.DONE,
    UndoState.UNDONE,
)
_RANK = {state: rank for rank, state in enumerate(MOST_IMPORTANT_FIRST)}


def bucketed(states: Sequence[TaskState | UndoState], cells: int) -> list[TaskState | UndoState]:
    """One state for each cell: all of them where they fit, else the most important of each bucket."""
    count = len(states)
    if cells <= 0:
        return []
    if count <= cells:
        return list(states)
    edges = [at * count // cells for at in range(cells + 1)]
    return [min(states[a:b], key=_RANK.__getitem__) for a, b in itertools.pairwise(edges)]


class GridLine(Widget):
    """The states of a step's tasks at one glance."""

    DEFAULT_CSS = """
    GridLine { height: 1; width: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._states: tuple[TaskState | UndoState, ...] = ()

    def show(self, states: Sequence[TaskState | UndoState]) -> None:
        """The states in row order; of a task that is being undone, that of its undo."""
        if tuple(states) != self._states:
            self._states = tuple(states)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        if y or width <= 0:
            return Strip.blank(max(0, width), self.rich_style)
        style = look(self)
        spans: list[Span] = []
        for state in bucketed(self._states, width):
            sign = TASK_SIGNS[state] if isinstance(state, TaskState) else UNDO_SIGNS[state]
            mark = style.mark(sign)
            if spans and spans[-1][1] == sign.role:
                spans[-1] = (spans[-1][0] + mark, sign.role)
            else:
                spans.append((mark, sign.role))
        return strip(spans, width, style.paint, self.rich_style)
