"""The saved filters of a workspace's inventory: used, removed, or made of the filter of now."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Input

from tui.inventory.view import MOST_FILTERS, View, can_be_kept
from tui.look import look
from tui.paint import Spans
from tui.screens.base import Sheet
from tui.screens.sheets import ConfirmSheet
from tui.session import Session
from tui.widgets.table import Column, VirtualTable

NAME_CHARS = 40


class FiltersSheet(Sheet[str]):
    """Ends with the text of a filter, or None. `now` is the filter that can be saved; `show` keeps another view."""

    TITLE_TEXT = "Saved filters"
    FOOTER = ("use", "save", "remove", "close")
    BINDINGS = [
        Binding("enter", "use", "use", id="filters.use", tooltip="Filter the inventory by it"),
        Binding("s", "save", "save this one", id="filters.save", tooltip="Give the filter of now a name"),
        Binding("D", "remove", "remove", id="filters.remove", tooltip="Forget the chosen one"),
    ]
    DEFAULT_CSS = """
    FiltersSheet {
        #saved { height: 8; }
        #filter-name { display: none; border: none; height: 1; margin: 0 1; padding: 0 1; background: $surface; }
        #filter-name.-open { display: block; }
    }
    """

    def __init__(self, session: Session, view: View, now: str, show: Callable[[View], None]) -> None:
        super().__init__(session)
        self._view = view
        self._now = now.strip()
        self._show = show

    def sheet(self) -> ComposeResult:
        yield VirtualTable[tuple[str, str]](
            (Column("name", 20), Column("filter")),
            key=lambda row: row[0],
            cells=self._cells,
            id="saved",
        )
        yield Input(placeholder="its name, then enter", id="filter-name", max_length=NAME_CHARS)

    @property
    def table(self) -> VirtualTable[tuple[str, str]]:
        """The saved filters."""
        return self.query_one("#saved", VirtualTable)

    def default_focus(self) -> Widget:
        return self.table

    def _cells(self, row: tuple[str, str]) -> list[Spans]:
        clean = look(self).text
        return [[(clean(row[0]), "bold")], [(clean(row[1]), "")]]

    def on_mount(self) -> None:
        self.table.set_empty(
            [
                [("None is saved yet.", "muted")],
                [
                    ("/", "bold accent"),
                    (" filters; then ", "muted"),
                    ("f s", "bold accent"),
                    (" saves it", "muted"),
                ],
            ]
        )
        self._fill()
        self.table.focus()

    def _fill(self, cursor: str | None = None) -> None:
        self.table.set_items(sorted(self._view.filters.items()), cursor=cursor)
        self.refresh_keys()

    def _change(self, view: View, cursor: str | None = None) -> None:
        self._view = view
        self._show(view)
        self._fill(cursor)

    # ------------------------------------------------------------ keys

    def reason(self, action: str) -> str:
        if action in ("use", "remove") and self.table.chosen is None:
            return "no filter is saved"
        if action == "save" and not self._now:
            return "nothing is filtered now: / filters"
        if action == "save" and not can_be_kept(" " * NAME_CHARS, self._now):
            return "this filter is too long to be kept"
        if action == "save" and len(self._view.filters) >= MOST_FILTERS:
            return f"{MOST_FILTERS} are saved: remove one first"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.action_use()

    def action_use(self) -> None:
        if self.table.chosen is not None:
            self.dismiss(self.table.chosen[1])

    def action_save(self) -> None:
        if self.allowed("save"):
            field = self.query_one("#filter-name", Input)
            field.add_class("-open")
            field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Saves the filter; one of the same name is replaced."""
        name = event.value.strip()
        if not name:
            return
        if name in self._view.filters:
            self.say(f"{name} is saved already: remove it first, or give another name")
            return
        event.input.remove_class("-open")
        event.input.value = ""
        self.table.focus()
        self._change(self._view.with_filter(name, self._now), name)
        self.say(f"saved as {name}")

    def action_remove(self) -> None:
        if self.table.chosen is None or not self.allowed("remove"):
            return
        name, text = self.table.chosen

        def answered(yes: bool | None) -> None:
            if yes:
                self._change(self._view.without_filter(name))

        lines: list[Spans] = [[(look(self).text(text), "")]]
        sheet = ConfirmSheet(
            self.session, f"Forget the filter {look(self).text(name)}?", lines, yes="forget it"
        )
        self.app.push_screen(sheet, answered)
