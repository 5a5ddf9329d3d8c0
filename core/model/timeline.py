"""Who took how long in a run, and what waited for what: pure arithmetic over its events and views.

`Trace` takes a run's events in order and notes when each task ran, stood between two attempts, was lost or in doubt.
`timeline` puts that together with what the steps wait for (`StepNeed`): from when on each task might have started, for
how long it then waited, and which chain of tasks determined the end. Times are wall time in seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from core.model import events, notes
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Phase, RunState, TaskState, UndoState
from core.model.views import RunInfo, StepInfo, StepNeed, TaskInfo


class Kind(StrEnum):
    """What a task did for a while; later ones matter more where several share a place."""

    QUEUED = "queued"
    RUNNING = "running"
    UNDOING = "undoing"
    BACK_OFF = "back-off"
    LOST = "server lost"
    IN_DOUBT = "in doubt"


class Segment(NamedTuple):
    """What was from `start` to `end`."""

    kind: Kind
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One task, or several as one: `took_s` is how long it was at work, `waited_s` how long it was queued.

    `key` is the task's; of several `name` says which, and `waited_s` is the longest. `able` is when nothing that a task
    needs was open any more, None where that is not so. `state` is that of a task; of several None.
    """

    name: str
    segments: tuple[Segment, ...]
    took_s: float
    waited_s: float
    tasks: int = 1
    key: TaskKey | None = None
    state: TaskState | None = None
    able: float | None = None
    start: float | None = None
    end: float | None = None
    on_path: bool = False


