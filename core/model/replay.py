"""A run as it stood after any of its events: a pure fold of events into views.

`Fold` starts from what never changes of a run (its steps and tasks, from the views of any later moment) and takes the
run's events in order. After each it gives the views that the engine gave then, but for the last lines of output,
which no event holds: `Fold.printed` tells how far each stream had come, so that stored output can be cut there.
`Budgets` notes what only later views tell: how many attempts a task was allowed before it was opened again.

Events of older engines lack some keys (`at`, `exit` of a verified attempt): times are then those of the events, some
milliseconds later. Types, keys and values that are not known here are passed over.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Any, NamedTuple

from core.model import events, notes
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import FAILING, Asked, Phase, Purpose, RunState, TaskState, UndoState
from core.model.views import RunInfo, StepInfo, TaskInfo

_TASK_STATES = {state.value: state for state in TaskState}
_RUN_STATES = {state.value: state for state in RunState}
_UNDO_STATES = {state.value: state for state in UndoState}
_PHASES = {phase.value: phase for phase in Phase}
_ASKED = {asked.value: asked for asked in Asked}

Source = tuple[str, int, str]
"""Whose output: purpose, attempt, stream."""
Mark = tuple[int, int]
"""How far a stream came: which lap (a guard that is asked again prints from offset 0 again), raw end offset."""

NOTHING: Mapping[Source, Mark] = {}

NOT_RUN = frozenset({TaskState.BLOCKED, TaskState.CANCELLED})


class Moment(IntEnum):
    """How much an event matters to whoever looks for one."""

    OTHER = 0
    TASK_END = 1
    FAILURE = 2


def moment_of(event: Event) -> Moment:
    """Whether a task or its undo ended with an event, or something failed or came into doubt."""
    to = event.data.get("to")
    if event.type == events.TASK_STATE:
        state = _TASK_STATES.get(str(to))
        if state in FAILING or state is TaskState.IN_DOUBT:
            return Moment.FAILURE
        if state is not None and state.ended and state not in NOT_RUN:
            return Moment.TASK_END
    elif event.type == events.TASK_UNDO:
        if to in (UndoState.FAILED.value, UndoState.IN_DOUBT.value):
            return Moment.FAILURE
        if to == UndoState.UNDONE.value:
            return Moment.TASK_END
    elif event.type == events.RUN_STATE and to in (
        RunState.FAILED.value,
        RunState.ROLLBACK_FAILED.value,
        RunState.WAITING.value,
    ):
        return Moment.FAILURE
    return Moment.OTHER


def reopens(event: Event) -> bool:
    """True where a task gets new attempts by itself: it was retried, or decided to be."""
    if event.type != events.TASK_STATE or event.data.get("to") != TaskState.WAITING.value:
        return False
    return _TASK_STATES.get(str(event.data.get("from"))) in FAILING or event.data.get("decision") == "retry"


class Budgets:
    """How many attempts each task may reach by itself, at any time: only its opening again changes that."""

    def __init__(self, tasks: Sequence[TaskInfo], seq: int) -> None:
        """`tasks` are views as they were at `seq`."""
        self._seq = seq
        self._told = {task.key: task.attempts for task in tasks}
        self._opened: dict[TaskKey, list[tuple[int, int]]] = {}

    def note(self, event: Event) -> None:
        """Takes an event; those of each task in order."""
        if reopens(event):
            key = TaskKey(event.step or "", event.server or "")
            self._opened.setdefault(key, []).append((event.seq, event.attempt or 0))

    def at(self, key: TaskKey, seq: int) -> int | None:
        """The budget of a task after event `seq`; None where it never changed."""
        opened = self._opened.get(key)
        if opened is None or key not in self._told:
            return None
        return self._told[key] - self._base(opened, self._seq) + self._base(opened, seq)

    @staticmethod
    def _base(opened: list[tuple[int, int]], seq: int) -> int:
        at = bisect_right(opened, seq, key=lambda entry: entry[0])
        return opened[at - 1][1] if at else 0


class Held(NamedTuple):
    """One task within a fold: its view, how far its output came, and which attempt is in flight."""

    info: TaskInfo
    printed: Mapping[Source, Mark] = NOTHING
    open: bool = False
    undo_attempt: int = 0


class State(NamedTuple):
    """A fold at one event, to go on from there. Holds no copies of what did not change."""

    seq: int
    run: RunInfo
    held: tuple[Held, ...]
    counts: tuple[dict[TaskState, int], ...]
    undo_counts: tuple[dict[UndoState, int], ...]


class Fold:
    """A run as it stands after the events taken so far; at the beginning nothing has started."""

    def __init__(
        self,
        run: RunInfo,
        steps: Sequence[StepInfo],
        tasks: Sequence[TaskInfo],
        budgets: Budgets | None = None,
    ) -> None:
        """The views are of any moment: only what never changes of them is used (and whether the newest event
        left the run without an engine). `tasks` are all tasks by index, from 0 without a gap.
        """
        self._last = run
        self._steps = tuple(steps)
        self._budgets = budgets
        self._place = {task.key: at for at, task in enumerate(tasks)}
        of_step: dict[str, list[int]] = {step.name: [] for step in steps}
        for at, task in enumerate(tasks):
            of_step[task.step].append(at)
        self._of_step = of_step
        self._step_at = {step.name: at for at, step in enumerate(steps)}
        self._held = [Held(_fresh(task)) for task in tasks]
        self._counts: list[dict[TaskState, int]] = [
            {TaskState.WAITING: len(of_step[step.name])} if of_step[step.name] else {} for step in steps
        ]
        self._undo_counts: list[dict[UndoState, int]] = [{} for _ in steps]
        self._run = replace(
            run,
            state=RunState.RUNNING,
            asked=Asked.RUN,
            why="",
            ended=None,
            controller="",
            interrupted=False,
            counts={},
            undo_counts={},
            last_seq=0,
        )
        self._step_views: dict[str, StepInfo] = {}
        self.seq = 0

    # ------------------------------------------------------------ looking

    def run(self) -> RunInfo:
        """The run with its counts."""
        counts: dict[TaskState, int] = {}
        undos: dict[UndoState, int] = {}
        for part in self._counts:
            for state, count in part.items():
                counts[state] = counts.get(state, 0) + count
        for part_undo in self._undo_counts:
            for undo, count in part_undo.items():
                undos[undo] = undos.get(undo, 0) + count
        left = self._last.interrupted and self.seq >= self._last.last_seq
        return replace(self._run, counts=counts, undo_counts=undos, last_seq=self.seq, interrupted=left)

    def steps(self) -> list[StepInfo]:
        """The steps in document order, with counts."""
        return [self._step(at) for at in range(len(self._steps))]

    def _step(self, at: int) -> StepInfo:
        step = self._steps[at]
        known = self._step_views.get(step.name)
        if known is not None:
            return known
        infos = [self._held[index].info for index in self._of_step[step.name]]
        counts = self._counts[at]
        over = all(state.ended for state in counts)
        view = replace(
            step,
            counts=dict(counts),
            undo_counts=dict(self._undo_counts[at]),
            started=min((info.started for info in infos if info.started), default=None),
            ended=max((info.ended for info in infos if info.ended), default=None) if over else None,
        )
        self._step_views[step.name] = view
        return view

    def tasks(self, *, step: str = "", after: int = -1, limit: int = 1000) -> list[TaskInfo]:
        """Tasks by index, at most `limit` after index `after`; `last_line` is "" on each."""
        places = self._of_step.get(step, []) if step else range(len(self._held))
        first = bisect_right(places, after, key=lambda at: self._held[at].info.index)
        return [self._budgeted(self._held[at].info) for at in places[first : first + limit]]

    def task(self, key: TaskKey) -> TaskInfo | None:
        """One task; `last_line` is ""."""
        at = self._place.get(key)
        return self._budgeted(self._held[at].info) if at is not None else None

    def printed(self, key: TaskKey) -> Mapping[Source, Mark]:
        """How far each stream of a task's output had come; empty where it had printed nothing."""
        at = self._place.get(key)
        return self._held[at].printed if at is not None else {}

    def attempt_in_flight(self, key: TaskKey) -> bool:
        """Whether an attempt of the task's command was handed over and had not ended."""
        at = self._place.get(key)
        return at is not None and self._held[at].open

    def undo_attempt(self, key: TaskKey) -> int:
        """The newest attempt of the task's undo; 0 where there was none."""
        at = self._place.get(key)
        return self._held[at].undo_attempt if at is not None else 0

    def _budgeted(self, info: TaskInfo) -> TaskInfo:
        budget = self._budgets.at(info.key, self.seq) if self._budgets is not None else None
        return info if budget is None else replace(info, attempts=budget)

    # ------------------------------------------------------------ checkpoints

    def state(self) -> State:
        """Where the fold stands, to be taken up again."""
        return State(
            self.seq,
            self._run,
            tuple(self._held),
            tuple(dict(part) for part in self._counts),
            tuple(dict(part) for part in self._undo_counts),
        )

    def go_to(self, state: State) -> None:
        """Stands where a fold of the same run stood."""
        self.seq, self._run = state.seq, state.run
        self._held = list(state.held)
        self._counts = [dict(part) for part in state.counts]
        self._undo_counts = [dict(part) for part in state.undo_counts]
        self._step_views.clear()

    # ------------------------------------------------------------ taking events

    def apply(self, event: Event) -> None:
        """Takes the next event of the run."""
        self.seq = event.seq
        of_task = _OF_TASK.get(event.type)
        if of_task is None:
            self._of_run(event)
            return
        at = self._place.get(TaskKey(event.step or "", event.server or ""))
        if at is None:
            return
        before = self._held[at]
        after = of_task(before, event)
        if after is before:
            return
        self._held[at] = after
        was, now = before.info, after.info
        if was is now:
            return
        step_at = self._step_at[now.step]
        if was.state is not now.state:
            _count(self._counts[step_at], was.state, now.state)
        if was.undo is not now.undo:
            _count(self._undo_counts[step_at], was.undo, now.undo)
            self._undo_counts[step_at].pop(UndoState.NONE, None)
        self._step_views.pop(now.step, None)

    def _of_run(self, event: Event) -> None:
        data = event.data
        if event.type == events.RUN_STATE:
            state = _RUN_STATES.get(str(data.get("to")))
            if state is not None:
                ended = None if state.open else _time(event)
                self._run = replace(self._run, state=state, why=str(data.get("why", "")), ended=ended)
        elif event.type == events.RUN_ASKED:
            self._run = replace(self._run, asked=_ASKED.get(str(data.get("asked")), self._run.asked))
        elif event.type == events.RUN_CONTROL:
            self._run = replace(self._run, controller=event.actor if data.get("taken") else "")


