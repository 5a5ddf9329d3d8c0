"""The panes of a run: progress, steps as a graph, the tasks of the chosen step, the output of the chosen task.

Everything shown is read from the engine when the bridge says that it changed; work for each change is bounded by what
is on the screen, not by the size of the run. What keys do is up to `tui.screens.run`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Static

from core.engine.run_reader import RunReader
from core.errors import WindlassError
from core.model.states import RunState, TaskState, UndoState
from core.model.views import RunInfo, StepInfo, StepNeed, TaskInfo
from tui import actions, on_call, rows, run_text, step_rows, words
from tui.bridge import EVERYTHING, Changes
from tui.following import step_to_watch, task_to_watch
from tui.look import Look, look
from tui.pace import Paces, StepPace
from tui.paint import Span, Spans
from tui.screens.base import Live
from tui.session import Session
from tui.step_graph import StepGraph, step_graph
from tui.tail import Tail
from tui.task_reading import TaskReading, failing_tasks
from tui.widgets.grid import GridLine
from tui.widgets.line import ProgressLine, SpanLine
from tui.widgets.matrix import TaskMatrix
from tui.widgets.output import OutputPane
from tui.widgets.table import VirtualTable


class RunPicture(Live[None]):
    """What run `number` looks like, and which step and task are chosen."""

    DEFAULT_CSS = """
    RunPicture {
        #state { height: 1; }
        #body { layout: horizontal; height: 1fr; }
        #left { width: 44%; min-width: 42; max-width: 66; height: 1fr; }
        #right { width: 1fr; height: 1fr; }
        #steps, #tasks-panel, #output { border: $frame $line; border-title-color: $foreground; }
        #steps:focus, #tasks-panel:focus-within, #output:focus { border: $frame $line-focus; }
        #steps { height: auto; max-height: 70%; }
        #why { height: auto; max-height: 10; padding: 0 1; color: $muted; }
        #about { height: 1fr; padding: 1 1 0 1; }
        #tasks-panel { height: 1fr; }
        #matrix, #chosen { display: none; }
        &.-matrix #matrix { display: block; }
        &.-matrix #chosen { display: block; }
        &.-matrix #tasks, &.-matrix #grid { display: none; }
        &.-matrix #output { height: 8; }
        #output { height: 1fr; border-subtitle-color: $muted; }
        &.-narrow #body { layout: vertical; }
        &.-narrow #left { width: 1fr; max-width: 100%; height: auto; }
        &.-narrow #right { height: 1fr; }
        &.-narrow #steps { height: auto; max-height: 6; }
        &.-narrow #why { height: 1; }
        &.-narrow #about { display: none; }
        &.-short #output { height: 6; }
    }
    """

    def __init__(self, session: Session, number: int) -> None:
        super().__init__(session)
        self.number = number
        self.run_info: RunInfo | None = None
        self._reading = asyncio.Lock()
        self.failing: Sequence[TaskInfo] = ()
        """What a retry would open again, of a run that stands: the first thousand."""
        self._step = ""
        self._server = ""
        self._reading_tasks = TaskReading(number)
        self._tail: Tail | None = None
        self._following = True
        self._paces = Paces()
        self._needs: Sequence[StepNeed] | None = None
        self._graph = StepGraph()

    def body(self) -> ComposeResult:
        yield ProgressLine(id="progress")
        yield SpanLine(id="state")
        with Container(id="body"):
            with Vertical(id="left"):
                yield VirtualTable[StepInfo](
                    step_rows.columns((), self._graph, 80),
                    key=lambda step: step.name,
                    cells=self._step_cells,
                    header=False,
                    empty=[[("This run has no steps.", "muted")]],
                    gap=step_rows.GAP,
                    id="steps",
                )
                yield Static("", id="why")
                yield Static("", id="about")
            with Vertical(id="right"):
                with Vertical(id="tasks-panel"):
                    yield GridLine(id="grid")
                    yield VirtualTable[TaskInfo](
                        rows.TASK_COLUMNS,
                        key=lambda task: task.server,
                        cells=lambda task: rows.task_row(
                            task, self.look_here, rolling_back=self._rolling_back
                        ),
                        empty=[[("No task belongs to this step.", "muted")]],
                        id="tasks",
                    )
                    yield TaskMatrix(id="matrix")
                    yield SpanLine(id="chosen")
                yield OutputPane(id="output")

    # ------------------------------------------------------------ what it shows

    @property
    def source(self) -> RunReader:
        """What the screen reads: the engine, or the past."""
        return self.session.engine

    @property
    def look_here(self) -> Look:
        """How things look, with the clock of what is shown."""
        return look(self)

    def state_line(self, run: RunInfo) -> tuple[Spans, Spans]:
        """What stands below the progress."""
        session, width = self.session, self.size.width - 2
        return run_text.state_line(run, self.look_here, session.actor, session.refused, width)

    def look_at(self, step: str, server: str) -> None:
        """Chooses a step and a task of it, as a person does."""
        self._following = False
        self._step, self._server = step, server
        if self._reading_tasks.step == step:
            self.tasks.choose(server)
        self._again()

    # ------------------------------------------------------------ parts

    @property
    def steps(self) -> VirtualTable[StepInfo]:
        """The steps."""
        return self.query_one("#steps", VirtualTable)

    @property
    def tasks(self) -> VirtualTable[TaskInfo]:
        """The tasks of the chosen step."""
        return self.query_one("#tasks", VirtualTable)

    @property
    def pane(self) -> OutputPane:
        """The output of the chosen task."""
        return self.query_one("#output", OutputPane)

    @property
    def chosen(self) -> TaskInfo | None:
        """The chosen task."""
        return self.tasks.chosen

    @property
    def _rolling_back(self) -> bool:
        states = {RunState.ROLLING_BACK, RunState.ROLLED_BACK, RunState.ROLLBACK_FAILED}
        return self.run_info is not None and self.run_info.state in states

    def crumbs(self) -> Sequence[str]:
        name = f"{self.number} {self.run_info.batch}" if self.run_info else str(self.number)
        return ("runs", name)

    def on_mount(self) -> None:
        self._tail = Tail(self.source, self.pane)
        self.entitle("#steps", "Steps")
        self.entitle("#tasks-panel", "Tasks")
        self.entitle("#output", "Output")
        self.tasks.focus()

    # ------------------------------------------------------------ staying current

    async def reload(self, changes: Changes) -> None:
        if not changes.touches(self.number) and self.run_info is not None:
            return
        async with self._reading:
            source = self.source
            if self.session.workspace is None:
                self.session.workspace = await self.session.engine.workspace()
            self.run_info = await source.run(self.number)
            self.failing = await failing_tasks(source, self.run_info)
            steps = await self._read_steps()
            if self._following:
                self._step = step_to_watch(steps, self._step)
            self._step = self._step or (steps[0].name if steps else "")
            self.steps.set_items(steps, cursor=self._step)
            self._fit_steps()
            self._show_run()
            await self._read_tasks(changes)
            await self._show_task()

    async def _read_steps(self) -> list[StepInfo]:
        """The steps, each below what it waits for."""
        steps = await self.source.steps(self.number)
        if self._needs is None:  # of a run they never change
            self._needs = await self.session.engine.step_needs(self.number)
            self._graph = step_graph([step.name for step in steps], self._needs)
        at = {name: index for index, name in enumerate(self._graph.order)}
        return sorted(steps, key=lambda step: at.get(step.name, step.index))

    def _fit_steps(self) -> None:
        """The columns of the steps that there is room for."""
        room = self.steps.scrollable_content_region.width
        if room > 0:
            self.steps.set_columns(step_rows.columns(self.steps.items, self._graph, room))

    def _step_cells(self, step: StepInfo) -> list[Spans]:
        how = step_rows.StepLook(
            self.look_here,
            self._graph,
            self._paces,
            step_rows.most_lanes(self.steps.scrollable_content_region.width),
            self.steps.column_width(step_rows.BAR_COLUMN),
            self._rolling_back,
        )
        return step_rows.row(step, how)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._fit_steps)

    def _again(self) -> None:
        self.needs_reload(EVERYTHING)

    def _show_run(self) -> None:
        run = self.run_info
        if run is None:
            return
        style = self.look_here
        self._paces.see(run, self.steps.items, style.clock(), executing=actions.is_executing(run))
        self.query_one("#progress", ProgressLine).show(
            rows.share_done(run), run_text.figures(run, style, self._paces.of_run), run_text.bar_role(run)
        )
        self.query_one("#state", SpanLine).show(*self.state_line(run))
        self.refresh_top()

    async def _read_tasks(self, changes: Changes) -> None:
        """The tasks of the chosen step, as far as they may have changed."""
        if not await self._reading_tasks.some(self.source, self._step, changes, self.tasks):
            await self._read_all_tasks()
            return
        self._show_grid()
        if self._following:
            self._watch_task()

    async def _read_all_tasks(self) -> None:
        step, reading = self._step, self._reading_tasks
        found = await reading.all(self.source, step)
        server = task_to_watch(found, self._server) if self._following else self._server
        keep = server if any(task.server == server for task in found) else None
        self.tasks.set_items(found, cursor=keep if reading.step != step or self._following else None)
        reading.step = step
        self._remember_server()
        style = self.look_here
        title = style.own(f"{style.text(step)} · {words.plural(len(found), 'task')}")
        self.entitle("#tasks-panel", title if step else "Tasks")
        self._show_grid()

    def _watch_task(self) -> None:
        server = task_to_watch(self.tasks.items, self._server)
        if server and server != self._server:
            self.tasks.choose(server)
            self._remember_server()

    def _remember_server(self) -> None:
        if self.chosen is not None:
            self._server = self.chosen.server

    def _show_grid(self) -> None:
        states = [
            task.undo if self._rolling_back and task.undo is not UndoState.NONE else task.state
            for task in self.tasks.items
        ]
        self.query_one("#grid", GridLine).show(states)
        if self.has_class("-matrix"):
            self.query_one("#matrix", TaskMatrix).show(states, self.tasks.cursor)
            self._show_chosen()

    def _show_chosen(self) -> None:
        """Below the matrix: what the row of the chosen task would say."""
        task = self.chosen
        spans: list[Span] = []
        if task is not None:
            cells = rows.task_row(task, self.look_here, rolling_back=self._rolling_back)
            for cell in cells:
                spans += [*cell, ("  ", "")] if any(text for text, _ in cell) else []
        self.query_one("#chosen", SpanLine).show(spans)

    def show_matrix(self, shown: bool) -> None:
        """The tasks as a matrix, or as a list."""
        self.set_class(shown, "-matrix")
        self._show_grid()
        before = self.focused
        if before is not None and before.id in ("tasks", "matrix"):
            self.query_one("#matrix" if shown else "#tasks").focus()

    async def _show_task(self) -> None:
        """Output and why-line of the chosen task."""
        task = self.chosen
        if task is None or self._tail is None:
            return
        await self._tail.show(self.number, task)
        self.pane.rewrap()
        self._show_follow()
        await self._show_why(task)

    async def _show_why(self, task: TaskInfo) -> None:
        """Why the chosen task stands where it stands; beside it, where it needs somebody, what can be done."""
        told = await self.source.explain(self.number, task.key)
        narrow = self.has_class("-narrow")
        width = 1000 if narrow else self.query_one("#left").size.width - 2
        style = self.look_here
        lines = run_text.why_lines(told.sentences, style, width)
        hint = run_text.trust_hint(task.why)
        if hint:
            lines.insert(0 if narrow else len(lines), hint)
        self.set_text("#why", lines)
        if self.run_info is None or narrow:
            return
        about: list[Spans] = []
        if on_call.is_for(task):
            about = [*on_call.on_call_lines(task, self.run_info, told, style, width), []]
        folder = self.session.workspace.path if self.session.workspace else ""
        step = self.steps.chosen
        needs = [need for need in self._needs or () if step is not None and need.step == step.name]
        pace = self._paces.of_step(step, style.clock()) if step is not None else StepPace()
        about += run_text.about_run(self.run_info, step, folder, style, width, needs, pace)
        self.set_text("#about", about)

    def _show_follow(self) -> None:
        style = self.look_here
        server = style.text(self.chosen.server) if self.chosen is not None else ""
        title = style.own(f"{server} · output") if server else "Output"
        self.entitle("#output", title, "tail" if self.pane.follow else "held: f follows")

    def tick(self) -> None:
        super().tick()
        self._show_run()
        for at in range(*self.tasks.visible_range()):
            if self.tasks.items[at].state is TaskState.RUNNING:
                self.tasks.refresh_row(at)
        for at in range(*self.steps.visible_range()):
            if self.steps.items[at].counts.get(TaskState.RUNNING):
                self.steps.refresh_row(at)
        if self._reading_tasks.late:
            self.needs_reload(EVERYTHING)

    # ------------------------------------------------------------ choosing

    def on_virtual_table_highlighted(self, message: VirtualTable.Highlighted) -> None:
        if message.by_person:
            self._following = False
            if message.table.id == "steps":
                self._step = str(message.key)
            self._remember_server()
            self._show_grid()
            self.undertake(self._chosen_changed, "choose")
        self.refresh_keys()

    def on_task_matrix_moved(self, message: TaskMatrix.Moved) -> None:
        if message.index < len(self.tasks.items):
            self.tasks.choose(self.tasks.items[message.index].server, by_person=True)

    def on_task_matrix_opened(self, message: TaskMatrix.Opened) -> None:
        self.open_task()

    def open_task(self) -> None:
        """What enter does on a task."""

    async def _chosen_changed(self) -> None:
        try:
            async with self._reading:
                if self._reading_tasks.step != self._step:
                    await self._read_all_tasks()
                await self._show_task()
        except WindlassError as error:
            self.say_error(error)
        self.refresh_keys()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        if message.table.id == "steps":
            self.query_one("#matrix" if self.has_class("-matrix") else "#tasks").focus()
        else:
            self.open_task()

    def on_output_pane_follows(self, message: OutputPane.Follows) -> None:
        if not message.follow:
            self._following = False
        self._show_follow()
        self.refresh_keys()