class Link(NamedTuple):
    """One task on the critical path, the last one first: for how long it waited for the next alone, then queued.

    `waited_s` is 0.0 where it waited for none; `took_s` is from its first start to its end.
    """

    key: TaskKey
    start: float
    end: float
    waited_for: TaskKey | None
    waited_s: float
    queued_s: float

    @property
    def took_s(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run from `start` to `end`; `bars` are its tasks by index. `path` is empty where nothing has ended."""

    start: float
    end: float
    bars: tuple[Bar, ...]
    path: tuple[Link, ...]

    def of_step(self, step: str) -> list[Bar]:
        """The tasks of a step."""
        return [bar for bar in self.bars if bar.key is not None and bar.key.step == step]

    def of_server(self, server: str) -> list[Bar]:
        """The tasks on a server."""
        return [bar for bar in self.bars if bar.key is not None and bar.key.server == server]

    def by_step(self, steps: Iterable[str]) -> list[Bar]:
        """One bar for each step, in the order of `steps`."""
        parts: dict[str, list[Bar]] = {step: [] for step in steps}
        for bar in self.bars:
            if bar.key is not None and bar.key.step in parts:
                parts[bar.key.step].append(bar)
        return [together(step, bars) for step, bars in parts.items()]

    def by_server(self) -> list[Bar]:
        """One bar for each server, by first appearance."""
        parts: dict[str, list[Bar]] = {}
        for bar in self.bars:
            if bar.key is not None:
                parts.setdefault(bar.key.server, []).append(bar)
        return [together(server, bars) for server, bars in parts.items()]


class Trace:
    """What each task of a run did, and from when on, as its events tell it."""

    def __init__(self) -> None:
        self._marks: dict[TaskKey, list[tuple[float, Kind | None]]] = {}
        self.seq = 0
        self.first = 0.0
        """When the run began; 0.0 where no event was taken."""
        self.last = 0.0

    def note(self, event: Event) -> None:
        """Takes the next event of the run."""
        self.seq = event.seq
        when = float(event.data.get("at", event.time))
        self.first = self.first or when
        self.last = max(self.last, when)
        if event.step is None or event.server is None:
            return
        marks = self._marks.setdefault(TaskKey(event.step, event.server), [])
        told = _doing(event, marks[-1][1] if marks else None)
        if told is not _SAME and (not marks or marks[-1][1] is not told):
            marks.append((when, told))  # type: ignore[arg-type]

    def segments(self, key: TaskKey, now: float) -> list[Segment]:
        """What a task did, in order; what it does still goes on until `now`."""
        marks = self._marks.get(key, [])
        out = []
        for at, (start, kind) in enumerate(marks):
            end = marks[at + 1][0] if at + 1 < len(marks) else max(now, start)
            if kind is not None:
                out.append(Segment(kind, start, end))
        return out


_SAME = object()


def _doing(event: Event, before: Kind | None) -> object:
    """What a task does from an event on; None for nothing, `_SAME` where it tells nothing of that."""
    data = event.data
    if event.type == events.TASK_STATE:
        to = data.get("to")
        if to == TaskState.RUNNING.value:
            return Kind.RUNNING
        return Kind.IN_DOUBT if to == TaskState.IN_DOUBT.value else None
    if event.type == events.TASK_UNDO:
        to = data.get("to")
        if to == UndoState.UNDOING.value:
            return Kind.UNDOING
        return Kind.IN_DOUBT if to == UndoState.IN_DOUBT.value else None
    if event.type == events.TASK_PHASE and before is not None:
        why = str(data.get("why", ""))
        if data.get("phase") == Phase.BACKOFF.value:
            return Kind.BACK_OFF
        if why.startswith(notes.SERVER_LOST):
            return Kind.LOST
        if before in (Kind.BACK_OFF, Kind.LOST) and (not why or why == notes.SERVER_BACK):
            return Kind.RUNNING
    return _SAME


def timeline(
    run: RunInfo,
    steps: Sequence[StepInfo],
    tasks: Sequence[TaskInfo],
    needs: Sequence[StepNeed],
    trace: Trace,
    now: float,
) -> Timeline:
    """The timeline of a run; `now` is where it ends so far. `tasks` are all of it, by index."""
    over = run.ended if run.ended is not None else max(now, run.created)
    if run.state in (RunState.PAUSED, RunState.WAITING):
        over = max(trace.last, run.created)
    of_step: dict[str, list[TaskInfo]] = {step.name: [] for step in steps}
    by_key = {task.key: task for task in tasks}
    for task in tasks:
        of_step.setdefault(task.step, []).append(task)
    needed = _needs_of(needs)
    last_two = {step: _last_two(found) for step, found in of_step.items()}
    segments = {task.key: trace.segments(task.key, over) for task in tasks}
    able = {task.key: _able(run, task, needed, last_two, by_key, of_step) for task in tasks}
    path = _path(tasks, needed, last_two, by_key, able, segments)
    chosen = {link.key for link in path}
    bars = []
    for task in tasks:
        mine, free = segments[task.key], able[task.key]
        began = mine[0].start if mine else None
        if free is not None and task.state not in (TaskState.BLOCKED, TaskState.CANCELLED):
            queued_to = began if began is not None else over if task.state is TaskState.WAITING else free
            if queued_to > free:
                mine = [Segment(Kind.QUEUED, free, queued_to), *mine]
        bars.append(_bar(str(task.key), mine, task, free, task.key in chosen))
    end = max([over, *(bar.end for bar in bars if bar.end is not None)])
    return Timeline(run.created, end, tuple(bars), tuple(path))


def _bar(name: str, segments: Sequence[Segment], task: TaskInfo, able: float | None, on_path: bool) -> Bar:
    return Bar(
        name=name,
        segments=tuple(segments),
        took_s=sum(part.end - part.start for part in segments if part.kind is not Kind.QUEUED),
        waited_s=sum(part.end - part.start for part in segments if part.kind is Kind.QUEUED),
        key=task.key,
        state=task.state,
        able=able,
        start=segments[0].start if segments else None,
        end=segments[-1].end if segments else None,
        on_path=on_path,
    )


def together(name: str, bars: Sequence[Bar]) -> Bar:
    """Several bars as one: of each kind the union of what they did, so that it is as short to draw as it looks."""
    parts: dict[Kind, list[Segment]] = {}
    for bar in bars:
        for segment in bar.segments:
            parts.setdefault(segment.kind, []).append(segment)
    segments = [one for kind in Kind for one in _union(parts.get(kind, ()))]
    work = _union([Segment(Kind.RUNNING, s.start, s.end) for s in segments if s.kind is not Kind.QUEUED])
    starts = [bar.start for bar in bars if bar.start is not None]
    ends = [bar.end for bar in bars if bar.end is not None]
    return Bar(
        name=name,
        segments=tuple(segments),
        took_s=sum(one.end - one.start for one in work),
        waited_s=max((bar.waited_s for bar in bars), default=0.0),
        tasks=len(bars),
        start=min(starts, default=None),
        end=max(ends, default=None),
        on_path=any(bar.on_path for bar in bars),
    )


def _union(segments: Sequence[Segment]) -> list[Segment]:
    """Segments of one kind, those that touch each other as one."""
    out: list[Segment] = []
    for segment in sorted(segments, key=lambda one: one.start):
        if out and segment.start <= out[-1].end:
            if segment.end > out[-1].end:
                out[-1] = out[-1]._replace(end=segment.end)
        else:
            out.append(segment)
    return out


# ------------------------------------------------------------ what waited for what


class _LastTwo(NamedTuple):
    """The tasks of a step that ended last and last but one; `open` where some have not ended."""

    last: TaskInfo | None
    before: float | None
    open: bool


def _ran(task: TaskInfo) -> bool:
    """Whether a task ran and ended: what was blocked or skipped kept nobody waiting by itself."""
    return task.started is not None and task.ended is not None


def _last_two(tasks: Sequence[TaskInfo]) -> _LastTwo:
    ended = sorted((task for task in tasks if _ran(task)), key=lambda task: task.ended or 0.0)
    return _LastTwo(
        ended[-1] if ended else None,
        ended[-2].ended if len(ended) > 1 else None,
        any(not task.state.ended for task in tasks),
    )


def _needs_of(needs: Sequence[StepNeed]) -> dict[str, list[StepNeed]]:
    found: dict[str, list[StepNeed]] = {}
    for need in needs:
        found.setdefault(need.step, []).append(need)
    return found


def _able(
    run: RunInfo,
    task: TaskInfo,
    needed: Mapping[str, Sequence[StepNeed]],
    last_two: Mapping[str, _LastTwo],
    by_key: Mapping[TaskKey, TaskInfo],
    of_step: Mapping[str, Sequence[TaskInfo]],
) -> float | None:
    """When nothing that a task needs was open any more. What was opened again since does not count for it."""
    when = run.created
    for need in needed.get(task.step, ()):
        if need.everywhere:
            two = last_two.get(need.needs, _LastTwo(None, None, False))
            if two.open and task.started is None:
                return None
            ended = two.last.ended if two.last is not None else None
        else:
            own = by_key.get(TaskKey(need.needs, task.server))
            if own is None:
                continue
            if not own.state.ended and task.started is None:
                return None
            ended = own.ended
        when = max(when, ended or when)
    return when if task.started is None else min(when, task.started)


def _path(
    tasks: Sequence[TaskInfo],
    needed: Mapping[str, Sequence[StepNeed]],
    last_two: Mapping[str, _LastTwo],
    by_key: Mapping[TaskKey, TaskInfo],
    able: Mapping[TaskKey, float | None],
    segments: Mapping[TaskKey, Sequence[Segment]],
) -> list[Link]:
    """From the task that ended last back to one that waited for none: each for the need that ended last."""
    at = max(filter(_ran, tasks), key=lambda task: task.ended or 0.0, default=None)
    links: list[Link] = []
    seen: set[TaskKey] = set()
    while at is not None and at.key not in seen:
        seen.add(at.key)
        found = _waited_for(at, needed, last_two, by_key)
        mine = segments[at.key]
        began = mine[0].start if mine else at.started or 0.0
        free = able[at.key]
        before, waited_s = found if found is not None else (None, 0.0)
        links.append(
            Link(
                at.key,
                began,
                at.ended or began,
                before.key if before is not None else None,
                waited_s,
                max(0.0, began - free) if free is not None else 0.0,
            )
        )
        at = before
    return links


def _waited_for(
    task: TaskInfo,
    needed: Mapping[str, Sequence[StepNeed]],
    last_two: Mapping[str, _LastTwo],
    by_key: Mapping[TaskKey, TaskInfo],
) -> tuple[TaskInfo, float] | None:
    """The needed task that ended last before a task began, and for how long it was the only one still open."""
    candidates: list[tuple[float, float | None, TaskInfo]] = []
    for need in needed.get(task.step, ()):
        if need.everywhere:
            two = last_two.get(need.needs)
            if two is not None and two.last is not None and two.last.ended is not None:
                candidates.append((two.last.ended, two.before, two.last))
        else:
            own = by_key.get(TaskKey(need.needs, task.server))
            if own is not None and _ran(own) and own.ended is not None:
                candidates.append((own.ended, None, own))
    if not candidates:
        return None
    candidates.sort(key=lambda entry: entry[0])
    ended, before, last = candidates[-1]
    others = [entry[0] for entry in candidates[:-1]]
    if before is not None:
        others.append(before)
    # Where it was the only one that was needed, it was waited for as long as it ran.
    since = max(others) if others else (last.started if last.started is not None else ended)
    return last, max(0.0, ended - max(since, last.started or since))