def _fresh(task: TaskInfo) -> TaskInfo:
    """A task before its run began."""
    return TaskInfo(
        index=task.index,
        step=task.step,
        server=task.server,
        state=TaskState.WAITING,
        phase=None,
        attempt=0,
        attempts=task.attempts,
        exit_status=None,
        signal="",
        why="",
        evidence="",
        started=None,
        ended=None,
        undo=UndoState.NONE,
    )


def _time(event: Event) -> float:
    """When a change was, which is a little before its event was stored."""
    return float(event.data.get("at", event.time))


def _count(counts: dict[Any, int], was: Any, now: Any) -> None:
    left = counts.get(was, 0) - 1
    if left > 0:
        counts[was] = left
    else:
        counts.pop(was, None)
    counts[now] = counts.get(now, 0) + 1


def _ended_attempt(data: Mapping[str, Any]) -> dict[str, Any]:
    """What an event that ends an attempt says of it."""
    return {
        "exit_status": data.get("exit"),
        "signal": str(data.get("signal", "")),
        "evidence": str(data.get("evidence", "")),
    }


def _task_state(held: Held, event: Event) -> Held:
    data, was = event.data, held.info
    to = _TASK_STATES.get(str(data.get("to")))
    if to is None:
        return held
    if to is TaskState.IN_DOUBT and was.state is to:  # asked again, and still nobody knows
        return held._replace(info=replace(was, evidence=str(data.get("evidence", ""))))
    found = was.state is TaskState.IN_DOUBT and to is TaskState.RUNNING
    # That it was found running is told and not kept; that its end was found comes with its evidence.
    why = "" if found and "evidence" not in data else str(data.get("why", ""))
    new: dict[str, Any] = {"state": to, "phase": _PHASES.get(str(data.get("phase"))), "why": why}
    if to is TaskState.RUNNING:
        if "at" in data or was.state not in (TaskState.RUNNING, TaskState.IN_DOUBT) or was.started is None:
            new["started"], new["ended"] = _time(event), None
    elif to.ended:
        new["ended"] = _time(event)
    if held.open and to is not TaskState.RUNNING and not data.get("interrupted"):
        new.update(_ended_attempt(data))
    else:
        if "exit" in data:
            new["exit_status"] = data["exit"]
        if "evidence" in data:
            new["evidence"] = str(data["evidence"])
    if data.get("may_have_run"):
        new["may_have_run"] = True
    if data.get("decision"):
        new["decision"], new["decided_by"] = str(data["decision"]), event.actor
    return held._replace(info=replace(was, **new), open=found or (held.open and to is TaskState.RUNNING))


