"""A plan task by task: for each step its servers, and all that would be handed over there."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from core.display import display_lines
from core.engine.api import PlanRequest
from core.errors import WindlassError
from core.model.views import Plan, PlannedField, PlannedStep, PlannedTask
from tui import words
from tui.look import look
from tui.paint import Spans
from tui.screens.base import Sheet
from tui.session import Session
from tui.widgets.table import Column, VirtualTable

MOST_TASKS = 10_000
"""Of one step; a plan of more is told in full by `windlass plan --json`."""
FIRST = ("run", "upload to", "wait http url", "wait command", "wait host")
"""What stands beside the server, the first of these that there is."""
STEP_KEYS: Spans = (
    ("enter", "bold accent"),
    (" shows the tasks of a step; secrets are named, never read", "muted"),
)
Row = PlannedStep | PlannedTask


class PlanTasksSheet(Sheet[None]):
    """Steps are folded until enter opens one: then its tasks are asked for."""

    TITLE_TEXT = "Task by task"
    FOOTER = ("open", "detail", "close")
    BINDINGS = [
        Binding("enter", "open", "open", id="tasks.open", tooltip="Show the tasks of the step, or fold them"),
        Binding(
            "tab", "detail", "scroll", id="tasks.detail", tooltip="Scroll in what is handed over, or back"
        ),
    ]
    DEFAULT_CSS = """
    PlanTasksSheet {
        #sheet { width: 96%; max-width: 132; height: 94%; }
        #tasks { height: 1fr; }
        #handed { height: 10; padding: 0 1; border-top: $rule $line; }
        #handed:focus { background: $surface; }
        #handed-text { height: auto; }
        &.-narrow #sheet { width: 100%; height: 100%; }
    }
    """

    def __init__(self, session: Session, plan: Plan, request: PlanRequest) -> None:
        super().__init__(session)
        self._plan = plan
        self._request = request
        self._tasks: dict[str, Sequence[PlannedTask]] = {}
        self._open: set[str] = set()

    def sheet(self) -> ComposeResult:
        yield VirtualTable[Row](
            (Column("server", 20), Column("what is done there")),
            key=_key,
            cells=self._cells,
            heading=self._heading,
            id="tasks",
        )
        with VerticalScroll(id="handed"):
            yield Static("", id="handed-text")

    @property
    def table(self) -> VirtualTable[Row]:
        """The steps, and below those that are open their tasks."""
        return self.query_one("#tasks", VirtualTable)

    def default_focus(self) -> Widget:
        return self.table

    def on_mount(self) -> None:
        self.entitle("#sheet", f"Task by task: {words.plural(self._plan.tasks, 'task')}")
        self._fill()
        self.table.focus()

    def _fill(self) -> None:
        rows: list[Row] = []
        for step in self._plan.steps:
            rows.append(step)
            if step.name in self._open:
                rows += self._tasks.get(step.name, ())
        self.table.set_items(rows)
        self._show_detail()
        self.refresh_keys()

    def _heading(self, row: Row) -> Spans | None:
        if not isinstance(row, PlannedStep):
            return None
        count = words.plural(len(row.servers), "server")
        shown = len(self._tasks.get(row.name, row.servers))
        reading = row.name in self._open and row.name not in self._tasks
        rest = (
            ", reading them"
            if reading
            else f", the first {shown}"
            if row.name in self._open and shown < len(row.servers)
            else ""
        )
        sign = "-" if row.name in self._open else "+"
        return [
            (f"{sign} ", "accent"),
            (look(self).text(row.name), "bold"),
            (f"  {count}{rest}  {look(self).text(row.summary)}", "muted"),
        ]

    def _cells(self, row: Row) -> list[Spans]:
        if isinstance(row, PlannedStep):
            return []
        clean = look(self).text
        by_name = {field.field: field for field in row.fields}
        main = next((by_name[name] for name in FIRST if name in by_name), None)
        skipped = by_name.get("when")
        told: Spans = [(clean(main.text or main.why), "" if main.text else "muted")] if main else [("", "")]
        if skipped is not None and skipped.text == "does not hold":
            told = [("skipped: its condition does not hold", "muted")]
        return [[(f"  {clean(row.server)}", "")], told]

    def _show_detail(self) -> None:
        row = self.table.chosen
        if isinstance(row, PlannedTask):
            fields = sorted(row.fields, key=lambda field: field.field.startswith("env "))
            lines = [line for field in fields for line in self._lines(field)]
            self.set_text("#handed-text", lines or [[("nothing that the batch writes down", "muted")]])
        else:
            self.set_text("#handed-text", [STEP_KEYS])

    def _lines(self, field: PlannedField) -> list[Spans]:
        style = look(self)
        label = (f"{style.text(field.field):<14} ", "muted")
        if field.why and not field.text:
            return [[label, (style.text(field.why), "warning")]]
        text = display_lines(field.text, ascii_only=style.ascii_only) or [""]
        first: Spans = [label, (text[0], "")]
        after = [[(" " * 15, ""), (line, "")] for line in text[1:]]
        why = [[(" " * 15, ""), (style.text(field.why), "warning")]] if field.why else []
        return [first, *after, *why]

    # ------------------------------------------------------------ keys

    def label(self, action: str) -> str:
        row = self.table.chosen
        if action == "open" and isinstance(row, PlannedStep):
            return "fold" if row.name in self._open else "show tasks"
        return "back to the list" if action == "detail" and not self.table.has_focus else ""

    def reason(self, action: str) -> str:
        if action == "open" and isinstance(self.table.chosen, PlannedTask):
            return "it is shown below"
        return ""

    def on_virtual_table_highlighted(self) -> None:
        self._show_detail()
        self.refresh_keys()

    def on_virtual_table_opened(self) -> None:
        self.action_open()

    def action_open(self) -> None:
        row = self.table.chosen
        if not isinstance(row, PlannedStep):
            return
        self._open ^= {row.name}
        if row.name in self._open and row.name not in self._tasks:
            self.undertake(lambda: self._ask(row.name), f"tasks {row.name}")
        self._fill()
        self.table.refresh_key(row.name)

    async def _ask(self, step: str) -> None:
        try:
            self._tasks[step] = await self.session.engine.plan_tasks(
                self._request, step, digest=self._plan.digest, limit=MOST_TASKS
            )
        except WindlassError as error:
            self._open.discard(step)
            self.say_error(error)
        self._fill()
        self.table.refresh_key(step)

    def action_detail(self) -> None:
        self.set_focus(self.query_one("#handed") if self.table.has_focus else self.table)


def _key(row: Row) -> Hashable:
    return (row.step, row.server) if isinstance(row, PlannedTask) else row.name
