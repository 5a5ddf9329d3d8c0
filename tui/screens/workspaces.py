"""The registered workspaces, which of them need someone, and going to another one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widget import Widget
from textual.widgets import Static

from core.errors import WindlassError
from tui import words, workspaces
from tui.look import Look, look
from tui.paint import Span, Spans
from tui.screens.base import Sheet
from tui.session import Session
from tui.widgets.table import Column, VirtualTable
from tui.workspaces import WorkspaceRow

AT_ONCE = 4
"""How many databases are asked at a time."""


class WorkspacesSheet(Sheet[WorkspaceRow]):
    """Ends with the workspace that is to be opened, or None."""

    TITLE_TEXT = "Workspaces"
    FOOTER = ("open", "close")
    BINDINGS = [
        Binding("enter", "open", "open", id="workspaces.open", tooltip="Open the chosen workspace here"),
    ]
    DEFAULT_CSS = """
    WorkspacesSheet {
        #sheet { width: 96%; max-width: 116; }
        #workspaces { height: auto; min-height: 4; max-height: 60vh; }
        #workspace-detail { height: 2; margin-top: 1; padding: 0 1; }
    }
    """

    def __init__(self, session: Session, here: Path) -> None:
        super().__init__(session)
        self._here = here
        self.listed = asyncio.Event()
        """Set once the registry was read."""
        self.asked = asyncio.Event()
        """Set once every database has answered, or has not."""

    def sheet(self) -> ComposeResult:
        yield VirtualTable[WorkspaceRow](
            (
                Column("name", 14),
                Column("state", 9),
                Column("environments", 24, min_table=90),
                Column("protection"),
                Column("needs you", 9, right=True),
                Column("last", 7, right=True),
            ),
            key=lambda row: row.name,
            cells=self._cells,
            empty=([("Reading the registered workspaces", "muted")],),
            id="workspaces",
        )
        yield Static("", id="workspace-detail")

    @property
    def table(self) -> VirtualTable[WorkspaceRow]:
        """The registered workspaces."""
        return self.query_one("#workspaces", VirtualTable)

    def default_focus(self) -> Widget:
        return self.table

    def _cells(self, row: WorkspaceRow) -> list[Spans]:
        style = look(self)
        clean = style.text
        state: Span = (row.state, "error" if row.trouble else "success" if row.here else "")
        guard: Span = (row.protection, "bold error" if row.production else "bold warning")
        environments: Span = (clean(", ".join(row.environments)), "")
        return [
            [(clean(row.name), "bold")],
            [state],
            [environments],
            [guard],
            *self._activity_cells(row, style),
        ]

    def _activity_cells(self, row: WorkspaceRow, style: Look) -> list[Spans]:
        found = row.activity
        if row.trouble:
            return [[("", "")], [("", "")]]
        if found is None:
            return [[(style.glyphs.ellipsis, "muted")], [("", "")]]
        if found.trouble:
            return [[("unknown", "warning")], [("", "")]]
        needs: Span = (str(found.needs), "bold warning" if found.needs else "muted")
        last = words.ago(found.last, style.clock()).removesuffix(" ago") if found.last else "never"
        return [[needs], [(last, "muted")]]

    def on_mount(self) -> None:
        self.table.focus()
        self.undertake(self._load, "workspaces")

    async def _load(self) -> None:
        try:
            rows = await asyncio.to_thread(workspaces.read, self._here)
        except WindlassError as error:
            self.table.set_empty([[(look(self).text(error.message), "error")]])
            self.listed.set()
            return
        self.table.set_empty(
            [
                [("No workspace is registered by a name yet.", "")],
                [("windlass workspace add DIR", "bold"), ("  registers one", "muted")],
            ]
        )
        other = next((row.name for row in rows if not row.here), None)
        self.table.set_items(rows, cursor=other)
        self.entitle("#sheet", f"Workspaces {len(rows)}" if rows else self.TITLE_TEXT)
        self._show_detail()
        self.refresh_keys()
        self.listed.set()
        turns = asyncio.Semaphore(AT_ONCE)

        async def ask(row: WorkspaceRow) -> None:
            async with turns:
                found = await workspaces.activity(row.path)
            self.table.update_item(replace(row, activity=found))
            self._show_detail()

        await asyncio.gather(*(ask(row) for row in rows if not row.trouble))
        self.asked.set()

    def _show_detail(self) -> None:
        row = self.table.chosen
        clean = look(self).text
        lines: list[Spans] = []
        if row is not None:
            lines.append([(clean(str(row.path)), "")])
            found = row.activity
            trouble = row.trouble or (found.trouble if found is not None else "")
            lines.append([(clean(trouble or self.reason("open")), "warning" if trouble else "muted")])
        self.set_text("#workspace-detail", lines)

    def reason(self, action: str) -> str:
        row = self.table.chosen
        if action == "open":
            if row is None:
                return "no workspace is chosen"
            return "this is the workspace that is open" if row.here else row.trouble
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self._show_detail()
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        row = self.table.chosen
        if self.allowed("open") and row is not None:
            self.dismiss(row)
