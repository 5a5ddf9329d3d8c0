"""The tasks of a step as a matrix: one cell a task in row order, with a cursor; thousands fit, and more scroll.

Invariants: only the rows on the screen are drawn; the order is that of the list, so that a cell keeps its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.model.states import TaskState, UndoState
from themes.signs import TASK_SIGNS, UNDO_SIGNS
from tui.look import look


class TaskMatrix(ScrollView, can_focus=True):
    """Shows states; the cursor is an index into them."""

    DEFAULT_CSS = """
    TaskMatrix { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; padding: 0 1; }
    """
    BINDINGS = [
        Binding("right,l", "step(1)", "on", id="matrix.right", tooltip="The next task", show=False),
        Binding("left,h", "step(-1)", "back", id="matrix.left", tooltip="The task before", show=False),
        Binding("down,j", "line(1)", "down", id="matrix.down", tooltip="The task below", show=False),
        Binding("up,k", "line(-1)", "up", id="matrix.up", tooltip="The task above", show=False),
        Binding("pagedown", "leaf(1)", "page down", id="matrix.page-down", tooltip="A page on", show=False),
        Binding("pageup", "leaf(-1)", "page up", id="matrix.page-up", tooltip="A page back", show=False),
        Binding("home,g", "to(0)", "first", id="matrix.top", tooltip="The first task", show=False),
        Binding("end,G", "to(-1)", "last", id="matrix.bottom", tooltip="The last task", show=False),
        Binding("enter", "open", "open", id="matrix.open", tooltip="Open the chosen task", show=False),
    ]

    @dataclass
    class Moved(Message):
        """A person put the cursor on another task."""

        index: int

    @dataclass
    class Opened(Message):
        """Enter, or a click on the chosen task."""

        index: int

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._states: tuple[TaskState | UndoState, ...] = ()
        self._cursor = 0

    def show(self, states: Sequence[TaskState | UndoState], cursor: int) -> None:
        """The states in row order, and which task is chosen; draws the rows that differ."""
        before, self._states = self._states, tuple(states)
        if len(before) != len(self._states):
            self._fit()
            self.refresh()
        else:
            across = self._across
            changed = {
                at // across
                for at, pair in enumerate(zip(before, self._states, strict=True))
                if pair[0] is not pair[1]
            }
            for row in changed:
                self._draw_row(row)
        self._put(min(cursor, max(0, len(self._states) - 1)))

    @property
    def _across(self) -> int:
        """How many cells a row has."""
        return max(1, self.scrollable_content_region.width)

    def _fit(self) -> None:
        size = Size(1, -(-len(self._states) // self._across))
        if size != self.virtual_size:
            self.virtual_size = size

    def on_resize(self) -> None:
        self._fit()
        self._put(self._cursor)

    # ------------------------------------------------------------ the cursor

    def _put(self, index: int) -> None:
        old, self._cursor = self._cursor, index
        across, top, height = self._across, self.scroll_offset.y, max(1, self.size.height)
        row = index // across
        if old != index:
            self._draw_row(old // across)
            self._draw_row(row)
        if not top <= row < top + height:
            self.scroll_to(y=row if row < top else row - height + 1, animate=False)

    def _draw_row(self, row: int) -> None:
        y = row - self.scroll_offset.y
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def _move(self, index: int) -> None:
        if self._states and (index := max(0, min(index, len(self._states) - 1))) != self._cursor:
            self._put(index)
            self.post_message(self.Moved(index))

    def action_step(self, by: int) -> None:
        self._move(self._cursor + by)

    def action_line(self, by: int) -> None:
        target = self._cursor + by * self._across
        if 0 <= target < len(self._states):
            self._move(target)

    def action_leaf(self, by: int) -> None:
        self._move(self._cursor + by * self._across * max(1, self.size.height - 1))

    def action_to(self, index: int) -> None:
        self._move(len(self._states) - 1 if index < 0 else index)

    def action_open(self) -> None:
        if self._states:
            self.post_message(self.Opened(self._cursor))

    def on_click(self, event: events.Click) -> None:
        at = (event.y - self.gutter.top + self.scroll_offset.y) * self._across + event.x - self.gutter.left
        if not 0 <= event.x - self.gutter.left < self._across or at >= len(self._states):
            return
        if at == self._cursor:
            self.action_open()
        else:
            self._move(at)

    def on_focus(self) -> None:
        self._draw_row(self._cursor // self._across)

    def on_blur(self) -> None:
        self._draw_row(self._cursor // self._across)

    # ------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        style, base, across = look(self), self.rich_style, self._across
        first = (y + self.scroll_offset.y) * across
        segments: list[Segment] = []
        for at in range(first, min(first + across, len(self._states))):
            state = self._states[at]
            sign = TASK_SIGNS[state] if isinstance(state, TaskState) else UNDO_SIGNS[state]
            here = base + style.paint.role(sign.role)
            if at == self._cursor:
                here += Style(reverse=True, bold=True) if self.has_focus else Style(underline=True, bold=True)
            segments.append(Segment(style.mark(sign), here))
        return Strip(segments).simplify().adjust_cell_length(across, base)
