"""What Prometheus asks for: how things stand, read when it asks, and what ended since the engine began, counted.

No label holds a name that a batch, a server or a person chose: the number of series is bounded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from core.engine.api import Engine
from core.errors import InputError
from core.model import events
from core.model.events import Event
from core.model.states import OPEN_RUNS, RunState, TaskState
from core.model.views import OutletInfo, RunInfo

MEDIA_TYPE = CONTENT_TYPE_LATEST
BUCKETS_S = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)
OPEN_AT_MOST = 1000


class Metrics:
    """Counts events, and tells how an engine stands."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        self._running: dict[tuple[int | None, str | None, str | None], float] = {}
        ours = self.registry
        Gauge("windlass_info", "The version that answers.", ["version"], registry=ours).labels(version).set(1)
        self._events = Counter("windlass_events", "Events since the engine began.", ["type"], registry=ours)
        self._tasks = Counter("windlass_tasks_ended", "Tasks by how they ended.", ["state"], registry=ours)
        self._took = Histogram(
            "windlass_task_duration_seconds",
            "From a task's start to its end.",
            buckets=BUCKETS_S,
            registry=ours,
        )
        self._ended = Counter("windlass_runs_ended", "Runs by how they ended.", ["state"], registry=ours)
        self._runs = Gauge(
            "windlass_runs_open", "Runs that are not over, by state.", ["state"], registry=ours
        )
        self._open = Gauge("windlass_tasks_open", "Tasks of those runs, by state.", ["state"], registry=ours)
        self._last = Gauge("windlass_last_event", "The number of the last event.", registry=ours)
        self._clients = Gauge("windlass_followers", "How many follow events now.", registry=ours)
        self._owed = Gauge(
            "windlass_outlet_events_owed", "Events still to be told.", ["outlet"], registry=ours
        )
        self._aside = Gauge(
            "windlass_outlet_events_put_aside", "Events put aside.", ["outlet"], registry=ours
        )
        self._failing = Gauge(
            "windlass_outlet_failing", "1 where an outlet fails now.", ["outlet"], registry=ours
        )

    async def event(self, event: Event) -> None:
        """See Observer.event."""
        self._events.labels(event.type).inc()
        to = str(event.data.get("to", ""))
        if event.type == events.RUN_STATE and to and not RunState(to).open:
            self._ended.labels(to).inc()
        elif event.type == events.TASK_STATE and to:
            self._task(event, TaskState(to))

    def _task(self, event: Event, to: TaskState) -> None:
        key = (event.run, event.step, event.server)
        if to is TaskState.RUNNING:
            self._running.setdefault(key, event.time)
            return
        began = self._running.pop(key, None)
        if to.ended:
            self._tasks.labels(to.value).inc()
            if began is not None:
                self._took.observe(max(0.0, event.time - began))

    async def close(self) -> None:
        """See Observer.close."""

    async def text(self, engine: Engine, clients: int) -> bytes:
        """All of it, in Prometheus's text format."""
        info = await engine.workspace()
        self._last.set(info.last_seq)
        self._clients.set(clients)
        self._stand(await engine.runs(states=sorted(OPEN_RUNS), limit=OPEN_AT_MOST))
        with contextlib.suppress(InputError):  # faulty settings: `windlass config validate` tells them
            self._tell_outlets(await engine.outlets())
        return generate_latest(self.registry)

    def _stand(self, runs: Sequence[RunInfo]) -> None:
        states = dict.fromkeys(OPEN_RUNS, 0)
        tasks: dict[TaskState, int] = dict.fromkeys(TaskState, 0)
        for run in runs:
            states[run.state] += 1
            for state, count in run.counts.items():
                tasks[state] += count
        _set(self._runs, {state.value: count for state, count in states.items()})
        _set(self._open, {state.value: count for state, count in tasks.items()})

    def _tell_outlets(self, outlets: Sequence[OutletInfo]) -> None:
        for gauge in (self._owed, self._aside, self._failing):
            gauge.clear()
        _set(self._owed, {info.name: info.owed for info in outlets})
        _set(self._aside, {info.name: info.dead for info in outlets})
        _set(self._failing, {info.name: int(bool(info.fault) or info.tries > 0) for info in outlets})


def _set(gauge: Gauge, values: Mapping[str, int]) -> None:
    for label, value in values.items():
        gauge.labels(label).set(value)
