"""A page with a field that filters what it lists as one types: opened by a key, cleared before the page is left."""

from __future__ import annotations

from abc import abstractmethod

from textual.widget import Widget
from textual.widgets import Input

from tui.pasting import cleaned
from tui.screens.base import Live
from tui.session import Session


class Finding(Live[None]):
    """`find` filters from the beginning. Subclasses put `find_field` above their list; `found` shows what fits."""

    HINT = "words that a row has in it"
    DEFAULT_CSS = """
    Finding {
        #find { display: none; border: none; height: 1; padding: 0 1; background: $surface; }
        #find.-open { display: block; }
    }
    """

    def __init__(self, session: Session, find: str = "") -> None:
        super().__init__(session)
        self.find = find

    @abstractmethod
    def found(self) -> None:
        """Shows what fits `find`."""

    @abstractmethod
    def list_of_rows(self) -> Widget:
        """What gets the focus when the field is left."""

    def find_field(self) -> Input:
        """The field; it is hidden until it is asked for."""
        field = Input(self.find, placeholder=self.HINT, id="find", select_on_focus=False)
        field.set_class(bool(self.find), "-open")
        return field

    def set_find(self, text: str) -> None:
        """Filters by a text, as if it had been typed."""
        field = self.query_one("#find", Input)
        text = cleaned(text, one_line=True)
        field.value = text
        field.cursor_position = len(text)
        field.set_class(bool(text), "-open")

    def on_mount(self) -> None:
        self.list_of_rows().focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "find" and event.value != self.find:
            self.find = event.value
            self.found()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "find":
            self.list_of_rows().focus()

    def action_find(self) -> None:
        field = self.query_one("#find", Input)
        field.add_class("-open")
        field.focus()

    def action_back(self) -> None:
        """Leaves the page; a filter is cleared first."""
        if self.query_one("#find").has_class("-open"):
            self.set_find("")
            self.list_of_rows().focus()
        else:
            self.leave()
