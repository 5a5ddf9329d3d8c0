"""Changing one value of the configuration: typed into a layer; what it comes to is looked at before it is saved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from core.config.files import Change
from core.config.tree import Layer
from core.errors import InputError, WindlassError
from tui import edits, words
from tui.configuration import ConfigRow, Reading, Servers
from tui.edits import FileChanged, Preview
from tui.look import look
from tui.paint import Span, Spans
from tui.screens.base import Sheet
from tui.screens.config_preview import ConfigPreviewSheet
from tui.screens.sheets import fault_lines
from tui.session import Session
from tui.widgets.line import SpanLine


class ConfigEditSheet(Sheet[Change]):
    """Ends with the edit that was saved, or None. Nothing is written before its effect was shown."""

    FOOTER = ("field", "layer", "close")
    BINDINGS = [
        Binding("e", "field", "edit on", id="config-edit.field", tooltip="Back to the field"),
        Binding(
            "ctrl+l", "layer", "layer", id="config-edit.layer",
            tooltip="Write to the workspace's file, or to that of the environment",
        ),
    ]  # fmt: skip
    DEFAULT_CSS = """
    ConfigEditSheet {
        #sheet { width: 96%; max-width: 110; }
        #value { border: none; height: 1; margin: 0 1; padding: 0 1; background: $surface; }
        #value:focus { background: $mark; }
        #effect { height: auto; max-height: 60vh; margin-top: 1; }
        &.-short #effect { max-height: 13; }
        #effect:focus { background: $surface; }
    }
    """

    def __init__(
        self, session: Session, folder: Path, reading: Reading, row: ConfigRow, servers: Servers
    ) -> None:
        super().__init__(session)
        self._folder = folder
        self._reading = reading
        self._row = row
        self._servers = servers
        own = row.layer if row.layer in {Layer.WORKSPACE, Layer.ENVIRONMENT} else None
        self._layer: Layer = own or (Layer.ENVIRONMENT if reading.environment else Layer.WORKSPACE)
        self._present = ""
        """What the field was filled with."""
        self.looked = asyncio.Event()
        """Set while no effect is being worked out."""

    def sheet(self) -> ComposeResult:
        yield SpanLine(id="target")
        yield Input(id="value", select_on_focus=False)
        with VerticalScroll(id="effect"):
            yield Static("", classes="text", id="effect-text")

    def on_mount(self) -> None:
        self.entitle("#sheet", look(self).text(f"Edit {self._row.shown}", max_chars=70))
        self.looked.set()
        self._fill()
        self._field.focus()

    @property
    def _field(self) -> Input:
        return self.query_one("#value", Input)

    def default_focus(self) -> Widget:
        return self.query_one("#effect")

    def _fill(self) -> None:
        """The present text of the chosen layer, where nothing was typed yet."""
        before, self._present = (
            self._present,
            edits.text_in_layer(self._reading, self._row, self._layer),
        )
        if self._field.value == before:
            self._field.value = self._present
            self._field.cursor_position = len(self._present)
        clean = look(self).text
        target: list[Span] = [("written to ", "muted"), (clean(self._file()), "bold")]
        if self._layer is Layer.ENVIRONMENT:
            if self._reading.production:
                target.append(("  PRODUCTION", "bold error"))
        else:
            target.append(("  for all environments", "muted"))
        self.query_one("#target", SpanLine).show(target)
        self._forget()

    def _file(self) -> str:
        if self._layer is Layer.ENVIRONMENT:
            return f"config/environments/{self._reading.environment}.yaml"
        return "config/base.yaml"

    def _forget(self) -> None:
        """What is told below the field belongs to what was typed before."""
        lines: list[Spans] = [
            [("The value is read as YAML: ", "muted"), ("8080", ""), (" is a number, ", "muted"), ('"8080"', ""),
             (" text.", "muted")],
            [("enter", "bold accent"), (" shows what would change; nothing is written yet.", "muted")],
        ]  # fmt: skip
        if self._row.layer in {Layer.VARIABLE, Layer.OPTION}:
            told = f"The {self._row.layer.value} {self._row.place} goes over every file: what counts stays."
            lines.append([(look(self).text(told), "warning")])
        elif self._row.layer is Layer.ENVIRONMENT and self._layer is Layer.WORKSPACE:
            told = f"{self._reading.environment} has a value of its own, which goes on counting there."
            lines.append([(look(self).text(told), "warning")])
        self.set_text("#effect-text", lines)
        self.refresh_keys()

    # ------------------------------------------------------------ the effect

    def on_input_changed(self, event: Input.Changed) -> None:
        self._forget()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Works out what would change."""
        self.looked.clear()
        self.set_text("#effect-text", [[("Working out what changes", "muted")]])
        self.undertake(self._look, "look")

    async def _look(self) -> None:
        typed, layer = self._field.value, self._layer
        try:
            seen = await asyncio.to_thread(
                edits.value_edit,
                self._folder,
                self._reading.environment,
                layer,
                self._row.path,
                typed,
                self._servers,
            )
        except WindlassError as error:
            self._show_refusal(error)
        else:
            if (typed, layer) == (self._field.value, self._layer):
                self._forget()
                if seen.before == seen.after:
                    self.set_text("#effect-text", [[(look(self).text(seen.stopped), "muted")]])
                else:
                    self._offer(seen)
        self.looked.set()
        self.refresh_keys()

    def _offer(self, seen: Preview) -> None:
        def ended(result: Change | FileChanged | None) -> None:
            if isinstance(result, FileChanged):
                self._show_refusal(result)
            elif result is not None:
                self.dismiss(result)

        keep = edits.kept_edits(self._reading)
        self.app.push_screen(ConfigPreviewSheet(self.session, self._folder, seen, keep), ended)

    def _show_refusal(self, error: WindlassError) -> None:
        clean = look(self).text
        faults = error.faults if isinstance(error, InputError) else ()
        told = f"refused: {words.plural(len(faults), 'fault')}" if faults else "refused"
        lines: list[Spans] = [[(told, "bold error"), (clean(f"  {error.message}", max_chars=300), "")]]
        lines += fault_lines(faults, clean)
        if "--here" in error.hint:  # an alias shares the value: what is meant is said on a command line
            where = ("-e", self._reading.environment) if self._layer is Layer.ENVIRONMENT else ()
            told = self.session.command("config", "set", self._row.shown, self._field.value, *where, "--here")
            lines.append([("this place alone: ", "muted"), (clean(told), "bold")])
            lines.append([("all of them: the same with ", "muted"), ("--everywhere", "bold")])
        elif error.hint:
            lines.append([(clean(error.hint), "muted")])
        self.set_text("#effect-text", lines)

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        if action == "layer":
            return "to the workspace" if self._layer is Layer.ENVIRONMENT else "to the environment"
        return ""

    def footer(self) -> Sequence[str]:
        return ("layer", "close") if isinstance(self.focused, Input) else self.FOOTER

    def reason(self, action: str) -> str:
        if action == "layer" and not self._reading.environment:
            return "no environment is chosen: v on the screen below chooses one"
        return ""

    def action_field(self) -> None:
        self._field.focus()

    def action_layer(self) -> None:
        if self.allowed("layer"):
            other = Layer.WORKSPACE if self._layer is Layer.ENVIRONMENT else Layer.ENVIRONMENT
            self._layer = other
            self._fill()
            self._field.focus()

    def action_close(self) -> None:
        """Leaves at once, also from the field: nothing was written."""
        self.dismiss(None)
