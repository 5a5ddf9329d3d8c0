"""What an unsaved edit of the configuration comes to: by value, by task of the saved batches, by line; then saved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from core.config.files import Change
from core.errors import WindlassError
from core.model.views import BatchChange
from tui import edits
from tui.config_text import diff_lines, effect_lines, task_lines
from tui.edits import FileChanged, Preview
from tui.look import look
from tui.paint import Spans
from tui.screens.base import Sheet
from tui.screens.sheets import NameSheet
from tui.session import Session


class ConfigPreviewSheet(Sheet[Change | FileChanged]):
    """Ends with the edit that was saved; with `FileChanged` where the file on disk is another one meanwhile.

    `keep` is how many edits are kept. Where the layer is used in production its name is asked for.
    """

    FOOTER = ("save", "close")
    BINDINGS = [
        Binding("s", "save", "save", id="config-preview.save", tooltip="Write what is shown to the file"),
    ]
    DEFAULT_CSS = """
    ConfigPreviewSheet {
        #sheet { width: 96%; max-width: 116; }
        #preview { height: auto; max-height: 75vh; }
        &.-short #preview { max-height: 18; }
        #preview:focus { background: $surface; }
    }
    """

    def __init__(self, session: Session, folder: Path, seen: Preview, keep: int) -> None:
        super().__init__(session)
        self._folder = folder
        self._seen = seen
        self._keep = keep
        self._saving = False
        self.planned = asyncio.Event()
        """Set once the batches were planned."""

    def sheet(self) -> ComposeResult:
        with VerticalScroll(id="preview"):
            yield Static("", classes="text", id="preview-text")

    def default_focus(self) -> Widget:
        return self.query_one("#preview")

    def on_mount(self) -> None:
        self.entitle("#sheet", look(self).text(f"Before saving {self._seen.file}", max_chars=70))
        self._show([[("Planning the saved batches with it and without", "muted")]])
        self.default_focus().focus()
        self.undertake(self._plan, "plan")

    async def _plan(self) -> None:
        seen, clean = self._seen, look(self).text
        if not seen.effect.readable:
            self._show([[("which tasks change cannot be told either", "bold")]])
            self.planned.set()
            return
        try:
            changes: Sequence[BatchChange] = await self.session.engine.batch_effects(
                seen.file, seen.after, seen.environment
            )
        except WindlassError as error:
            told = clean(f"{error.message}{f'; {error.hint}' if error.hint else ''}", max_chars=300)
            self._show([[("which tasks change cannot be told: ", "warning"), (told, "")]])
        else:
            self._show(task_lines(changes, clean))
        self.planned.set()

    def _show(self, tasks: Sequence[Spans]) -> None:
        seen, clean = self._seen, look(self).text
        lines: list[Spans] = []
        if seen.confirm:
            told = f"runs in production use this file: saving asks for {seen.confirm}"
            lines.append([("PRODUCTION", "bold error"), (clean(f": {told}"), "")])
        if seen.stopped:
            lines.append([(clean(f"not to be saved yet: {seen.stopped}"), "bold error")])
        if lines:
            lines.append([])
        lines += [*effect_lines(seen, clean), [], *tasks, [], [("lines of the file", "bold")]]
        self.set_text("#preview-text", [*lines, *diff_lines(seen.diff, clean)])

    # ------------------------------------------------------------ keys

    def reason(self, action: str) -> str:
        if action == "save":
            return "it is being saved" if self._saving else self._seen.stopped
        return ""

    def action_save(self) -> None:
        if not self.allowed("save"):
            return
        if not self._seen.confirm:
            self._save("")
            return
        clean = look(self).text
        lines: list[Spans] = [
            [(clean(self._seen.file), "bold"), (" is used by runs in production.", "")],
        ]

        def typed(name: str | None) -> None:
            if name:
                self._save(name)

        sheet = NameSheet(self.session, "Save this edit?", lines, self._seen.confirm)
        self.app.push_screen(sheet, typed)

    def _save(self, typed: str) -> None:
        self._saving = True

        async def save() -> None:
            try:
                change = await asyncio.to_thread(
                    edits.save, self._folder, self._seen, self.session.actor, self._keep, typed
                )
            except FileChanged as error:
                self.dismiss(error)
            except WindlassError as error:
                self._saving = False
                self.say_error(error)
                self.refresh_keys()
            else:
                self.dismiss(change)

        self.undertake(save, "save")