def _task_phase(held: Held, event: Event) -> Held:
    data, was = event.data, held.info
    phase = _PHASES.get(str(data.get("phase")))
    why = str(data.get("why", ""))
    if phase is None:
        return held
    if phase is Phase.BACKOFF:
        return held._replace(
            info=replace(was, phase=phase, why=why, attempt=event.attempt or was.attempt), open=False
        )
    if why:  # a note about its server: what the task does is what it did
        if why == notes.SERVER_BACK:
            return held._replace(info=replace(was, why=""))
        return held._replace(info=replace(was, why=why)) if why.startswith(notes.SERVER_LOST) else held
    new: dict[str, Any] = {"phase": phase}
    if phase is Phase.RUN:
        new["why"] = ""
    if phase is Phase.VERIFY and held.open:
        new.update(_ended_attempt(data))
        held = held._replace(open=False)
    return held._replace(info=replace(was, **new))


def _task_intent(held: Held, event: Event) -> Held:
    number = event.attempt or 0
    if event.data.get("purpose") == Purpose.UNDO.value:
        return held._replace(undo_attempt=number)
    new: dict[str, Any] = {"attempt": number}
    if held.open:  # the one before was never begun
        new.update(_ended_attempt({}))
    return held._replace(info=replace(held.info, **new), open=True)


