"""The effective configuration: every value with its layer and place, why it counts, and a way to change one.

Files are read and templates worked out off the interface's thread; what is shown is one `Reading` as a whole.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Input, Static

from core.config.files import Change
from core.config.load import BASE, ENVIRONMENTS
from core.config.tree import Layer
from core.model.actors import place
from tui import configuration, edits, words
from tui.bridge import Changes
from tui.config_text import diff_lines
from tui.configuration import ConfigRow, Reading
from tui.look import look
from tui.paint import Span, Spans
from tui.screens.base import Live
from tui.screens.config_edit import ConfigEditSheet
from tui.screens.sheets import ConfirmSheet, NameSheet, fault_lines
from tui.session import Session
from tui.widgets.line import SpanLine
from tui.widgets.table import Column, VirtualTable

ENVIRONMENT_VARIABLE = "WINDLASS_ENVIRONMENT"
MOST_LINES = 50
"""How many lines of one value are shown."""
LAYER_ROLES = {Layer.ENVIRONMENT: "accent", Layer.VARIABLE: "warning", Layer.DEFAULTS: "muted"}
READ_ONLY = "this workspace is read-only: its configuration is not changed from here"


class ConfigurationScreen(Live[None]):
    """Begins with the environment that it is given, else that the process names, else with none."""

    FOOTER = ("edit", "edit_file", "find", "environment", "undo", "back", "open")
    BINDINGS = [
        Binding("e", "edit", "edit", id="config.edit", tooltip="Change the chosen value in a file"),
        Binding(
            "E", "edit_file", "file", id="config.edit-file",
            tooltip="The whole file that the chosen value is written in, in an editor",
        ),
        Binding("slash", "find", "find", id="config.find", tooltip="Filter by path or value"),
        Binding(
            "v", "environment", "environment", id="config.environment",
            tooltip="The next environment, after the last one none",
        ),
        Binding("u", "undo", "undo", id="config.undo", tooltip="Take the newest edit back; asks first"),
        Binding("r", "read_again", "read again", id="config.read-again", tooltip="Read the files again"),
        Binding("escape,q", "back", "back", id="config.back", tooltip="Back; a filter is cleared first"),
    ]  # fmt: skip
    DEFAULT_CSS = """
    ConfigurationScreen {
        #find { display: none; border: none; height: 1; padding: 0 1; background: $surface; }
        #state { height: 1; }
        #values-panel, #origin, #faults { border: $frame $line; border-title-color: $foreground; }
        #values-panel { height: 1fr; }
        #values-panel:focus-within, #origin:focus, #faults:focus { border: $frame $line-focus; }
        #origin { height: 9; padding: 0 1; }
        #faults { display: none; height: auto; max-height: 50%; padding: 0 1; }
        &.-faulty #faults { display: block; }
        &.-unread #values-panel { height: 4; }
        &.-unread #faults { height: 1fr; max-height: 100%; }
        &.-unread #origin { display: none; }
        &.-short #origin { height: 7; }
        &.-short #faults { max-height: 6; }
        &.-short.-unread #faults { max-height: 100%; }
        #origin-text, #fault-text { height: auto; }
    }
    """

    def __init__(self, session: Session, environment: str | None = None) -> None:
        super().__init__(session)
        named = os.environ.get(ENVIRONMENT_VARIABLE, "")
        self._wanted = named if environment is None else environment
        self._find = ""
        self._reading: Reading | None = None
        self._folder = Path()

    def body(self) -> ComposeResult:
        yield SpanLine(id="state")
        with Vertical(id="values-panel"):
            yield Input(placeholder="part of a path or a value", id="find", select_on_focus=False)
            yield VirtualTable[ConfigRow](
                (Column("path"), Column("value"), Column("layer", 11), Column("written in", 20)),
                key=lambda row: row.shown,
                cells=self._cells,
                id="values",
            )
        with VerticalScroll(id="faults"):
            yield Static("", id="fault-text")
        with VerticalScroll(id="origin"):
            yield Static("", id="origin-text")

    @property
    def table(self) -> VirtualTable[ConfigRow]:
        """The table of values."""
        return self.query_one("#values", VirtualTable)

    def crumbs(self) -> Sequence[str]:
        return ("configuration", self._wanted or "no environment")

    @property
    def way_here(self) -> str:
        return "config"

    def _cells(self, row: ConfigRow) -> list[Spans]:
        clean = look(self).text
        value: Span = ("! fault", "error") if row.fault else (clean(row.value), "")
        layer: Span = (row.layer.value, LAYER_ROLES.get(row.layer, ""))
        return [[(clean(row.shown), "")], [value], [layer], [(clean(row.place), "muted")]]

    def on_mount(self) -> None:
        self.entitle("#values-panel", "Values")
        self.entitle("#faults", "Faults")
        self.entitle("#origin", "Where it comes from")
        self.query_one("#state", SpanLine).show([("Reading the configuration", "muted")])
        self.table.set_empty([[("Reading the configuration", "muted")]])
        self.table.focus()

    # ------------------------------------------------------------ reading

    async def reload(self, changes: Changes) -> None:
        if not changes.servers:
            return  # nothing that a run does is a value of the configuration
        self._folder = Path((await self.session.engine.workspace()).path)
        wanted = self._wanted
        reading = await asyncio.to_thread(configuration.read, self._folder, wanted, self._servers())
        if wanted == self._wanted:
            self._reading = reading
            self._show()

    def _servers(self) -> configuration.Servers:
        return configuration.servers_of(self.session.engine)

    def _show(self) -> None:
        reading = self._reading
        if reading is None:
            return
        found = [row for row in reading.rows if configuration.fits(row, self._find)]
        self.set_class(bool(reading.faults), "-faulty")
        self.set_class(reading.resolver is None, "-unread")
        self.table.set_empty(self._nothing(reading))
        self.table.set_items(found)
        total = len(reading.rows)
        self.entitle("#values-panel", f"Values {len(found)} of {total}" if self._find else f"Values {total}")
        self.entitle("#faults", f"Faults {len(reading.faults)}")
        self.set_text("#fault-text", fault_lines(reading.faults, look(self).text))
        self._show_state(reading)
        self._show_origin()
        self.refresh_top()
        self.refresh_keys()

    @staticmethod
    def _nothing(reading: Reading) -> list[Spans]:
        if reading.resolver is None:
            return [
                [("The configuration cannot be read. ", "error"), ("Mend the files, then ", "muted"),
                 ("r", "bold accent"), (" reads them again", "muted")]
            ]  # fmt: skip
        return [
            [("No value fits the filter. ", "muted"), ("esc", "bold accent"), (" clears it", "muted")],
        ]

    def _show_state(self, reading: Reading) -> None:
        clean = look(self).text
        known = reading.environments
        left: list[Span] = [("environment ", "muted")]
        if self._wanted:
            left.append((clean(self._wanted), "bold"))
            if self._wanted in known:
                left.append((f"  {known.index(self._wanted) + 1} of {len(known)}", "muted"))
        else:
            left.append(("none", "bold"))
            told = f"there are {', '.join(known)}" if known else "the workspace has none"
            left.append((clean(f"  {told}", max_chars=60), "muted"))
        right: list[Span] = []
        if reading.production:
            right.append(("PRODUCTION  ", "bold error"))
        if reading.read_only:
            right.append(("READ-ONLY  ", "bold warning"))
        if reading.faults:
            right.append((words.plural(len(reading.faults), "fault"), "error"))
        else:
            right.append(("valid", "success"))
        self.query_one("#state", SpanLine).show(left, right)

    def _show_origin(self) -> None:
        reading, row = self._reading, self.table.chosen
        if reading is not None and reading.only_defaults and not self._find:
            self.entitle("#origin", "Nothing is configured yet")
            self.set_text("#origin-text", _first_steps())
            return
        if reading is None or reading.config is None or row is None:
            self.entitle("#origin", "Where it comes from")
            self.set_text("#origin-text", [])
            return
        clean = look(self).text
        self.entitle("#origin", clean(row.shown, max_chars=60))
        self.set_text("#origin-text", self._origin(reading, row))

    def _origin(self, reading: Reading, row: ConfigRow) -> list[Spans]:
        """What counts, then each layer that it goes over: what `windlass config explain` prints."""
        assert reading.config is not None
        clean = look(self).text
        lines: list[Spans] = []
        if row.fault:
            lines.append([(clean(row.fault), "error")])
        for at, line in enumerate(row.lines[:MOST_LINES]):
            label = "    " if at else "is  "
            lines.append([(label, "muted"), (clean(line, max_chars=2000), "bold")])
        if len(row.lines) > MOST_LINES:
            lines.append([(f"    and {len(row.lines) - MOST_LINES} more lines", "muted")])
        chain = reading.config.chain(row.path)
        for at, link in enumerate(chain):
            origin = link.entry.origin
            role = configuration.role_of(chain, at)
            layer: Span = (f"{origin.layer.value:<12}", LAYER_ROLES.get(origin.layer, ""))
            verdict: Span = (clean(f"{role:<11} "), "success" if at == 0 else "muted")
            place: Span = (clean(str(origin)), "")
            said = clean(configuration.written(link.entry), max_chars=60)
            lines.append([layer, verdict, place, ("  as ", "muted"), (said, "" if at == 0 else "muted")])
        if not chain:
            lines.append([("a template gives it: ", "muted"), (clean(row.origin), "")])
        return lines

    # ------------------------------------------------------------ keys

    def footer(self) -> Sequence[str]:
        if self._reading is not None and self._reading.resolver is None:
            return ("edit_file", "read_again", "environment", "undo", "back")
        return self.FOOTER

    def label(self, action: str) -> str:
        return "whole value" if action == "open" else ""

    def reason(self, action: str) -> str:
        reading = self._reading
        if action in {"edit", "edit_file", "undo"}:
            if reading is None or reading.environment != self._wanted:
                return "the configuration is being read"
            if reading.read_only:
                return READ_ONLY
        if action in {"edit", "open"} and self.table.chosen is None:
            return "no value is chosen"
        if action == "environment" and (reading is None or not (reading.environments or self._wanted)):
            return "the workspace has no environments: config/environments/NAME.yaml makes one"
        if action == "undo" and reading is not None and reading.undoable is None:
            return "no edit is there to be taken back"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self._show_origin()
        self.query_one("#origin").scroll_home(animate=False)
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.query_one("#origin").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._find = event.value
        self._show()

    def on_input_submitted(self) -> None:
        self.set_focus(self.table)

    def action_find(self) -> None:
        field = self.query_one("#find", Input)
        field.display = True  # at once: what is typed next belongs to it
        self.set_focus(field)

    def action_back(self) -> None:
        field = self.query_one("#find", Input)
        if self.focused is not None and self.focused.id in {"origin", "faults"}:
            self.table.focus()
        elif field.display:
            field.value = ""
            self.set_focus(self.table)
            field.display = False
        else:
            self.leave()

    def action_read_again(self) -> None:
        self.needs_reload(Changes(servers=True))

    def action_environment(self) -> None:
        if not self.allowed("environment") or self._reading is None:
            return
        choices = ["", *self._reading.environments]
        at = choices.index(self._wanted) if self._wanted in choices else -1
        self._wanted = choices[(at + 1) % len(choices)]
        self.query_one("#state", SpanLine).show(
            [
                ("environment ", "muted"),
                (look(self).text(self._wanted or "none"), "bold"),
                ("  reading", "muted"),
            ]
        )
        self.refresh_top()
        self.needs_reload(Changes(servers=True))

    def action_edit(self) -> None:
        row, reading = self.table.chosen, self._reading
        if not self.allowed("edit") or row is None or reading is None:
            return

        def edited(change: Change | None) -> None:
            if change is not None:
                self.say(f"edit {change.number}: {change.path} in {change.file}; u takes it back")

        sheet = ConfigEditSheet(self.session, self._folder, reading, row, self._servers())
        self.app.push_screen(sheet, edited)

    def _file(self) -> tuple[str, int, int]:
        """The file of the chosen value, with its line and column; else that of the environment, or what all share."""
        reading, row = self._reading, self.table.chosen
        assert reading is not None
        own = (
            f"{ENVIRONMENTS}/{reading.environment}.yaml"
            if reading.environment in reading.environments
            else BASE
        )
        if (
            row is not None
            and row.layer in {Layer.WORKSPACE, Layer.ENVIRONMENT}
            and reading.config is not None
        ):
            entry = reading.config.find(row.path)
            file = BASE if row.layer is Layer.WORKSPACE else own
            return (file, entry.origin.line, entry.origin.column) if entry else (file, 1, 1)
        faulty = next((each for each in reading.faults if each.file in {BASE, own}), None)
        return (
            (faulty.file, max(1, faulty.line), max(1, faulty.column)) if faulty is not None else (own, 1, 1)
        )

    def action_edit_file(self) -> None:
        reading = self._reading
        if not self.allowed("edit_file") or reading is None:
            return
        from tui.screens.config_file import ConfigFileScreen

        file, *place = self._file()
        servers = self._servers()
        screen = ConfigFileScreen(self.session, self._folder, reading, file, servers, place)
        self.app.push_screen(screen, lambda _: self.action_read_again())

    def action_undo(self) -> None:
        reading = self._reading
        if not self.allowed("undo") or reading is None or reading.undoable is None:
            return
        change = reading.undoable
        clean = look(self).text
        when = words.ago(change.time, look(self).clock())
        lines: list[Spans] = [
            [(clean(f"{change.action} {change.path}"), "bold"), (clean(f" in {change.file}"), "")],
            [(clean(f"{when} by {place(change.actor)}"), "muted")],
            [],
            *diff_lines(edits.diff_back(change), clean),
        ]

        def take_back(typed: str) -> None:
            self.perform(
                asyncio.to_thread(
                    edits.take_back,
                    self._folder,
                    change.number,
                    self.session.actor,
                    edits.kept_edits(reading),
                    typed,
                ),
                f"edit {change.number} was taken back",
                self.action_read_again,
            )

        title = f"Take edit {change.number} back?"
        name = reading.confirm_undo
        if name:
            self.app.push_screen(
                NameSheet(self.session, title, lines, name), lambda typed: take_back(typed) if typed else None
            )
            return
        sheet = ConfirmSheet(self.session, title, lines, yes="take it back")
        self.app.push_screen(sheet, lambda yes: take_back("") if yes else None)


def _first_steps() -> list[Spans]:
    return [
        [("What batches know of your infrastructure: ports, addresses, versions.", "")],
        [("config/base.yaml", "accent"), ("               what all environments share", "muted")],
        [("config/environments/NAME.yaml", "accent"), ("  what differs in one", "muted")],
        [("windlass config set web.port 8080", "bold"), ("  writes the first value, ", "muted"),
         ("r", "bold accent"), (" reads again", "muted")],
    ]  # fmt: skip
