"""How many tasks of a run are in which state, step by step: counted once, then again only where something happened.

Counting the tasks of a large run takes tens of milliseconds, and whoever watches it asks many times a second. So what
was counted is kept with the number of the run's last event before: a change of a task's state or undo is committed
with an event that names its step, so only the steps that newer events name are counted anew, each from its part
of the tasks. After an event of the run as a whole everything is.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.model.states import TaskState, UndoState

Rows = Callable[[str, Iterable[Any]], Awaitable[list[Any]]]

MAX_STEPS_AGAIN = 16
"""Beyond so many steps with news all are counted: it costs no more."""
ANY_INDEX = 2**62
MAX_RUNS = 8
"""Of so many runs the steps are kept."""
MAX_TOTALS = 1000
"""Of so many runs it is kept how many tasks are in which state."""

COUNT = "SELECT step, state, undo, count(*), min(started), max(ended), min(idx), max(idx) FROM tasks WHERE run = ?"


@dataclass(slots=True)
class StepCount:
    """The tasks of a step: how many in which state, when the first started and the last ended, and where they lie."""

    counts: dict[TaskState, int] = field(default_factory=dict)
    undos: dict[UndoState, int] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    first: int = 0
    last: int = -1

    def add(self, row: Sequence[Any]) -> None:
        """Takes one row of `COUNT`."""
        _, state, undo, count, started, ended, first, last = row
        _add(self.counts, TaskState(state), count)
        if undo != UndoState.NONE.value:
            _add(self.undos, UndoState(undo), count)
        self.started = min(filter(None, (self.started, started)), default=None)
        self.ended = max(filter(None, (self.ended, ended)), default=None)
        self.first = first if self.last < 0 else min(self.first, first)
        self.last = max(self.last, last)


@dataclass(frozen=True, slots=True)
class Totals:
    """The tasks of a whole run by state, as of its event `seq` or later."""

    seq: int
    counts: Mapping[TaskState, int]
    undos: Mapping[UndoState, int]


@dataclass(frozen=True, slots=True)
class _Known:
    seq: int
    steps: Mapping[str, StepCount]


class Counter:
    """Counts by a reader's `rows`. What it gives is shared: nobody may change it."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._runs: OrderedDict[int, _Known] = OrderedDict()
        self._totals: OrderedDict[int, Totals] = OrderedDict()

    def forget(self) -> None:
        """Counts everything anew from here on: the database is another one."""
        self._runs.clear()
        self._totals.clear()

    async def steps(self, run: int) -> Mapping[str, StepCount]:
        """Each step of a run that has tasks."""
        return (await self._now(run)).steps

    def place(self, run: int, step: str) -> tuple[int, int]:
        """The first and the last index that a task of a step may have: close where the run was counted before."""
        known = self._runs.get(run)
        found = known.steps.get(step) if known is not None else None
        return (found.first, found.last) if found is not None else (0, ANY_INDEX)

    async def totals(self, runs: Sequence[int]) -> Mapping[int, Totals]:
        """Runs as a whole, with their last event."""
        if len(runs) == 1:
            now = await self._now(runs[0])
            return {runs[0]: _sum(now.seq, now.steps.values())}
        last_seqs = await self._last_seqs(runs)
        stale = [run for run in runs if run not in self._totals or self._totals[run].seq != last_seqs[run]]
        if len(stale) <= MAX_RUNS // 2:
            for run in stale:
                now = await self._now(run)
                self._keep(run, _sum(now.seq, now.steps.values()))
        else:
            await self._count_whole(stale, last_seqs)
        found = {run: self._totals[run] for run in runs}
        while len(self._totals) > MAX_TOTALS:
            self._totals.popitem(last=False)
        return found

    async def _count_whole(self, runs: Sequence[int], last_seqs: Mapping[int, int]) -> None:
        """Many runs by one look at all of their tasks."""
        marks = ", ".join("?" * len(runs))
        counted: dict[int, StepCount] = {run: StepCount() for run in runs}
        for run, *row in await self._rows(
            "SELECT run, NULL, state, undo, count(*), NULL, NULL, 0, 0 FROM tasks "
            f"WHERE run IN ({marks}) GROUP BY run, state, undo",
            runs,
        ):
            counted[run].add(row)
        for run, count in counted.items():
            self._keep(run, _sum(last_seqs[run], [count]))

    def _keep(self, run: int, totals: Totals) -> None:
        self._totals[run] = totals
        self._totals.move_to_end(run)

    async def _now(self, run: int) -> _Known:
        known = self._runs.get(run)
        if known is None:
            # What is committed in between is counted, and counted again next time.
            seq = (await self._last_seqs([run]))[run]
            known = _Known(seq, await self._count(run))
        else:
            known = await self._again(run, known)
        self._runs[run] = known
        self._runs.move_to_end(run)
        while len(self._runs) > MAX_RUNS:
            self._runs.popitem(last=False)
        return known

    async def _count(self, run: int) -> dict[str, StepCount]:
        steps: dict[str, StepCount] = {}
        for row in await self._rows(f"{COUNT} GROUP BY step, state, undo", [run]):
            steps.setdefault(row[0], StepCount()).add(row)
        return steps

    async def _again(self, run: int, known: _Known) -> _Known:
        rows = await self._rows(
            "SELECT step, max(seq) FROM events WHERE run = ? AND seq > ? GROUP BY step", [run, known.seq]
        )
        if not rows:
            return known
        seq = max(row[1] for row in rows)
        names = [row[0] for row in rows]
        if len(names) > MAX_STEPS_AGAIN or any(name not in known.steps for name in names):
            return _Known(seq, await self._count(run))
        steps = dict(known.steps)
        for name in names:
            before, now = steps[name], StepCount()
            for row in await self._rows(
                f"{COUNT} AND idx BETWEEN ? AND ? AND step = ? GROUP BY state, undo",
                [run, before.first, before.last, name],
            ):
                now.add(row)
            steps[name] = now
        return _Known(seq, steps)

    async def _last_seqs(self, runs: Sequence[int]) -> dict[int, int]:
        rows = await self._rows(
            "SELECT value, (SELECT seq FROM events WHERE run = value ORDER BY seq DESC LIMIT 1) FROM json_each(?)",
            [json.dumps(runs)],
        )
        return {run: seq or 0 for run, seq in rows}


def _sum(seq: int, steps: Iterable[StepCount]) -> Totals:
    counts: dict[TaskState, int] = {}
    undos: dict[UndoState, int] = {}
    for step in steps:
        for state, count in step.counts.items():
            _add(counts, state, count)
        for undo, count in step.undos.items():
            _add(undos, undo, count)
    return Totals(seq, counts, undos)


def _add(counts: dict[Any, int], key: Any, count: int) -> None:
    counts[key] = counts.get(key, 0) + count
