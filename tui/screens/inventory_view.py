"""How the inventory is shown: which columns, in which order, in which groups. What is chosen is seen at once."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widget import Widget

from tui.inventory.columns import ALL, InventoryColumn
from tui.inventory.view import View
from tui.paint import Span, Spans
from tui.screens.base import Sheet
from tui.session import Session
from tui.widgets.table import Column, VirtualTable


def _from_width(column: InventoryColumn) -> str:
    """From which width on it has room."""
    least = column.column.min_table
    return f", from {least} wide" if least else ""


class ViewSheet(Sheet[None]):
    """`show` is called with each other view."""

    TITLE_TEXT = "Columns, order and groups"
    FOOTER = ("shown", "sort", "group", "as_at_first", "close")
    BINDINGS = [
        Binding("space", "shown", "show or hide", id="view.shown", tooltip="Show the column, or hide it"),
        Binding(
            "enter,s", "sort", "sort by", id="view.sort", tooltip="Order by it; again for the other way round"
        ),
        Binding("b", "group", "group by", id="view.group", tooltip="Group by it; again for no groups"),
        Binding("0", "as_at_first", "as at first", id="view.first", tooltip="Columns and order as at first"),
    ]
    DEFAULT_CSS = """
    ViewSheet {
        #columns { height: 13; }
        &.-narrow #sheet { width: 100%; }
    }
    """

    def __init__(self, session: Session, view: View, show: Callable[[View], None]) -> None:
        super().__init__(session)
        self._view = view
        self._show = show

    def sheet(self) -> ComposeResult:
        yield VirtualTable[InventoryColumn](
            (Column("", 3), Column("column", 10), Column("order", 10), Column("groups", 7), Column("")),
            key=lambda column: column.id,
            cells=self._cells,
            id="columns",
        )

    @property
    def table(self) -> VirtualTable[InventoryColumn]:
        """The columns that there are."""
        return self.query_one("#columns", VirtualTable)

    def default_focus(self) -> Widget:
        return self.table

    def _cells(self, column: InventoryColumn) -> list[Spans]:
        view = self._view
        shown: Span = ("[x]", "accent") if column.id in view.columns else ("[ ]", "muted")
        order = ("descending" if view.backwards else "ascending") if view.sort == column.id else ""
        group = "groups" if view.group == column.id else "" if column.group else "-"
        return [
            [shown],
            [(column.column.title, "bold")],
            [(order, "accent")],
            [(group, "accent" if group == "groups" else "muted")],
            [(f"{column.told}{_from_width(column)}", "muted")],
        ]

    def on_mount(self) -> None:
        self.table.set_items(ALL)
        self.table.focus()

    def _change(self, view: View) -> None:
        self._view = view
        self.table.refresh()
        self._show(view)
        self.refresh_keys()

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        column = self.table.chosen
        if column is None:
            return ""
        if action == "shown":
            return "hide" if column.id in self._view.columns else "show"
        if action == "sort" and self._view.sort == column.id:
            return "turn round"
        if action == "group" and self._view.group == column.id:
            return "no groups"
        return ""

    def reason(self, action: str) -> str:
        column = self.table.chosen
        if column is None:
            return ""
        if action == "shown" and column.id == "name":
            return "the name is always shown"
        if action == "group" and column.group is None:
            return f"nothing has its {column.column.title} in common"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.action_sort()

    def action_shown(self) -> None:
        if self.table.chosen is not None and self.allowed("shown"):
            self._change(self._view.toggled(self.table.chosen.id))

    def action_sort(self) -> None:
        if self.table.chosen is not None:
            self._change(self._view.sorted_by(self.table.chosen.id))

    def action_group(self) -> None:
        if self.table.chosen is not None and self.allowed("group"):
            self._change(self._view.grouped_by(self.table.chosen.id))

    def action_as_at_first(self) -> None:
        self._change(View(filters=self._view.filters))
