"""The start sheet: choose a batch, see what it would do, give its parameters, start it.

Nothing is planned twice: the run that is started is the plan that was seen (its digest goes with the request).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from core.engine.api import PlanRequest, RunRequest
from core.errors import InputError, WindlassError
from core.model.views import BatchInfo, ParamInfo, Plan
from tui import rows, words
from tui.look import look
from tui.paint import Spans, content
from tui.plan_text import plan_lines
from tui.screens.base import Sheet
from tui.screens.sheets import fault_lines
from tui.session import Session
from tui.widgets.table import Column, VirtualTable

ENVIRONMENT, CONFIRM = "chosen-environment", "typed-name"


SLOW_S = 0.4
"""After how long without an answer it is said that something goes on."""


class StartSheet(Sheet[int]):
    """Ends with the number of the run that was started, or None. `batch` is chosen at the beginning; where it is
    `alone`, as one that was made for this occasion, no other can be chosen.
    """

    TITLE_TEXT = "Start a batch"
    FOOTER = ("start", "alongside", "fields", "tasks", "close")
    BINDINGS = [
        Binding("s", "start", "start", id="start.start", tooltip="Start the run that is planned here"),
        Binding(
            "A",
            "alongside",
            "start alongside",
            id="start.alongside",
            tooltip="Start although another run holds some of the servers",
        ),
        Binding("t", "tasks", "task by task", id="start.tasks", tooltip="What each server would be handed"),
        Binding("e", "fields", "edit parameters", id="start.fields", tooltip="Parameters and the limit"),
    ]
    DEFAULT_CSS = """
    StartSheet {
        #sheet { width: 96%; max-width: 132; height: 94%; }
        #start-body { layout: horizontal; height: 1fr; }
        &.-alone #batches { display: none; }
        #batches { width: 37; height: 1fr; border-right: $rule $line; }
        #start-right { width: 1fr; height: 1fr; }
        #plan { height: 1fr; padding: 0 1; }
        #plan:focus { background: $surface; }
        #plan-text { height: auto; }
        #fields { height: auto; max-height: 9; padding: 0 1; border-top: $rule $line; }
        .field { height: 1; }
        .field Input { border: none; height: 1; width: 26; padding: 0 1; background: $surface; }
        .field Input:focus { background: $mark; }
        .field .name { width: 16; color: $muted; }
        .field .about { width: 1fr; color: $muted; padding: 0 1; }
        &.-narrow #sheet { width: 100%; height: 100%; }
        &.-narrow #start-body { layout: vertical; }
        &.-narrow #batches { width: 1fr; height: auto; max-height: 5; border-right: none; border-bottom: $rule $line; }
        &.-narrow .field .about { display: none; }
    }
    """

    def __init__(self, session: Session, batch: str = "", *, alone: bool = False) -> None:
        super().__init__(session)
        self._wanted = batch
        self._alone = alone
        self.set_class(alone, "-alone")
        self._batches: list[BatchInfo] = []
        self._plan: Plan | None = None
        self._planned: PlanRequest | None = None
        self._starting = False
        self._fields_of = ""
        self.planned = asyncio.Event()
        """Set while what is shown belongs to the chosen batch and fields."""

    def sheet(self) -> ComposeResult:
        with Container(id="start-body"):
            yield VirtualTable[BatchInfo](
                (Column("batch"), Column("steps", 11, right=True)),
                key=lambda batch: batch.name,
                cells=lambda batch: self._batch_cells(batch),
                header=False,
                id="batches",
            )
            with Vertical(id="start-right"):
                with VerticalScroll(id="plan"):
                    yield Static("", id="plan-text")
                yield VerticalScroll(id="fields")

    def _batch_cells(self, batch: BatchInfo) -> list[Spans]:
        name, steps, told = rows.batch_row(batch, look(self))
        return [name, told if batch.faults else steps]

    @property
    def table(self) -> VirtualTable[BatchInfo]:
        """The batches to choose from."""
        return self.query_one("#batches", VirtualTable)

    def default_focus(self) -> Widget:
        return self.query_one("#plan") if self._alone else self.table

    def on_mount(self) -> None:
        self.query_one("#fields").can_focus = False
        if self._alone:
            self.entitle("#sheet", "Run a command")
        self._say([[("Reading the batches", "muted")]])
        self.undertake(self._load, "plan")

    async def _load(self) -> None:
        try:
            self._batches = [] if self._alone else list(await self.session.engine.batches())
        except WindlassError as error:
            self._show_error(error)
            return
        names = {batch.name for batch in self._batches}
        paths = {batch.path: batch.name for batch in self._batches}
        wanted = paths.get(self._wanted, self._wanted)
        if wanted and wanted not in names:  # a path that is none of the workspace's own batches
            self._batches.insert(0, BatchInfo(name=wanted, path=wanted, description="", steps=0))
        self.table.set_empty([[("No batches yet.", "muted")]])
        if not self._batches:
            self._say([[("A batch is work to be done: steps in batches/NAME.yaml.", "")]])
        self.table.set_items(self._batches, cursor=wanted or None)
        self.set_focus(self.default_focus())
        await self._show_chosen()

    # ------------------------------------------------------------ the plan

    def on_virtual_table_highlighted(self) -> None:
        self._replan()

    def on_virtual_table_opened(self) -> None:
        self.query_one("#plan").focus()

    def _replan(self) -> None:
        self.planned.clear()
        self.undertake(self._show_chosen, "plan")

    async def _show_chosen(self) -> None:
        batch = self.table.chosen
        if batch is None:
            self.planned.set()
            return
        self._plan = None
        if batch.name != self._fields_of:
            await self._build_fields(batch)
        self._planned = self._request(batch)
        if batch.faults:
            head: list[Spans] = [[(f"{look(self).text(batch.path)} cannot be planned:", "bold error")], []]
            self._say([*head, *fault_lines(batch.faults, look(self).text)])
        else:
            try:
                self._plan = await self.session.engine.plan(self._planned)
            except WindlassError as error:
                self._show_error(error)
            else:
                width = self.query_one("#plan").size.width - 3
                self._say(plan_lines(self._plan, batch.description, look(self), width))
        self.planned.set()
        self.refresh_keys()

    def _request(self, batch: BatchInfo) -> PlanRequest:
        return PlanRequest(
            batch=batch.name,
            params=self._params(batch),
            limit=self._field("limit-selector"),
            environment=self._field(ENVIRONMENT),
        )

    def _show_error(self, error: WindlassError) -> None:
        style = look(self)
        lines: list[Spans] = [[(style.text(line), "bold error")] for line in error.message.splitlines()]
        if isinstance(error, InputError) and error.faults:
            lines += [[], *fault_lines(error.faults, style.text)]
        if error.hint:
            lines += [[], [(style.text(error.hint), "muted")]]
        self._say(lines)
        self.planned.set()

    def _say(self, lines: Sequence[Spans]) -> None:
        self.query_one("#plan-text", Static).update(content(lines))
        self.query_one("#plan").scroll_home(animate=False)

    # ------------------------------------------------------------ the fields

    async def _build_fields(self, batch: BatchInfo) -> None:
        self._fields_of = batch.name
        fields = self.query_one("#fields")
        await fields.remove_children()
        rows_of_fields = [self._param_field(param) for param in batch.params]
        rows_of_fields.append(
            _field("limit", "limit-selector", "", "every server", "a selector, like group:web")
        )
        workspace = self.session.workspace
        known = workspace.environments if workspace is not None else ()
        declared = [each.name for each in known if each.declared]
        if len(known) > 1 or (known and not declared):
            names = look(self).text(" | ".join(each.name for each in known if each.declared))
            others = look(self).text(", ".join(each.name for each in known if not each.declared))
            if others:  # in workspace.yaml it could have a protection of its own
                names += f"{'; ' if names else ''}not declared: {others}"
            usual = os.environ.get("WINDLASS_ENVIRONMENT", "")
            hint = (
                "must be given" if len(declared) > 1 else f"else {declared[0]}" if declared else "else none"
            )
            rows_of_fields.insert(0, _field("environment", ENVIRONMENT, usual, hint, names))
        if workspace is not None and "production" in {
            workspace.protection,
            *(known.protection for known in workspace.environments),
        }:
            rows_of_fields.append(_field("confirm", CONFIRM, "", "", "the name that production asks for"))
        await fields.mount_all(rows_of_fields)

    def _param_field(self, param: ParamInfo) -> Horizontal:
        clean = look(self).text
        default = "" if param.default is None else words.as_typed(param.default)
        kind = " | ".join(words.as_typed(choice) for choice in param.choices) or param.type
        about = clean(f"{kind}{'' if not param.description else ': ' + param.description}")
        hint = "must be given" if param.required else ""
        return _field(clean(param.name), f"param-{param.name}", default, hint, about)

    def _field(self, name: str) -> str:
        for field in self.query(Input):
            if field.name == name:
                return field.value.strip()
        return ""

    def _params(self, batch: BatchInfo) -> Mapping[str, str]:
        """What a person gave: fields that differ from the batch's own default."""
        given: dict[str, str] = {}
        for param in batch.params:
            value = self._field(f"param-{param.name}")
            if value != ("" if param.default is None else words.as_typed(param.default)):
                given[param.name] = value
        return given

    def on_input_changed(self) -> None:
        self.refresh_keys()

    @property
    def _stale(self) -> bool:
        """True where a field says something that the plan shown does not know."""
        batch = self.table.chosen
        return batch is not None and self._planned != self._request(batch)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes the value and goes on to the next field; after the last one back to the batches."""
        fields = list(self.query(Input))
        at = fields.index(event.input) + 1
        self.set_focus(fields[at] if at < len(fields) else self.default_focus())
        self._replan()

    def on_input_blurred(self) -> None:
        if self._stale:
            self._replan()

    # ------------------------------------------------------------ keys

    def footer(self) -> Sequence[str]:
        if isinstance(self.focused, Input):
            return ("close",)
        keys = ["start", "fields", "tasks", "close"]
        if self._plan is not None and self._plan.held:
            keys.insert(1, "alongside")
        return keys

    def label(self, action: str) -> str:
        if action == "close" and isinstance(self.focused, Input):
            return "leave the field"
        return ""

    def reason(self, action: str) -> str:
        if action in {"start", "alongside", "close"} and self._starting:
            return "it is being started"
        if action in {"start", "alongside", "tasks", "fields"} and self.table.chosen is None:
            return "there is no batch yet: write batches/NAME.yaml"
        if action == "tasks" and (self._plan is None or self._stale):
            return "there is no plan yet"
        if action in {"start", "alongside"}:
            if self._plan is None:
                return "this batch cannot be started as it stands"
            if self._stale:
                return "the fields changed: the plan is being made again"
            if self._plan.confirm and self._field(CONFIRM) != self._plan.confirm:
                return f"type {look(self).text(self._plan.confirm)} into the field confirm first (key e)"
            if action == "start" and self._plan.held:
                held = ", ".join(sorted({f"run {run}" for run in self._plan.held.values()}))
                return f"{held} holds some of these servers: wait for it, or start alongside it"
            if action == "alongside" and not self._plan.held:
                return "no other run holds these servers"
        return ""

    def action_fields(self) -> None:
        for field in self.query(Input):
            field.focus()
            return

    def action_tasks(self) -> None:
        if self._plan is not None and self._planned is not None and self.allowed("tasks"):
            from tui.screens.plan_tasks import PlanTasksSheet

            self.app.push_screen(PlanTasksSheet(self.session, self._plan, self._planned))

    def action_start(self) -> None:
        if self.allowed("start"):
            self._start(alongside=False)

    def action_alongside(self) -> None:
        if self.reason_against("start") == self.session.refused("start") != "":
            self.allowed("start")
        elif self.allowed("alongside"):
            self._start(alongside=True)

    def _start(self, *, alongside: bool) -> None:
        batch, plan = self.table.chosen, self._plan
        if batch is None or plan is None:
            return
        self._starting = True
        self.refresh_keys()
        request = RunRequest(
            plan=self._request(batch),
            actor=self.session.actor,
            alongside=alongside,
            digest=plan.digest,
            confirm=self._field(CONFIRM),
        )

        async def start() -> None:
            try:
                run = await self.session.engine.start(request)
            except WindlassError as error:
                self._starting = False
                self.say_error(error)
                self._replan()
            else:
                self.dismiss(run.number)

        self.undertake(start, "start")
        self.set_timer(SLOW_S, self._tell_slow)

    def _tell_slow(self) -> None:
        if self._starting and not self.leaving:
            # In the sheet, with which it goes: a notice would still stand over the run.
            self._say([[("Starting it: the engine in the background is started first.", "bold")]])

    def action_close(self) -> None:
        """Back to the screen below; not while a run is being started, which would be there all the same."""
        if not self._starting or self.allowed("close"):
            super().action_close()


def _field(label: str, name: str, value: str, hint: str, about: str) -> Horizontal:
    return Horizontal(
        Static(label, classes="name", markup=False),
        Input(value, placeholder=hint, name=name, select_on_focus=False),
        Static(about, classes="about", markup=False),
        classes="field",
    )
