"""A run's events as sentences, for a screen reader or a log that people read: no signs, no columns, no redrawing.

What goes well is counted and told now and then; what does not is told at once, task by task.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cli.progress import OutputReader
from cli.terminal import clean, out
from cli.words import clock, duration, plural
from core.display import LineSplitter
from core.model import events
from core.model.actors import ENGINE, place
from core.model.acts import act
from core.model.ids import TaskKey
from core.model.states import Phase, RunState, Stream, TaskState

if TYPE_CHECKING:
    from core.model.events import Event
    from core.model.views import RunInfo

TOLD_EVERY_S = 20.0
"""How long what goes well may wait to be told."""
LOUD: Mapping[TaskState, str] = {
    TaskState.FAILED: "has failed",
    TaskState.UNREACHABLE: "could not be reached",
    TaskState.IN_DOUBT: "is in doubt: nobody knows whether the command ran",
}
RUN_WORDS: Mapping[RunState, str] = {
    RunState.RUNNING: "is running",
    RunState.PAUSED: "is paused",
    RunState.WAITING: "waits for a person",
    RunState.DONE: "is done",
    RunState.FAILED: "has failed",
    RunState.CANCELLED: "was cancelled",
    RunState.ROLLING_BACK: "is rolling back",
    RunState.ROLLED_BACK: "was rolled back",
    RunState.ROLLBACK_FAILED: "could not be rolled back in full",
}


class Sentences:
    """See Printer. `tasks` is how many tasks each step has."""

    def __init__(self, tasks: Mapping[str, int], output: OutputReader | None = None) -> None:
        self._tasks = tasks
        self._output = output
        self._ended: dict[str, Counter[TaskState]] = {step: Counter() for step in tasks}
        self._states: dict[TaskKey, TaskState] = {}
        self._untold: set[str] = set()
        self._told_at = 0.0
        self._lines: dict[tuple[TaskKey, str, int, Stream], LineSplitter] = {}

    async def event(self, event: Event) -> None:
        """See Printer."""
        key = TaskKey(event.step, event.server) if event.step and event.server else None
        data = event.data
        if event.actor != ENGINE and (done := act(event)):
            self._say(event, f"{place(event.actor)} {done}.")
        match event.type:
            case events.RUN_STATE:
                self._run(event)
            case events.TASK_STATE if key is not None:
                self._task(event, key)
            case events.TASK_PHASE if key is not None and data.get("phase") == Phase.BACKOFF:
                delay = round(float(data.get("delay_s") or 0))
                why = _behind(str(data.get("why", "")))
                told = f"{_named(key)} is tried again in {plural(delay, 'second')}"
                self._say(event, f"{told}{why}.")
            case events.TASK_UNDO if key is not None and data.get("to") in ("undone", "failed", "in_doubt"):
                word = {"undone": "was undone", "failed": "could not be undone"}.get(
                    str(data["to"]), "may or may not have been undone"
                )
                self._say(event, f"{_named(key)} {word}{_behind(str(data.get('why', '')))}.")
            case events.SERVER_NOTE:
                self._say(event, f"Server {event.server}: {data.get('message', '')}.")
            case events.TASK_OUTPUT if key is not None and self._output is not None:
                await self._print(event, key)
            case _:
                pass
        if self._untold and event.time - self._told_at >= TOLD_EVERY_S:
            self._count(event)

    def result(self, run: RunInfo, status: int) -> None:
        """See Printer."""
        took = duration((run.ended if run.ended is not None else time.time()) - run.created)
        word = RUN_WORDS.get(run.state, run.state.word)
        where = f"{plural(run.tasks, 'task')} on {plural(run.servers, 'server')}"
        out(clean(f"Run {run.number} of {run.batch} {word} after {took}: {where}, {_counted(run.counts)}."))

    # ------------------------------------------------------------ sentences

    def _run(self, event: Event) -> None:
        if self._untold:
            self._count(event)
        try:
            word = RUN_WORDS[RunState(str(event.data.get("to")))]
        except (ValueError, KeyError):
            return
        self._say(event, f"Run {event.run} {word}{_behind(str(event.data.get('why', '')))}.")

    def _task(self, event: Event, key: TaskKey) -> None:
        try:
            state = TaskState(str(event.data.get("to")))
        except ValueError:
            return
        if state in LOUD:
            tries = f" at attempt {event.attempt}" if event.attempt and event.attempt > 1 else ""
            why = _behind(str(event.data.get("why", "")))
            self._say(event, f"{_named(key)} {LOUD[state]}{tries}{why}.")
        ended = self._ended.setdefault(key.step, Counter())
        before = self._states.get(key)
        self._states[key] = state
        if before is not None and before.ended:  # a retry opened it again
            ended[before] -= 1
        if not state.ended:
            return
        ended[state] += 1
        self._untold.add(key.step)
        if sum(ended.values()) == self._tasks.get(key.step, 0):
            self._untold.discard(key.step)
            counts = _counted(ended)
            self._say(
                event, f"Step {key.step} has ended on {plural(sum(ended.values()), 'server')}: {counts}."
            )

    def _count(self, event: Event) -> None:
        for step in sorted(self._untold):
            ended = self._ended[step]
            total = self._tasks.get(step, 0)
            self._say(event, f"Step {step}: {sum(ended.values())} of {total} have ended, {_counted(ended)}.")
        self._untold.clear()

    def _say(self, event: Event, sentence: str) -> None:
        self._told_at = event.time
        out(clean(f"{clock(event.time)} {sentence}"))

    async def _print(self, event: Event, key: TaskKey) -> None:
        assert self._output is not None
        async for gap, chunk in self._output.new(event):
            if gap is not None:
                self._say(event, f"Of what {_named(key, begins=False)} printed a piece is not kept.")
            name = (key, chunk.purpose.value, chunk.attempt, chunk.stream)
            for line in self._lines.setdefault(name, LineSplitter()).feed(chunk.data):
                out(clean(f"{key} says: {line}"))


def _named(key: TaskKey, *, begins: bool = True) -> str:
    return f"{'Step' if begins else 'step'} {key.step} on {key.server}"


def _behind(why: str) -> str:
    return f": {why.rstrip('.')}" if why else ""


def _counted(ended: Mapping[TaskState, int]) -> str:
    return ", ".join(f"{count} {state.word}" for state, count in ended.items() if count)
