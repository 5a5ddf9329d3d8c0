"""The editor of one layer's whole file: faults while typing, completion of keys, a look at the effect before saving.

The text is checked in a process of its own, which ends with the screen. Invariants: nothing is written that was not
looked at, and nothing over a file that is another one than when it was opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.timer import Timer
from textual.widgets import Static, TextArea

from core.config.checking import Checker, Question
from core.config.files import Change
from core.config.merge import marked_lines, merge
from core.errors import Fault, InputError, WindlassError
from tui import completing, edits, words
from tui.completing import Known, Offer
from tui.configuration import Reading, Servers
from tui.edits import FileChanged
from tui.look import look
from tui.paint import Span, Spans
from tui.screens.base import Page
from tui.screens.config_conflict import MERGE, THEIRS, ConflictSheet
from tui.screens.config_preview import ConfigPreviewSheet
from tui.screens.sheets import ConfirmSheet, fault_lines
from tui.session import Session
from tui.widgets.completions import Completions
from tui.widgets.editor import YamlEditor
from tui.widgets.line import SpanLine

DEBOUNCE_S = 0.3
DISK_S = 1.0
"""How often it is looked whether the file is another one on disk."""


class ConfigFileScreen(Page[None]):
    """`servers` asks for the servers as templates see them, from another thread; `place` is the line and
    the column where the cursor begins."""

    FOOTER = ("save", "complete", "editor_undo", "conflict", "next_fault", "back")
    BINDINGS = [
        Binding(
            "ctrl+s", "save", "save", id="config-file.save",
            tooltip="Show what would change by value, by task and by line; then save it",
        ),
        Binding(
            "ctrl+@,ctrl+space", "complete", "complete", id="config-file.complete",
            tooltip="The keys that may stand at the cursor, from the schema and from other layers; tab takes one",
        ),
        Binding("ctrl+z", "editor_undo", "undo", id="config-file.undo", tooltip="Take back what was typed"),
        Binding("ctrl+n", "next_fault", "next fault", id="config-file.fault", tooltip="To the next line with a fault"),
        Binding(
            "ctrl+t", "conflict", "compare", id="config-file.conflict",
            tooltip="The file changed on disk: as opened, yours and on disk beside each other",
        ),
        Binding("f1", "help", "keys", id="config-file.help", tooltip="Every key of this screen"),
        Binding("escape", "back", "back", id="config-file.back", tooltip="Back; asks where something is not saved"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    ConfigFileScreen {
        layers: default popup;
        #state { height: 1; }
        #text { height: 1fr; }
        #faults { display: none; height: auto; max-height: 8; border: $frame $line; padding: 0 1; }
        &.-faulty #faults { display: block; }
        &.-short #faults { max-height: 5; }
        #fault-text { height: auto; }
    }
    """

    def __init__(
        self,
        session: Session,
        folder: Path,
        reading: Reading,
        file: str,
        servers: Servers,
        place: Sequence[int] = (1, 1),
    ) -> None:
        super().__init__(session)
        self._folder = folder
        self._reading = reading
        self._file = file
        self._servers = servers
        self._place = place
        self._opened = ""
        """The file's text as this edit began from it."""
        self._on_disk: str | None = None
        """The file's text where it is another one now."""
        self._known = Known()
        self._server_data: Mapping[str, Any] = {}
        self._server_trouble = ""
        self._faults: Sequence[Fault] | None = None
        self._checker = Checker()
        self._timer: Timer | None = None
        self.ready = asyncio.Event()
        """Set once the file is in the editor."""
        self.checked = asyncio.Event()
        """Set while the faults shown belong to the text."""

    def body(self) -> ComposeResult:
        yield SpanLine(id="state")
        yield YamlEditor(id="text")
        with VerticalScroll(id="faults"):
            yield Static("", id="fault-text")
        yield Completions[Offer](id="completions")

    @property
    def editor(self) -> YamlEditor:
        """The text."""
        return self.query_one("#text", YamlEditor)

    @property
    def completions(self) -> Completions[Offer]:
        """The keys that may stand at the cursor, while they are open."""
        return self.query_one("#completions", Completions)

    @property
    def modified(self) -> bool:
        """True where the editor holds something that is not saved."""
        return self.editor.text != self._opened

    def crumbs(self) -> Sequence[str]:
        return ("configuration", self._file)

    # ------------------------------------------------------------ opening

    def on_mount(self) -> None:
        self.query_one("#faults").can_focus = False
        self._show_state()
        self.editor.read_only = True
        self.editor.focus()
        self.undertake(self._open, "open")
        self.set_interval(DISK_S, lambda: self.undertake(self.look_at_disk, "disk"))

    async def on_unmount(self) -> None:
        """The process that checks ends with the screen."""
        await self._checker.end()

    async def _open(self) -> None:
        try:
            text = await asyncio.to_thread(edits.text_of, self._folder, self._file)
        except WindlassError as error:
            self.say_error(error)
            self.dismiss(None)
            return
        if not self.editor.holds(text):
            self.say(f"{self._file} has line ends of several kinds, which this editor would not keep: "
                     f"use `windlass config edit`", bad=True)  # fmt: skip
            self.dismiss(None)
            return
        self._known = await asyncio.to_thread(completing.known_keys, self._folder, self._reading)
        try:
            self._server_data = dict(await asyncio.to_thread(self._servers))
        except InputError as error:
            self._server_trouble = error.message
        # Only now, and at once: what is seen can be changed and saved.
        self._opened = text
        self.editor.read_only = False
        self.editor.load_text(text)
        line, column = self._place
        self.editor.move_cursor((line - 1, column - 1), center=True)
        self.ready.set()
        self._check_soon(0)

    # ------------------------------------------------------------ checking

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        if not self.ready.is_set():
            return
        self._check_soon(DEBOUNCE_S)
        if self.editor.typing:
            self._complete(asked=False)
        else:
            self._close_completions()

    def _check_soon(self, after_s: float) -> None:
        self.checked.clear()
        self._faults = None
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(max(after_s, 0.001), self._check_now)
        self._show_state()

    def _check_now(self) -> None:
        self.run_worker(self._check(), group="check")  # the checker lets older texts go by itself

    async def _check(self) -> None:
        text = self.editor.text
        question = Question(
            str(self._folder),
            self._file,
            text,
            self._reading.environment,
            self._server_data,
            self._server_trouble,
        )
        try:
            found = await self._checker.check(question)
        except InputError as error:
            found = [Fault(self._file, 0, 0, error.message)]
        if found is not None and not self.leaving and text == self.editor.text:
            self._show_faults(found)
            self.checked.set()

    def _show_faults(self, found: Sequence[Fault]) -> None:
        self._faults = found
        clean = look(self).text
        beside: dict[int, str] = {}
        for fault in found:
            if fault.file == self._file and fault.line:
                beside.setdefault(fault.line, clean(fault.message, max_chars=200))
        self.editor.show_faults(beside)
        self.set_class(bool(found), "-faulty")
        self.entitle("#faults", f"Faults {len(found)}")
        self.set_text("#fault-text", fault_lines(found, clean))
        self._show_state()
        self.refresh_keys()

    def _show_state(self) -> None:
        clean, reading = look(self).text, self._reading
        left: list[Span] = [(clean(self._file), "bold")]
        if reading.environment:
            left.append((clean(f"  checked in {reading.environment}"), "muted"))
        if self._on_disk is not None:
            left.append(("  changed on disk", "bold warning"))
        elif self.modified:
            left.append(("  not saved", "warning"))
        right: list[Span] = []
        if reading.production:
            right.append(("PRODUCTION  ", "bold error"))
        if self._faults is None:
            right.append(("checking", "muted"))
        elif self._faults:
            right.append((words.plural(len(self._faults), "fault"), "error"))
        else:
            right.append(("valid", "success"))
        self.query_one("#state", SpanLine).show(left, right)

    # ------------------------------------------------------------ completing

    def on_yaml_editor_asked(self, message: YamlEditor.Asked) -> None:
        """A key that belongs to the completions."""
        if message.what == "open":
            self.action_complete()
        elif message.what == "take":
            self._take()
        elif message.what == "close":
            self._close_completions()
        else:
            self.completions.move(1 if message.what == "next" else -1)

    def on_text_area_selection_changed(self) -> None:
        offer = self.completions.chosen
        if offer is None:
            return
        row, column = self.editor.cursor_location
        typed = self.editor.document.get_line(row)[offer.place.column : column]
        if typed != offer.place.typed:
            self._close_completions()

    def _complete(self, *, asked: bool) -> None:
        """Opens what fits; unasked only once something is typed of a key."""
        row, column = self.editor.cursor_location
        found = completing.offers(self.editor.text, row, column, self._known)
        if not found or (not asked and not found[0][0].place.typed):
            self._close_completions()
            if asked:
                self.say("no other key is known for this place")
            return
        self.completions.open_at(self.editor.cursor_screen_offset, self.size, found)
        self.editor.completing = True

    def _take(self) -> None:
        offer = self.completions.chosen
        self._close_completions()
        if offer is not None:
            row, column = self.editor.cursor_location
            self.editor.typing = False
            self.editor.replace(
                offer.text, (row, offer.place.column), (row, column), maintain_selection_offset=False
            )

    def _close_completions(self) -> None:
        self.completions.close()
        self.editor.completing = False

    # ------------------------------------------------------------ the file on disk

    async def look_at_disk(self, *, tell: bool = True) -> None:
        """Notices a file that is another one: goes on with it where nothing was typed, else says so (with `tell`)."""
        if not self.ready.is_set():
            return
        try:
            now = await asyncio.to_thread(edits.text_of, self._folder, self._file)
        except WindlassError:
            return  # saving tells
        before, self._on_disk = self._on_disk, None if now == self._opened else now
        if self._on_disk is None or self._on_disk == before:
            if before != self._on_disk:
                self._show_state()
                self.refresh_keys()
            return
        if not self.modified:
            self._go_on_with(now, now)
            self.say(f"{self._file} changed on disk and was read again")
            return
        self._show_state()
        self.refresh_keys()
        if tell:
            self.say(f"{self._file} changed on disk; ^t compares it with yours")

    def _go_on_with(self, opened: str, text: str) -> None:
        """The edit now begins from another text of the file, with `text` in the editor."""
        self._opened, self._on_disk = opened, None
        if text != self.editor.text:
            self.editor.put(text)
        self._check_soon(0)
        self.refresh_keys()

    def action_conflict(self) -> None:
        if not self.allowed("conflict") or self._on_disk is None:
            return
        base, mine, theirs = self._opened, self.editor.text, self._on_disk

        def chosen(what: str | None) -> None:
            if what == THEIRS:
                self._go_on_with(theirs, theirs)
            elif what == MERGE:
                found = merge(base, mine, theirs)
                self._go_on_with(theirs, found.text)
                if found.conflicts:
                    self.editor.move_cursor((marked_lines(found.text)[0] - 1, 0), center=True)
                    self.say(
                        f"{words.plural(found.conflicts, 'place')} to choose by hand: take the marks out"
                    )

        self.app.clear_notifications()  # the notice that led here would lie over the keys that answer it
        self.app.push_screen(ConflictSheet(self.session, self._file, base, mine, theirs), chosen)

    # ------------------------------------------------------------ keys

    def bindings_here(self) -> list[tuple[str, Binding]]:
        """As the keys are; "?" is typed here like any other character."""
        found = super().bindings_here()
        return [(keys.replace("? ", ""), binding) for keys, binding in found]

    def footer(self) -> Sequence[str]:
        hidden = {action for action in ("conflict", "next_fault") if self.reason(action)}
        return [action for action in self.FOOTER if action not in hidden]

    def reason(self, action: str) -> str:
        if action == "save":
            if not self.ready.is_set():
                return "the file is being read"
            if not self.modified:
                return "nothing was changed"
        if action == "conflict" and self._on_disk is None:
            return "the file is on disk as it was opened"
        if action == "next_fault" and not self._fault_lines:
            return "no line of this file has a fault"
        if action == "editor_undo" and not self.editor.history.undo_stack:
            return "nothing was typed"
        return ""

    @property
    def _fault_lines(self) -> list[int]:
        return sorted({each.line for each in self._faults or () if each.file == self._file and each.line})

    def action_editor_undo(self) -> None:
        self.editor.action_undo()

    def action_complete(self) -> None:
        self._complete(asked=True)

    def action_next_fault(self) -> None:
        if self.allowed("next_fault"):
            row = self.editor.cursor_location[0] + 1
            lines = self._fault_lines
            line = next((line for line in lines if line > row), lines[0])
            column = next(each.column for each in self._faults or () if each.line == line)
            self.editor.move_cursor((line - 1, max(0, column - 1)), center=True)

    def action_save(self) -> None:
        if self.allowed("save"):
            self._close_completions()
            self.undertake(self._preview, "save")

    async def _preview(self) -> None:
        await self.look_at_disk(tell=False)  # the sheet that opens is about it
        if self._on_disk is not None:
            self.action_conflict()
            return
        try:
            seen = await asyncio.to_thread(
                edits.text_edit,
                self._folder,
                self._reading.environment,
                self._file,
                self._opened,
                self.editor.text,
                self._servers,
            )
        except WindlassError as error:
            self.say_error(error)
            return

        def ended(result: Change | FileChanged | None) -> None:
            if isinstance(result, FileChanged):
                self.undertake(self._preview, "save")
            elif result is not None:
                self._opened = result.after
                self.say(f"edit {result.number}: {result.file} is saved; u on the screen below takes it back")
                self._show_state()
                self.refresh_keys()

        keep = edits.kept_edits(self._reading)
        self.app.push_screen(ConfigPreviewSheet(self.session, self._folder, seen, keep), ended)

    def action_back(self) -> None:
        if not (self.ready.is_set() and self.modified):
            self.dismiss(None)
            return
        lines: list[Spans] = [
            [(look(self).text(self._file), "bold"), (" has changes that are not saved.", "")],
        ]

        def answered(yes: bool | None) -> None:
            if yes:
                self.dismiss(None)

        sheet = ConfirmSheet(
            self.session, "Leave without saving?", lines, yes="leave them", no="back to the editor"
        )
        self.app.push_screen(sheet, answered)