def _task_attempt(held: Held, event: Event) -> Held:
    if not held.open:
        return held
    return held._replace(info=replace(held.info, **_ended_attempt(event.data)), open=False)


def _task_output(held: Held, event: Event) -> Held:
    data = event.data
    source = (str(data.get("purpose")), event.attempt or 0, str(data.get("stream")))
    start, end = data.get("start"), data.get("end")
    if not isinstance(start, int) or not isinstance(end, int):
        return held
    lap, before = held.printed.get(source, (0, 0))
    return held._replace(
        printed={**held.printed, source: (lap + 1 if start < before else lap, end)},
    )


def _task_undo(held: Held, event: Event) -> Held:
    data = event.data
    to = _UNDO_STATES.get(str(data.get("to")))
    if to is None:
        return held
    new: dict[str, Any] = {"undo": to, "undo_why": str(data.get("why", ""))}
    if data.get("decision"):
        new["decision"], new["decided_by"] = str(data["decision"]), event.actor
    return held._replace(info=replace(held.info, **new))


_OF_TASK: Mapping[str, Callable[[Held, Event], Held]] = {
    events.TASK_STATE: _task_state,
    events.TASK_PHASE: _task_phase,
    events.TASK_INTENT: _task_intent,
    events.TASK_ATTEMPT: _task_attempt,
    events.TASK_OUTPUT: _task_output,
    events.TASK_UNDO: _task_undo,
}
