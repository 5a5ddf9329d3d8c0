"""The inventory as Textual's own `DataTable` does it: rows and a filter line, as a program to look at.

    python -m benchmarks.peer_datatable ROWS.json

ROWS.json is a list of rows, each a list of texts. `/` goes to the filter; the title counts as Windlass's does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import DataTable, Input

TITLES = ("name", "provider", "state", "address", "groups", "held by")


class Inventory(App[None]):
    """A table, and a line that filters it as one types."""

    CSS = "#panel { border: round white; } #find { border: none; height: 1; } DataTable { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("slash", "find", "find")]

    def __init__(self, rows: list[list[str]]) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        with Vertical(id="panel"):
            yield Input(id="find")
            yield DataTable[str](cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns(*TITLES)
        table.focus()
        self._show("")

    def action_find(self) -> None:
        self.query_one(Input).focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._show(event.value)

    def _show(self, find: str) -> None:
        found = [row for row in self._rows if any(find in text for text in row)]
        table = self.query_one(DataTable)
        table.clear()
        table.add_rows(found)
        count = f"{len(found)} of {len(self._rows)}" if find else str(len(self._rows))
        self.query_one("#panel").border_title = f"Servers {count}"


if __name__ == "__main__":
    Inventory(json.loads(Path(sys.argv[1]).read_text())).run()
