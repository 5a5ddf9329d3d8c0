"""A run, live: progress, steps with counts, the tasks of the chosen step, the output of the chosen task.

Everything shown is read from the engine when the bridge says that it changed; work for each change is bounded by what
is on the screen, not by the size of the run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.widgets import Static

from core.engine.run_reader import RunReader
from core.errors import WindlassError
from core.model.ids import TaskKey
from core.model.states import FAILING, RunState, TaskState, UndoState
from core.model.views import RunInfo, StepInfo, TaskInfo
from tui import actions, rows, run_text, words
from tui.bridge import EVERYTHING, Changes
from tui.doubts import is_doubtful
from tui.following import step_to_watch, task_to_watch
from tui.look import Look, look
from tui.paint import Span, Spans
from tui.screens.base import Live
from tui.screens.decide import DecideScreen
from tui.screens.output import OutputScreen
from tui.screens.sheets import ConfirmSheet, ask_to_roll_back
from tui.screens.trust import ask_to_trust
from tui.screens.who import WhoSheet, ask_for_control
from tui.session import Session
from tui.tail import Tail
from tui.widgets.grid import GridLine
from tui.widgets.line import ProgressLine, SpanLine
from tui.widgets.output import OutputPane
from tui.widgets.table import Column, VirtualTable

PAGE = 1000
"""Tasks read in one go."""
NAMED_TASKS = 8
"""Up to so many changed tasks are read one by one, beyond that by page."""
FULL_READ_EVERY_S = 2.0
"""A step with more tasks than a page is read whole at most so often; the rows on the screen are always current."""


class RunScreen(Live[None]):
    """The live screen of run `number`."""

    BINDINGS = [
        Binding(
            "p", "pause", "pause", id="run.pause", tooltip="Start nothing more, or carry on a run that stands"
        ),
        Binding(
            "r", "retry", "retry failed", id="run.retry", tooltip="Open failed and unreachable tasks again"
        ),
        Binding(
            "d", "decide", "decide", id="run.decide", tooltip="What is certain of this task, and what to do"
        ),
        Binding(
            "C", "cancel", "cancel", id="run.cancel", tooltip="Stop attempts in flight and end the run; asks"
        ),
        Binding("R", "roll_back", "roll back", id="run.roll-back", tooltip="Undo what this run did; asks"),
        Binding(
            "o",
            "output",
            "output",
            id="run.output",
            tooltip="The output of the chosen task on the whole screen",
        ),
        Binding(
            "f", "follow", "follow", id="run.follow", tooltip="Look at what runs now, and at the newest line"
        ),
        Binding(
            "y", "copy", "copy command", id="run.copy", tooltip="Copy the command line for what is chosen"
        ),
        Binding(
            "T", "trust", "trust host key", id="run.trust", tooltip="Look at an unknown host key and trust it"
        ),
        Binding(
            "c", "control", "control", id="run.control", tooltip="Let others only pause this run, or no more"
        ),
        Binding(
            "b", "ring", "bell", id="run.bell", tooltip="Ring when nothing executes this run any more, or not"
        ),
        Binding(
            "i",
            "report",
            "report",
            id="run.report",
            tooltip="Write down what happened to this run, in a file",
        ),
        Binding(
            "t", "replay", "replay", id="run.replay", tooltip="The run as it stood: step through its events"
        ),
        Binding(
            "v",
            "timeline",
            "timeline",
            id="run.timeline",
            tooltip="Who took how long, and what waited for what",
        ),
        Binding("w", "who", "who", id="run.who", tooltip="Who is here, and who did what to this run"),
        Binding("escape,q", "back", "back", id="run.back", tooltip="Back; the run goes on"),
    ]
    DEFAULT_CSS = """
    RunScreen {
        #state { height: 1; }
        #body { layout: horizontal; height: 1fr; }
        #left { width: 38%; min-width: 38; max-width: 46; height: 1fr; }
        #right { width: 1fr; height: 1fr; }
        #steps, #tasks-panel, #output { border: $frame $line; border-title-color: $foreground; }
        #steps:focus, #tasks-panel:focus-within, #output:focus { border: $frame $line-focus; }
        #steps { height: auto; max-height: 70%; }
        #why { height: auto; max-height: 10; padding: 0 1; color: $muted; }
        #about { height: 1fr; padding: 1 1 0 1; }
        #tasks-panel { height: 1fr; }
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
        self._step = ""
        self._server = ""
        self._step_shown = ""
        self._tail: Tail | None = None
        self._following = True
        self._full_read = 0.0
        self._stale = False
        self._pace: words.Pace | None = None
        self._stood = False

    def body(self) -> ComposeResult:
        yield ProgressLine(id="progress")
        yield SpanLine(id="state")
        with Container(id="body"):
            with Vertical(id="left"):
                yield VirtualTable[StepInfo](
                    (
                        Column("", 1),
                        Column("step"),
                        Column("ended", rows.COUNT_CELLS, right=True),
                        Column("", 8),
                        Column("took", 6, right=True, min_table=42),
                    ),
                    key=lambda step: step.name,
                    cells=lambda step: rows.step_row(step, self.look_here, rolling_back=self._rolling_back),
                    header=False,
                    id="steps",
                )
                yield Static("", id="why")
                yield Static("", id="about")
            with Vertical(id="right"):
                with Vertical(id="tasks-panel"):
                    yield GridLine(id="grid")
                    yield VirtualTable[TaskInfo](
                        (
                            Column("server", 12),
                            Column("state", 14),
                            Column("try", 3, right=True),
                            Column("took", 7, right=True, min_table=62),
                            Column("last line"),
                        ),
                        key=lambda task: task.server,
                        cells=lambda task: rows.task_row(
                            task, self.look_here, rolling_back=self._rolling_back
                        ),
                        id="tasks",
                    )
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
        return run_text.state_line(run, self.look_here, self.session.actor)

    def look_at(self, step: str, server: str) -> None:
        """Chooses a step and a task of it, as a person does."""
        self._following = False
        self._step, self._server = step, server
        if self._step_shown == step:
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
            steps = await source.steps(self.number)
            if self._following:
                self._step = step_to_watch(steps, self._step)
            self._step = self._step or (steps[0].name if steps else "")
            self.steps.set_items(steps, cursor=self._step)
            self._show_run()
            await self._read_tasks(changes)
            await self._show_task()

    def _show_run(self) -> None:
        run = self.run_info
        if run is None:
            return
        style = self.look_here
        self._measure(run, style.clock())
        share = rows.share_done(run)
        self.query_one("#progress", ProgressLine).show(
            share, run_text.figures(run, style, self._pace), run_text.bar_role(run)
        )
        self.query_one("#state", SpanLine).show(*self.state_line(run))
        self.refresh_top()

    def _measure(self, run: RunInfo, now: float) -> None:
        """The time in which a run stood still says nothing of its pace."""
        if not actions.is_executing(run):
            self._pace, self._stood = None, True
        elif self._pace is None:
            self._pace = words.Pace(now, run.ended_tasks) if self._stood else words.Pace(run.created)

    async def _read_tasks(self, changes: Changes) -> None:
        """The tasks of the chosen step: a few by name, a page whole, of many the rows on the screen."""
        source, step = self.source, self._step
        if self._step_shown != step or not self.tasks.items:
            await self._read_all_tasks()
            return
        named = {
            key.server
            for run, key in changes.tasks | changes.outputs
            if run == self.number and key.step == step
        }
        if not changes.many and len(named) <= NAMED_TASKS:
            for server in sorted(named):
                self.tasks.update_item(await source.task(self.number, TaskKey(step, server)))
            self._show_grid()
        elif len(self.tasks.items) <= PAGE:
            await self._read_all_tasks()
        else:
            first, last = self.tasks.visible_range()
            if last > first:
                after = self.tasks.items[first].index - 1
                for task in await source.tasks(self.number, step=step, after=after, limit=last - first):
                    self.tasks.update_item(task)
            self._stale = True
            if time.monotonic() - self._full_read >= FULL_READ_EVERY_S:
                await self._read_all_tasks()
        if self._following:
            self._watch_task()

    async def _read_all_tasks(self) -> None:
        source, step = self.source, self._step
        found: list[TaskInfo] = []
        after = -1
        while True:
            page = await source.tasks(self.number, step=step, after=after, limit=PAGE)
            found += page
            if len(page) < PAGE:
                break
            after = page[-1].index
            await asyncio.sleep(0)
        self._full_read = time.monotonic()
        self._stale = False
        server = task_to_watch(found, self._server) if self._following else self._server
        keep = server if any(task.server == server for task in found) else None
        self.tasks.set_items(found, cursor=keep if self._step_shown != step or self._following else None)
        self._step_shown = step
        self._remember_server()
        style = self.look_here
        title = style.own(f"{style.text(step)} · {words.plural(len(found), 'task')}")
        self.entitle("#tasks-panel", title)
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
        self.query_one("#grid", GridLine).show(
            [
                task.undo if self._rolling_back and task.undo is not UndoState.NONE else task.state
                for task in self.tasks.items
            ]
        )

    async def _show_task(self) -> None:
        """Output and why-line of the chosen task."""
        task = self.chosen
        if task is None or self._tail is None:
            return
        await self._tail.show(self.number, task)
        self._show_follow()
        await self._show_why(task)

    async def _show_why(self, task: TaskInfo) -> None:
        told = await self.source.explain(self.number, task.key)
        narrow = self.has_class("-narrow")
        width = 1000 if narrow else self.query_one("#left").size.width - 2
        lines = run_text.why_lines(told.sentences, self.look_here, width)
        hint = run_text.trust_hint(task.why)
        if hint:
            lines.insert(0 if narrow else len(lines), hint)
        self.set_text("#why", lines)
        if self.run_info is not None:
            folder = self.session.workspace.path if self.session.workspace else ""
            about = run_text.about_run(self.run_info, self.steps.chosen, folder, self.look_here, width)
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
        if self._stale and time.monotonic() - self._full_read >= FULL_READ_EVERY_S:
            self.needs_reload(EVERYTHING)

    # ------------------------------------------------------------ choosing

    def on_virtual_table_highlighted(self, message: VirtualTable.Highlighted) -> None:
        if message.by_person:
            self._following = False
            if message.table.id == "steps":
                self._step = str(message.key)
            self._remember_server()
            self.undertake(self._chosen_changed, "choose")
        self.refresh_keys()

    async def _chosen_changed(self) -> None:
        try:
            async with self._reading:
                if self._step_shown != self._step:
                    await self._read_all_tasks()
                await self._show_task()
        except WindlassError as error:
            self.say_error(error)
        self.refresh_keys()

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        if message.table.id == "steps":
            self.tasks.focus()
        else:
            self.action_output()

    def on_virtual_table_edge(self, message: VirtualTable.Edge) -> None:
        """Nothing: in a live picture the focus stays where it is."""

    def on_output_pane_follows(self, message: OutputPane.Follows) -> None:
        if not message.follow:
            self._following = False
        self._show_follow()
        self.refresh_keys()

    # ------------------------------------------------------------ what the keys say

    def footer(self) -> Sequence[str]:
        keys = ["pause", "retry", "decide", "cancel", "output", "roll_back", "follow"]
        run = self.run_info
        if run is not None and not run.state.open:
            keys = ["retry", "roll_back", "decide", "output", "copy", "follow", "back"]
        if self.chosen is not None and actions.unknown_host_key(self.chosen.why):
            keys.insert(0, "trust")
        return keys[:7]

    def label(self, action: str) -> str:
        if action == "pause" and self.run_info is not None and actions.can_resume(self.run_info):
            return "resume"
        if action == "follow":
            return "hold" if self._following and self.pane.follow else "follow"
        return ""

    def reason(self, action: str) -> str:
        run = self.run_info
        if run is None:
            return "the run is being read" if action in actions.CHANGING else ""
        controlled = actions.why_not_mine(run, self.session.actor, action)
        if controlled:
            return controlled
        match action:
            case "pause":
                return actions.why_not_pause(run)
            case "retry":
                return actions.why_not_retry(run)
            case "decide":
                return actions.why_not_decide(run, self.chosen)
            case "cancel":
                return actions.why_not_cancel(run)
            case "roll_back":
                return actions.why_not_roll_back(run)
            case "ring":
                return "" if actions.is_executing(run) else "nothing executes this run"
            case "output":
                return "" if self.chosen is not None else "no task is chosen"
            case "trust":
                if self.chosen is not None and actions.unknown_host_key(self.chosen.why):
                    return ""
                return "no unknown host key keeps the chosen server away"
        return ""

    # ------------------------------------------------------------ keys

    def action_pause(self) -> None:
        run, engine, actor = self.run_info, self.session.engine, self.session.actor
        if run is None or not self.allowed("pause"):
            return
        if actions.can_resume(run):
            self.perform(engine.resume(self.number, actor=actor), f"run {self.number} goes on", self._again)
        else:
            self.perform(
                engine.pause(self.number, actor=actor), "pausing: tasks in flight end first", self._again
            )

    def _again(self) -> None:
        self.needs_reload(EVERYTHING)

    def action_retry(self) -> None:
        run = self.run_info
        if run is None or not self.allowed("retry"):
            return
        open_again = actions.count(run, *FAILING)
        told = f"{words.plural(open_again, 'task')} opened again"
        self.perform(self.session.engine.retry(self.number, actor=self.session.actor), told, self._again)

    def action_decide(self) -> None:
        if not self.allowed("decide"):
            return
        task = self.chosen
        here = task is not None and (is_doubtful(task) or task.state in FAILING)
        key = task.key if here and task is not None else None
        self.app.push_screen(DecideScreen(self.session, self.number, key))

    def action_cancel(self) -> None:
        run = self.run_info
        if run is None or not self.allowed("cancel"):
            return
        running = actions.count(run, TaskState.RUNNING)
        lines: list[Spans] = [
            [(f"{words.plural(running, 'task')} in flight will be stopped.", "")],
            [("A stop that a server does not confirm leaves its task in doubt.", "")],
            [("What is done stays done: R rolls it back.", "muted")],
        ]
        self._confirm(
            f"Cancel run {self.number}?",
            lines,
            "cancel the run",
            lambda: self.perform(
                self.session.engine.cancel(self.number, actor=self.session.actor), "cancelling", self._again
            ),
        )

    def action_roll_back(self) -> None:
        run = self.run_info
        if run is None or not self.allowed("roll_back"):
            return
        lines: list[Spans] = [[("The undo of what this run did runs on each server, in reverse order.", "")]]
        fixed = [step.name for step in self.steps.items if step.irreversible]
        if fixed:
            told: list[Span] = [
                ("! ", "bold warning"),
                (f"cannot be undone: {words.listed(fixed, 6)}", "warning"),
            ]
            lines.append(told)
        doubt = actions.count(run, TaskState.IN_DOUBT)
        if doubt:
            lines.append([(f"{words.plural(doubt, 'task')} in doubt will be decided as failed.", "warning")])
        if actions.is_executing(run):
            lines.append([("It begins when nothing of the run runs any more.", "muted")])
        ask_to_roll_back(
            self,
            run,
            f"Roll back run {self.number}?",
            lines,
            lambda name: self.perform(
                self.session.engine.roll_back(self.number, actor=self.session.actor, confirm=name),
                "rolling back",
                self._again,
            ),
        )

    def _confirm(self, title: str, lines: Sequence[Spans], yes: str, then: object) -> None:
        def answered(sure: bool | None) -> None:
            if sure:
                assert callable(then)
                then()

        self.app.push_screen(ConfirmSheet(self.session, title, lines, yes=yes), answered)

    def action_output(self) -> None:
        if self.chosen is not None and self.allowed("output"):
            self.app.push_screen(OutputScreen(self.session, self.number, self.chosen.key, self.source))

    def action_follow(self) -> None:
        follow = not (self._following and self.pane.follow)
        self._following = follow
        self.pane.set_follow(follow)
        self._show_follow()
        self.refresh_keys()
        if follow:
            self._again()

    def action_copy(self) -> None:
        told = ["runs", "show", str(self.number)]
        if self.pane.has_focus and self.chosen is not None:
            told = ["runs", "logs", str(self.number), str(self.chosen.key)]
        elif self.run_info is not None and self.run_info.state.open:
            told = ["runs", "watch", str(self.number)]
        self.copy(self.session.command(*told))

    def action_trust(self) -> None:
        if self.chosen is not None and self.allowed("trust"):
            ask_to_trust(self, self.chosen.server)

    def action_control(self) -> None:
        if self.run_info is not None and self.allowed("control"):
            ask_for_control(self, self.run_info, self._again)

    def action_ring(self) -> None:
        ringing: set[int] = getattr(self.app, "ringing", set())
        if self.run_info is None or not self.allowed("ring"):
            return
        if self.number in ringing:
            ringing.discard(self.number)
            self.say(f"run {self.number} ends without a bell")
        else:
            ringing.add(self.number)
            self.say(f"the terminal rings when run {self.number} stands or has ended")

    def action_report(self) -> None:
        if self.run_info is not None:
            self.undertake(self._report, "report")

    async def _report(self) -> None:
        from tui.reporting import write_report

        try:
            path = await write_report(self.session, self.number, look(self).clock())
        except (WindlassError, OSError) as error:
            self.say(f"the report could not be written: {error}", bad=True)
            return
        self.say(f"the report is in {path}")

    def action_who(self) -> None:
        if self.run_info is not None:
            self.app.push_screen(WhoSheet(self.session, self.run_info, self.source))

    def action_replay(self) -> None:
        from tui.screens.replay import ReplayScreen

        if self.run_info is not None:
            self.app.push_screen(ReplayScreen(self))

    def action_timeline(self) -> None:
        from tui.screens.timeline import TimelineScreen

        self.app.push_screen(TimelineScreen(self.session, self.number))

    @property
    def way_here(self) -> str:
        return f"run {self.number}"
