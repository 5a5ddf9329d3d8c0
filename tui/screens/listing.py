"""A screen that is one long list: a filter, more of what is older, and what is known of the chosen row.

Subclasses say what the rows are; the rest (filter, keys, counts, staying on the chosen thing) is here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui.paint import Spans
from tui.screens.finding import Finding
from tui.session import Session
from tui.widgets.table import Column, VirtualTable

Item = TypeVar("Item")


class Listing(Finding, Generic[Item]):
    """Rows are read by `reload`, which ends with `show`."""

    WHAT: ClassVar[str] = ""
    """What the rows are: the title of the frame, and the crumb."""
    LINE: ClassVar[str] = ""
    """The command that leads here, where it is called otherwise."""
    COLUMNS: ClassVar[tuple[Column, ...]] = ()
    FOOTER: ClassVar[tuple[str, ...]] = ("open", "find", "older", "copy", "back")
    BINDINGS = [
        Binding("enter", "open", "open", id="list.open", tooltip="Open what the chosen row is about"),
        Binding("slash", "find", "find", id="list.find", tooltip="Filter the rows as you type"),
        Binding("o", "older", "older", id="list.older", tooltip="Read more of what is older"),
        Binding("y", "copy", "copy command", id="list.copy", tooltip="Copy the command that lists the same"),
        Binding("escape,q", "back", "back", id="list.back", tooltip="Back; a filter is cleared first"),
    ]
    DEFAULT_CSS = """
    Listing {
        #panel { border: $frame $line; border-title-color: $foreground; border-subtitle-color: $muted; height: 1fr; }
        #panel:focus-within { border: $frame $line-focus; }
        #detail { border: $frame $line; border-title-color: $foreground; height: 8; padding: 0 1; }
        &.-short #detail { height: 5; }
    }
    """

    def __init__(self, session: Session, find: str = "") -> None:
        super().__init__(session, find)
        self.rows: list[Item] = []
        self.all_read = False
        """Whether there is nothing older."""

    # ------------------------------------------------------------ what subclasses say

    @abstractmethod
    def key_of(self, item: Item) -> Hashable:
        """Tells rows apart."""

    @abstractmethod
    def cells(self, item: Item) -> Sequence[Spans]:
        """The spans of each column."""

    @abstractmethod
    def text_of(self, item: Item) -> str:
        """What the filter looks at."""

    @abstractmethod
    def detail(self, item: Item) -> list[Spans]:
        """What is known of a row, below the list."""

    @abstractmethod
    def nothing(self) -> list[Spans]:
        """What stands where there is no row at all: what the list is for, and what makes the first one."""

    @abstractmethod
    def opened(self, item: Item) -> None:
        """Goes to what a row is about."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command that lists the same."""

    async def read_older(self) -> None:
        """Reads more of what is older."""

    # ------------------------------------------------------------ drawing

    def body(self) -> ComposeResult:
        with Vertical(id="panel"):
            yield self.find_field()
            yield VirtualTable[Item](self.COLUMNS, key=self.key_of, cells=self.cells, id="rows")
        yield Static("", id="detail")

    @property
    def table(self) -> VirtualTable[Item]:
        """The list."""
        return self.query_one("#rows", VirtualTable)

    def crumbs(self) -> Sequence[str]:
        return (self.WHAT,)

    @property
    def way_here(self) -> str:
        return f"{self.LINE or self.WHAT} {self.find}".rstrip()

    def on_mount(self) -> None:
        self.entitle("#panel", self.WHAT.capitalize())

    def list_of_rows(self) -> Widget:
        return self.table

    def found(self) -> None:
        self.show()

    def show(self) -> None:
        """Draws the rows that fit the filter."""
        wanted = self.find.lower().split()
        found = [item for item in self.rows if self._fits(item, wanted)]
        if self.rows:
            self.table.set_empty(
                [[("No row fits the filter. ", "muted"), ("esc", "bold accent"), (" clears it", "muted")]]
            )
        else:
            self.table.set_empty(self.nothing())
        self.table.set_items(found)
        count = f"{len(found)} of {len(self.rows)}" if wanted else str(len(self.rows))
        self.entitle(
            "#panel", f"{self.WHAT.capitalize()} {count}", "" if self.all_read else "o reads older ones"
        )
        self._show_detail()

    def _fits(self, item: Item, wanted: Sequence[str]) -> bool:
        text = self.text_of(item).lower() if wanted else ""
        return all(word in text for word in wanted)

    def _show_detail(self) -> None:
        item = self.table.chosen
        self.set_text("#detail", self.detail(item) if item is not None else [])

    # ------------------------------------------------------------ keys

    def reason(self, action: str) -> str:
        if action == "open" and self.table.chosen is None:
            return "there is no row"
        if action == "older" and self.all_read:
            return "there is nothing older"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self._show_detail()
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        item = self.table.chosen
        if item is not None:
            self.opened(item)

    def action_open(self) -> None:
        self.on_virtual_table_opened()

    def action_older(self) -> None:
        if self.allowed("older"):
            self.undertake(self._older, "older")

    async def _older(self) -> None:
        await self.read_older()
        self.show()
        self.refresh_keys()

    def action_copy(self) -> None:
        self.copy(self.session.command(*self.command()))


def entry(name: str, spans: Spans) -> Spans:
    """A line of a detail: its name, then what it says."""
    return [(f"{name:<10}", "muted"), *spans]
