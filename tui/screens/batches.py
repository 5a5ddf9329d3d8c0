"""The batches of the workspace: the list, and the document of the chosen one with its faults beside their lines."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widget import Widget

from core.model.views import BatchInfo
from core.workspace.inside import open_inside
from tui import rows
from tui.bridge import Changes
from tui.look import look
from tui.paint import Spans
from tui.screens.finding import Finding
from tui.screens.run import RunScreen
from tui.screens.start import StartSheet
from tui.session import Session
from tui.widgets.editor import YamlEditor
from tui.widgets.table import Column, VirtualTable

SHOWN_BYTES = 1024 * 1024


class BatchesScreen(Finding):
    """The list, and beside it the document."""

    HINT = "a name, a word"
    FOOTER = ("start", "find", "document", "copy", "update", "back")
    BINDINGS = [
        Binding(
            "enter,s", "start", "plan and start", id="batches.start", tooltip="See its plan, and start it"
        ),
        Binding("slash", "find", "find", id="batches.find", tooltip="Filter by name and description"),
        Binding(
            "tab,e", "document", "document", id="batches.document", tooltip="Scroll in the document, or back"
        ),
        Binding("y", "copy", "copy command", id="batches.copy", tooltip="Copy the command that plans it"),
        Binding("u", "update", "update", id="batches.update", tooltip="Read the files again"),
        Binding("escape,q", "back", "back", id="batches.back", tooltip="Back; a filter is cleared first"),
    ]
    DEFAULT_CSS = """
    BatchesScreen {
        #body { layout: horizontal; height: 1fr; }
        #panel { width: 44%; max-width: 64; border: $frame $line; border-title-color: $foreground; height: 1fr; }
        #panel:focus-within, #document:focus-within { border: $frame $line-focus; }
        #document { width: 1fr; border: $frame $line; border-title-color: $foreground; height: 1fr;
            border-subtitle-color: $error; }
        &.-narrow #body { layout: vertical; }
        &.-narrow #panel { width: 1fr; max-width: 100%; height: 8; }
    }
    """

    def __init__(self, session: Session, find: str = "") -> None:
        super().__init__(session, find)
        self._batches: Sequence[BatchInfo] = ()
        self._shown = ""

    def body(self) -> ComposeResult:
        with Container(id="body"):
            with Vertical(id="panel"):
                yield self.find_field()
                yield VirtualTable[BatchInfo](
                    (Column("batch", 20), Column("steps", 9), Column("description")),
                    key=lambda batch: batch.name,
                    cells=lambda batch: rows.batch_row(batch, look(self)),
                    header=False,
                    id="batches",
                )
            with Vertical(id="document"):
                yield YamlEditor(id="text")

    @property
    def table(self) -> VirtualTable[BatchInfo]:
        """The list."""
        return self.query_one("#batches", VirtualTable)

    @property
    def text(self) -> YamlEditor:
        """The document."""
        return self.query_one("#text", YamlEditor)

    def crumbs(self) -> Sequence[str]:
        return ("batches",)

    @property
    def way_here(self) -> str:
        return f"batches {self.find}".rstrip()

    def on_mount(self) -> None:
        self.entitle("#panel", "Batches")
        self.entitle("#document", "")
        self.text.read_only = True

    def list_of_rows(self) -> Widget:
        return self.table

    def found(self) -> None:
        self._show()

    async def reload(self, changes: Changes) -> None:
        if changes.servers or changes.many or not self._batches:
            self._batches = await self.session.engine.batches()
            self._show()
            await self._show_document()

    def _show(self) -> None:
        wanted = self.find.lower().split()
        found = [
            batch
            for batch in self._batches
            if all(word in f"{batch.name} {batch.description}".lower() for word in wanted)
        ]
        nothing: list[Spans] = [[("No batch fits the filter.", "muted")]]
        if not self._batches:
            nothing = [
                [("Batches are the work to be done, in steps.", "muted")],
                [("Write one as batches/NAME.yaml.", "muted")],
            ]
        self.table.set_empty(nothing)
        self.table.set_items(found)
        count = f"{len(found)} of {len(self._batches)}" if wanted else str(len(self._batches))
        self.entitle("#panel", f"Batches {count}")

    async def _show_document(self) -> None:
        batch, style = self.table.chosen, look(self)
        if batch is None:
            self.text.load_text("")
            self.entitle("#document", "")
            return
        found = await asyncio.to_thread(self._read, batch)
        if found != self._shown:
            self._shown = found
            self.text.load_text(found)
        self.text.show_faults({fault.line: style.text(fault.message) for fault in batch.faults if fault.line})
        faults = f"{len(batch.faults)} faults" if len(batch.faults) != 1 else "1 fault"
        self.entitle("#document", style.text(f"{batch.name}.yaml"), faults if batch.faults else "")

    def _read(self, batch: BatchInfo) -> str:
        folder = Path(self.session.workspace.path if self.session.workspace else "/")
        try:
            with open_inside(folder / batch.path, [folder]) as file:
                return file.read(SHOWN_BYTES).decode("utf-8", "replace")
        except OSError as error:
            return f"# {batch.path} cannot be read: {error.strerror or error}\n"

    # ------------------------------------------------------------ keys

    def reason(self, action: str) -> str:
        return (
            "there is no batch" if action in ("start", "document", "copy") and not self.table.chosen else ""
        )

    def on_virtual_table_highlighted(self) -> None:
        self.undertake(self._show_document, "document")
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.action_start()

    def action_start(self) -> None:
        batch = self.table.chosen
        if batch is None:
            return

        def started(number: int | None) -> None:
            if number is not None:
                self.app.push_screen(RunScreen(self.session, number))

        self.app.push_screen(StartSheet(self.session, batch.name), started)

    def action_document(self) -> None:
        (self.table if self.text.has_focus else self.text).focus()

    def action_copy(self) -> None:
        batch = self.table.chosen
        if batch is not None:
            self.copy(self.session.command("plan", batch.name))

    def action_update(self) -> None:
        self.needs_reload(Changes(servers=True))

    def action_back(self) -> None:
        if self.text.has_focus:
            self.table.focus()
        else:
            super().action_back()
