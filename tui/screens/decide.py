"""Decide, on call: what is certain of a task, what is not, its last lines, and choices with their consequence.

A decision needs a reason; both are kept with the task. Nothing here guesses: what is known comes from the engine.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from core.errors import WindlassError
from core.model.ids import TaskKey
from core.model.states import Asked, Decision, UndoState
from core.model.views import RunInfo, StepInfo, TaskInfo
from themes.signs import TASK_SIGNS, UNDO_SIGNS
from tui import consequences
from tui.bridge import Changes
from tui.choices import Choice, choices_for
from tui.consequences import Act
from tui.doubts import doubtful_tasks, doubts, is_doubtful
from tui.look import look
from tui.paint import Spans
from tui.screens.acts import ask_first
from tui.screens.base import Live
from tui.session import Session
from tui.tail import Tail
from tui.task_reading import failing_tasks
from tui.widgets.line import SpanLine
from tui.widgets.output import OutputPane
from tui.widgets.table import Column, VirtualTable

LAST_LINES = 40


class DecideScreen(Live[None]):
    """For one task, or (`task` None) for the first one in doubt; after a decision comes the next one in doubt.

    `first` names the choice that the cursor stands on at the beginning.
    """

    BINDINGS = [
        Binding(
            "a",
            "all",
            "all of this step",
            id="decide.all",
            tooltip="Decide every task in doubt of this step alike",
        ),
        Binding("n", "next", "next in doubt", id="decide.next", tooltip="The next task in doubt"),
        Binding(
            "y", "copy", "copy command", id="decide.copy", tooltip="Copy the command line for this decision"
        ),
        Binding("escape,q", "back", "back", id="decide.back", tooltip="Back without deciding"),
    ]
    DEFAULT_CSS = """
    DecideScreen {
        #facts { height: auto; max-height: 40%; padding: 0 1; margin-top: 1; }
        #facts-text { height: auto; }
        #output { height: 1fr; min-height: 3; border: $frame $line; border-title-color: $foreground; }
        #choices { height: auto; max-height: 12; border: $frame $line; border-title-color: $foreground; }
        #output:focus, #choices:focus { border: $frame $line-focus; }
        #reason { display: none; height: 3; border: $frame $line-focus; padding: 0 1; background: $background; }
        #reason.-open { display: block; }
    }
    """

    def __init__(self, session: Session, number: int, task: TaskKey | None, *, first: str = "") -> None:
        super().__init__(session)
        self.number = number
        self.wanted = task
        self._first = first
        self.task_info: TaskInfo | None = None
        self.run_info: RunInfo | None = None
        self._doubtful: list[TaskKey] = []
        self._failing: Sequence[TaskInfo] = ()
        self._steps: Sequence[StepInfo] = ()
        self._tail: Tail | None = None
        self._choice: Choice | None = None
        self._deciding = False
        self._all = False

    def body(self) -> ComposeResult:
        yield SpanLine(id="state")
        with VerticalScroll(id="facts", can_focus=False):
            yield Static("", id="facts-text")
        yield OutputPane(max_lines=LAST_LINES, id="output")
        yield VirtualTable[Choice](
            (Column("choice", 18), Column("consequence")),
            key=lambda choice: choice.name,
            cells=lambda choice: [
                [(choice.title, "bold")],
                [(look(self).own(choice.consequence), choice.role)],
            ],
            header=False,
            id="choices",
        )
        yield Input(placeholder="why? it is kept with the decision", id="reason")

    @property
    def choices(self) -> VirtualTable[Choice]:
        """The choices."""
        return self.query_one("#choices", VirtualTable)

    @property
    def reason_field(self) -> Input:
        """Where the reason is typed."""
        return self.query_one("#reason", Input)

    def crumbs(self) -> Sequence[str]:
        return ("runs", str(self.number), "decide")

    def on_mount(self) -> None:
        self._tail = Tail(self.session.engine, self.query_one("#output", OutputPane))
        self.entitle("#choices", "Choices")
        self.choices.focus()

    # ------------------------------------------------------------ staying current

    async def reload(self, changes: Changes) -> None:
        if not changes.touches(self.number) or self._tail is None:
            return
        engine = self.session.engine
        self.run_info = await engine.run(self.number)
        self._doubtful = [task.key for task in await doubtful_tasks(engine, self.run_info)]
        self._failing = await failing_tasks(engine, self.run_info)
        self._steps = await engine.steps(self.number)
        if self.wanted is None and self._doubtful:
            self.wanted = self._doubtful[0]
        if self.wanted is None:
            self.say("no task is in doubt any more")
            self.dismiss(None)
            return
        task = self.task_info = await engine.task(self.number, self.wanted)
        explained = await engine.explain(self.number, task.key)
        self._show_state(task)
        facts = self._facts("Certain", explained.certain, "") + self._facts(
            "Not known", explained.unknown, "warning"
        )
        if not explained.certain and not explained.unknown:
            facts = self._facts("Known", explained.sentences, "")
        self.set_text("#facts-text", facts)
        await self._tail.show(self.number, task)
        style = look(self)
        title = style.own(f"{style.text(task.server)} · last {LAST_LINES} lines")
        self.entitle("#output", title)
        self.choices.set_empty(
            [[(f"It is {task.state.word}: there is nothing to decide any more.", "muted")]]
        )
        self._show_choices(task, self.run_info)

    def _alike(self) -> list[TaskKey]:
        """The tasks in doubt of the same step, this one first."""
        task = self.task_info
        if task is None or task.key not in self._doubtful:
            return []
        return [task.key, *(key for key in self._doubtful if key.step == task.step and key != task.key)]

    def _targets(self) -> list[TaskKey]:
        """What a decision is about to settle."""
        alike = self._alike()
        return alike if self._all else alike[:1]

    def _show_choices(self, task: TaskInfo, run: RunInfo) -> None:
        style, targets = look(self), self._targets()
        choices = choices_for(task, run, alike=max(1, len(targets)))
        self.choices.set_items(choices, cursor=self._first or None)
        self._first = ""
        told = style.text(task.server)
        if len(targets) > 1:
            told = f"all {len(targets)} tasks in doubt of {style.text(task.step)}"
        self.entitle("#choices", style.own(f"Choices · {told}"))

    def _show_state(self, task: TaskInfo) -> None:
        style = look(self)
        undoing = task.undo is UndoState.IN_DOUBT
        sign = UNDO_SIGNS[task.undo] if undoing else TASK_SIGNS[task.state]
        left: Spans = [
            (sign.text(ascii_only=style.ascii_only), f"bold {sign.role}"),
            ("  ", ""),
            (style.text(task.step), "bold"),
            (" on ", "muted"),
            (style.text(task.server), "bold"),
            (f"  {style.text(task.undo_why if undoing else task.why)}", "muted"),
        ]
        right: Spans = []
        if task.key in self._doubtful and len(self._doubtful) > 1:
            right = [(f"{self._doubtful.index(task.key) + 1} of {len(self._doubtful)} in doubt", "warning")]
        self.query_one("#state", SpanLine).show(left, right)

    def _facts(self, title: str, sentences: Sequence[str], role: str) -> list[Spans]:
        style = look(self)
        if not sentences:
            return []
        lines: list[Spans] = [[(title, "bold")]]
        return lines + [[(f"  {style.glyphs.dot} ", "muted"), (style.text(text), role)] for text in sentences]

    # ------------------------------------------------------------ keys

    def footer(self) -> Sequence[str]:
        if isinstance(self.focused, Input):
            return ("back",)
        return ("open", "all", "next", "copy", "back")

    def label(self, action: str) -> str:
        if action == "back" and isinstance(self.focused, Input):
            return "leave the field"
        if action == "all" and self._all:
            return "only this task"
        return "choose" if action == "open" else ""

    def reason(self, action: str) -> str:
        if action == "next" and not [key for key in self._doubtful if key != self.wanted]:
            return "no other task is in doubt"
        if action == "all" and len(self._alike()) < 2:
            return "no other task of this step is in doubt"
        if action == "open":
            refused = self.session.refused("decide")
            if refused:
                return refused
            return "" if self.choices.items else "there is nothing to decide"
        return ""

    def on_virtual_table_opened(self, message: VirtualTable.Opened) -> None:
        choice = self.choices.chosen
        if choice is None or not self.allowed("open"):
            return
        self._choice = choice
        if choice.decision is not None:
            field = self.reason_field
            many = f" for all {len(self._targets())}" if len(self._targets()) > 1 else ""
            self.entitle("#reason", look(self).own(f"Reason: {choice.title}{many} · enter decides"))
            field.add_class("-open")
            field.focus()
        else:
            self._ask(choice)

    def _ask(self, choice: Choice) -> None:
        """Says what a choice will do, and does it where a person says so."""
        run, task, engine, actor = self.run_info, self.task_info, self.session.engine, self.session.actor
        if run is None or task is None:
            return
        act = self._act(choice, run, task)
        match choice.name:
            case "roll-back":
                self._ask_first(act, lambda name: engine.roll_back(self.number, actor=actor, confirm=name))
            case "retry-all":
                risk = any(each.may_have_run for each in self._failing)
                self._ask_first(act, lambda _: engine.retry(self.number, actor=actor, accept_risk=risk))
            case _:
                again = partial(engine.retry, self.number, actor=actor, tasks=(task.key,))
                self._ask_first(act, lambda _: again(accept_risk=task.may_have_run))

    def _act(self, choice: Choice, run: RunInfo, task: TaskInfo) -> Act:
        """What a choice that is no decision does."""
        if choice.name == "roll-back":
            return consequences.rolling_back(run, self._steps)
        if choice.name == "retry-all":
            return consequences.retrying(run, self._failing)
        return consequences.retrying_one(run, task)

    def _ask_first(self, act: Act, do: Callable[[str], Awaitable[object]]) -> None:
        named = self.run_info if act.by_name else None
        ask_first(self, act, lambda name: self.perform(do(name), act.done, self._leave), named)

    def _leave(self) -> None:
        if self.is_current:
            self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        reason = event.value.strip()
        task, choice = self.task_info, self._choice
        if task is None or choice is None or choice.decision is None or self._deciding:
            return
        if not reason:
            self.say("a reason is needed: it is kept with the decision, for whoever asks later")
            return
        self._deciding = True
        self.run_worker(self._decide(self._targets() or [task.key], choice.decision, reason), group="decide")

    async def _decide(self, tasks: Sequence[TaskKey], decision: Decision, reason: str) -> None:
        engine, actor = self.session.engine, self.session.actor
        try:
            for task in tasks:
                run = await engine.decide(self.number, task, decision, actor=actor, reason=reason)
            what = str(tasks[0]) if len(tasks) == 1 else f"{len(tasks)} tasks of {tasks[0].step}"
            told = f"{what}: decided, {decision.value}"
            if not doubts(run) and run.state.open and run.asked is not Asked.PAUSE:
                await engine.resume(self.number, actor=actor)
                told += f"; run {self.number} goes on"
        except WindlassError as error:
            self.say_error(error)
            return
        finally:
            self._deciding = False
        self.say(told)
        self._close_field()
        self._all = False
        others = [key for key in self._doubtful if key not in tasks]
        if others:
            self._go_to(others[0])
        else:
            self._leave()

    def _go_to(self, task: TaskKey) -> None:
        self.wanted = task
        self.needs_reload(Changes(runs=frozenset({self.number}), servers=True))

    def _close_field(self) -> None:
        field = self.reason_field
        field.value = ""
        field.remove_class("-open")
        self.choices.focus()

    def action_all(self) -> None:
        if self.allowed("all") and self.task_info is not None and self.run_info is not None:
            self._all = not self._all
            self._show_choices(self.task_info, self.run_info)
            self.refresh_keys()

    def action_next(self) -> None:
        if self.allowed("next"):
            self._all = False
            at = self._doubtful.index(self.wanted) if self.wanted in self._doubtful else -1
            self._go_to(self._doubtful[(at + 1) % len(self._doubtful)])

    def action_copy(self) -> None:
        task, choice = self.task_info, self.choices.chosen
        if task is None:
            return
        number = str(self.number)
        if is_doubtful(task):
            decision = choice.decision.value if choice is not None and choice.decision is not None else "done"
            keys = [str(key) for key in self._targets()] or [str(task.key)]
            told = ["runs", "decide", number, *keys, decision, "--reason", self.reason_field.value or "WHY"]
        elif choice is not None and self.run_info is not None:
            told = [*self._act(choice, self.run_info, task).command]
        else:
            told = ["runs", "show", number, str(task.key)]
        self.copy(self.session.command(*told))

    def action_back(self) -> None:
        if self.reason_field.has_class("-open"):
            self._close_field()
        else:
            self.dismiss(None)
