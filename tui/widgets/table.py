"""A virtual table: any number of rows, work only for those on the screen.

Invariants: a row is rendered when it is visible and dirty, never else; rows keep their place while they change; the
cursor stays on the thing (the row's key), not on the index. Cells are spans (see `tui.paint`), never markup.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.look import look
from tui.paint import Span, Spans, fit, pad, strip, width_of

Item = TypeVar("Item")

GAP = 2
"""Cells between two columns, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `width` 0 takes what is left (one column only); hidden below `min_table` cells of table."""

    title: str
    width: int = 0
    right: bool = False
    min_table: int = 0


class VirtualTable(ScrollView, Generic[Item], can_focus=True):
    """Rows of items: `key` tells items apart, `cells` gives the spans of each column, `gap` cells lie between two.

    `quiet` shows the cursor only while the table has the focus; `empty` stands where there are no rows. `margin` gives
    one cell before each row, for its mark; `heading` the one span of lines that a row is, where it has no columns.
    """

    DEFAULT_CSS = """
    VirtualTable {
        height: 1fr;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
    }
    """
    BINDINGS = [
        Binding("down,j", "move(1)", "down", id="table.down", tooltip="The next row", show=False),
        Binding("up,k", "move(-1)", "up", id="table.up", tooltip="The row before", show=False),
        Binding("pagedown", "page(1)", "page down", id="table.page-down", tooltip="A page on", show=False),
        Binding("pageup", "page(-1)", "page up", id="table.page-up", tooltip="A page back", show=False),
        Binding("home,g", "to(0)", "top", id="table.top", tooltip="The first row", show=False),
        Binding("end,G", "to(-1)", "bottom", id="table.bottom", tooltip="The last row", show=False),
        Binding("enter", "open", "open", id="table.open", tooltip="Open the chosen row", show=False),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor stands on another thing. `by_person` is False when the rows changed under it."""

        table: VirtualTable[Any]
        key: Hashable
        by_person: bool

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    @dataclass
    class Opened(Message):
        """Enter, or a click on the chosen row."""

        table: VirtualTable[Any]
        key: Hashable

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    @dataclass
    class Edge(Message):
        """The cursor wanted to leave: -1 over the top, 1 under the bottom."""

        table: VirtualTable[Any]
        direction: int

        @property
        def control(self) -> VirtualTable[Any]:
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        key: Callable[[Item], Hashable],
        cells: Callable[[Item], Sequence[Spans]],
        header: bool = True,
        empty: Sequence[Spans] = (),
        quiet: bool = False,
        margin: Callable[[Item], Span] | None = None,
        heading: Callable[[Item], Spans | None] | None = None,
        gap: int = GAP,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._columns = tuple(columns)
        self._key = key
        self._cells = cells
        self._header = 1 if header else 0
        self._empty = tuple(empty)
        self._quiet = quiet
        self._margin = margin
        self._heading = heading
        self._widths_at: tuple[int, list[int]] = (-1, [])
        self._gap = gap
        self._items: list[Item] = []
        self._index: dict[Hashable, int] = {}
        self._cursor = 0
        self.rows_rendered = 0
        """How many rows were ever drawn: what tests of bounded work count."""

    # ------------------------------------------------------------ rows

    @property
    def items(self) -> Sequence[Item]:
        """The rows in their order; do not change it."""
        return self._items

    @property
    def chosen(self) -> Item | None:
        """The item under the cursor."""
        return self._items[self._cursor] if self._items else None

    @property
    def cursor(self) -> int:
        """The index of the row under the cursor; 0 where there are no rows."""
        return self._cursor

    def set_empty(self, lines: Sequence[Spans]) -> None:
        """What is shown where there are no rows: what the thing is for and the key that makes the first one."""
        if tuple(lines) != self._empty:
            self._empty = tuple(lines)
            self._resize_rows()
            self.refresh()

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Other columns from now on; `cells` gives as many."""
        if tuple(columns) != self._columns:
            self._columns = tuple(columns)
            self._widths_at = (-1, [])
            self.refresh()

    def set_items(self, items: Sequence[Item], *, cursor: Hashable = None) -> None:
        """Replaces all rows. The cursor stays on its thing (or goes to the key `cursor`)."""
        if self._same_rows(items):
            self._update_all(items)
            at = self._index.get(cursor, self._cursor)
            if at != self._cursor:
                self._move_to(at, by_person=False)
            return
        before = self._key(self._items[self._cursor]) if self._items else None
        wanted = before if cursor is None else cursor
        self._items = list(items)
        self._index = {self._key(item): at for at, item in enumerate(self._items)}
        self._cursor = self._index.get(wanted, min(self._cursor, max(0, len(self._items) - 1)))
        self._resize_rows()
        self.refresh()
        after = self._key(self._items[self._cursor]) if self._items else None
        if after is not None and after != before:
            self._show_cursor()
            self.post_message(self.Highlighted(self, after, by_person=False))

    def _same_rows(self, items: Sequence[Item]) -> bool:
        return len(items) == len(self._items) and all(
            self._index.get(self._key(item)) == at for at, item in enumerate(items)
        )

    def _update_all(self, items: Sequence[Item]) -> None:
        """The same things in the same order: only visible rows that differ are drawn again."""
        before, self._items = self._items, list(items)
        first, last = self.visible_range()
        for at in range(first, last):
            if before[at] != self._items[at]:
                self.refresh_row(at)

    def update_item(self, item: Item) -> None:
        """Replaces the row of the same key; nothing happens where there is none."""
        at = self._index.get(self._key(item))
        if at is not None and self._items[at] != item:
            self._items[at] = item
            self.refresh_row(at)

    def refresh_key(self, key: Hashable) -> None:
        """Draws the row of a thing again, if it is on the screen."""
        at = self._index.get(key)
        if at is not None:
            self.refresh_row(at)

    def refresh_row(self, index: int) -> None:
        """Draws one row again, if it is on the screen."""
        y = index + self._header - self.scroll_offset.y
        if self._header <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def visible_range(self) -> tuple[int, int]:
        """The indexes of the rows on the screen: first, and one past the last."""
        first = self.scroll_offset.y
        return first, min(len(self._items), first + max(0, self.size.height - self._header))

    def column_width(self, index: int) -> int:
        """How many cells a column has now; 0 where it is hidden."""
        return max(0, self._widths(self.scrollable_content_region.width)[index])

    def choose(self, key: Hashable, *, by_person: bool = False) -> bool:
        """Puts the cursor on a thing; False where there is no such row."""
        at = self._index.get(key)
        if at is None:
            return False
        self._move_to(at, by_person=by_person)
        return True

    def has(self, key: Hashable) -> bool:
        """True where a row of that key exists."""
        return key in self._index

    def _resize_rows(self) -> None:
        height = self._header + (len(self._items) or len(self._empty))
        if self.virtual_size.height != height:
            self.virtual_size = Size(1, height)

    # ------------------------------------------------------------ the cursor

    def _move_to(self, index: int, *, by_person: bool) -> None:
        index = max(0, min(index, len(self._items) - 1))
        if index == self._cursor or not self._items:
            self._show_cursor()
            return
        old, self._cursor = self._cursor, index
        self.refresh_row(old)
        self.refresh_row(index)
        self._show_cursor()
        self.post_message(self.Highlighted(self, self._key(self._items[index]), by_person=by_person))

    def _show_cursor(self) -> None:
        page = max(1, self.size.height - self._header)
        top = self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + page:
            self.scroll_to(y=self._cursor - page + 1, animate=False)

    def action_move(self, by: int) -> None:
        target = self._cursor + by
        if not self._items or not 0 <= target < len(self._items):
            self.post_message(self.Edge(self, 1 if by > 0 else -1))
            return
        self._move_to(target, by_person=True)

    def action_page(self, by: int) -> None:
        self._move_to(self._cursor + by * max(1, self.size.height - self._header - 1), by_person=True)

    def action_to(self, index: int) -> None:
        self._move_to(len(self._items) - 1 if index < 0 else index, by_person=True)

    def action_open(self) -> None:
        if self._items:
            self.post_message(self.Opened(self, self._key(self._items[self._cursor])))

    def on_click(self, event: events.Click) -> None:
        index = event.y - self.gutter.top - self._header + self.scroll_offset.y
        if event.y - self.gutter.top < self._header or not 0 <= index < len(self._items):
            return
        if index == self._cursor:
            self.action_open()
        else:
            self._move_to(index, by_person=True)

    def on_mount(self) -> None:
        self._resize_rows()

    def on_resize(self) -> None:
        self._show_cursor()

    def on_focus(self) -> None:
        self.refresh_row(self._cursor)

    def on_blur(self) -> None:
        self.refresh_row(self._cursor)

    # ------------------------------------------------------------ drawing

    def _widths(self, total: int) -> list[int]:
        """A width for each column, 0 for those that are hidden at this width."""
        if self._widths_at[0] != total:
            self._widths_at = (total, self._measured(total))
        return self._widths_at[1]

    def _measured(self, total: int) -> list[int]:
        shown = [not column.min_table or total >= column.min_table for column in self._columns]
        widths = [column.width if seen else 0 for column, seen in zip(self._columns, shown, strict=True)]
        flexible = [at for at, column in enumerate(self._columns) if not column.width and shown[at]]
        taken = (1 if self._margin is None else 2) + sum(widths) + self._gap * max(0, sum(shown) - 1)
        for at in flexible:
            widths[at] = max(1, (total - taken) // len(flexible))
        return widths

    def _row(self, cells: Sequence[Spans], lead: Sequence[Span], total: int) -> list[Span]:
        dots = look(self).glyphs.ellipsis
        out: list[Span] = [*lead]
        for column, width, cell in zip(self._columns, self._widths(total), cells, strict=True):
            if width:
                if len(out) > len(lead):
                    out.append((" " * self._gap, ""))
                out += pad(cell, width, dots, right=column.right)
        return fit(out, total, dots) if width_of(out) > total else out

    def render_line(self, y: int) -> Strip:
        style = look(self)
        total = self.scrollable_content_region.width
        base = self.rich_style
        if y < self._header:
            titles: list[Spans] = [[(column.title, "muted")] for column in self._columns]
            return strip(self._row(titles, self._lead((" ", "")), total), total, style.paint, base)
        at = y - self._header + self.scroll_offset.y
        if not self._items and at < len(self._empty):
            line = fit([(" ", ""), *self._empty[at]], total, style.glyphs.ellipsis)
            return strip(line, total, style.paint, base)
        if at >= len(self._items):
            return Strip.blank(total, base)
        self.rows_rendered += 1
        over: Style | None = None
        lead = (" ", "")
        if at == self._cursor and (self.has_focus or not self._quiet):
            over = style.paint.ground("mark" if self.has_focus else "mark_blur")
            lead = (style.glyphs.cursor, "accent" if self.has_focus else "line")
        item = self._items[at]
        heading = self._heading(item) if self._heading is not None else None
        if heading is not None:
            spans = fit([*self._lead(lead, item), *heading], total, style.glyphs.ellipsis)
        else:
            spans = self._row(self._cells(item), self._lead(lead, item), total)
        return strip(spans, total, style.paint, base, over)

    def _lead(self, cursor: Span, item: Item | None = None) -> list[Span]:
        """What stands before the columns: the cursor, and the mark where rows can have one."""
        if self._margin is None:
            return [cursor]
        return [cursor, self._margin(item) if item is not None else (" ", "")]
