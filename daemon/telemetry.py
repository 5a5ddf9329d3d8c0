"""Runs as OpenTelemetry sees them: a trace for each run, with spans for its steps and tasks, and metrics.

An optional extra (`pip install windlass[otel]`), used where the engine's environment names a collector
(OTEL_EXPORTER_OTLP_ENDPOINT, as the SDK documents it). The trace's id is the run's own id, so that a run that several
engines carried out is one trace. Spans are made from the event log: they cost a run nothing, and hold what events hold.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.engine.api import Engine
from core.model import events
from core.model.events import Event
from core.model.states import RunState, TaskState
from daemon.log import LOGGER

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Span, Tracer

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
GOOD = frozenset({TaskState.DONE, TaskState.IN_PLACE, TaskState.SKIPPED})
_TRACE: ContextVar[int] = ContextVar("trace")


@dataclass(slots=True)
class _Traced:
    """A run whose spans are open. `left` counts the tasks of each step that have not ended."""

    span: Span
    left: dict[str, int]
    steps: dict[str, Span] = field(default_factory=dict)
    tasks: dict[tuple[str, str], Span] = field(default_factory=dict)


class Telemetry:
    """Makes spans and metrics of events."""

    def __init__(self, engine: Engine, tracing: TracerProvider, metering: MeterProvider) -> None:
        self._engine = engine
        self._tracing = tracing
        self._metering = metering
        self._tracer: Tracer = tracing.get_tracer("windlass")
        meter = metering.get_meter("windlass")
        self._ended = meter.create_counter("windlass.tasks", "{task}", "Tasks by how they ended.")
        self._took = meter.create_histogram("windlass.task.duration", "s", "From a task's start to its end.")
        self._runs: dict[int, _Traced] = {}

    async def event(self, event: Event) -> None:
        """See Observer.event."""
        if event.run is None or event.type not in (events.RUN_CREATED, events.RUN_STATE, events.TASK_STATE):
            return
        traced = self._runs.get(event.run) or await self._begin(event)
        if event.type == events.TASK_STATE and event.step is not None and event.server is not None:
            self._task(traced, event, TaskState(event.data["to"]))
        elif event.type == events.RUN_STATE:
            to = RunState(event.data["to"])
            traced.span.add_event(to.value, {"why": str(event.data.get("why", ""))}, _ns(event.time))
            if not to.open:
                self._end(event.run, traced, event.time, to)

    async def _begin(self, event: Event) -> _Traced:
        assert event.run is not None
        info = await self._engine.run(event.run)
        token = _TRACE.set(int(info.run_id, 16))
        try:
            span = self._tracer.start_span(
                f"run {info.batch}",
                start_time=_ns(event.time),
                attributes={
                    "windlass.run": info.number,
                    "windlass.batch": info.batch,
                    "windlass.actor": info.actor,
                    "windlass.environment": info.environment,
                },
            )
        finally:
            _TRACE.reset(token)
        left = {
            step.name: step.tasks - sum(count for state, count in step.counts.items() if state.ended)
            for step in await self._engine.steps(event.run)
        }
        if event.type == events.TASK_STATE and TaskState(event.data["to"]).ended:
            left[str(event.step)] += 1  # the counts above have it already
        return self._runs.setdefault(event.run, _Traced(span, left))

    def _task(self, traced: _Traced, event: Event, to: TaskState) -> None:
        from opentelemetry.trace import Status, StatusCode, set_span_in_context

        step, server = str(event.step), str(event.server)
        if step not in traced.steps:
            traced.steps[step] = self._tracer.start_span(
                f"step {step}",
                set_span_in_context(traced.span),
                start_time=_ns(event.time),
                attributes={"windlass.step": step},
            )
        if (step, server) not in traced.tasks and to is not TaskState.WAITING:
            traced.tasks[step, server] = self._tracer.start_span(
                f"task {step}@{server}",
                set_span_in_context(traced.steps[step]),
                start_time=_ns(event.time),
                attributes={"windlass.step": step, "windlass.server": server},
            )
        if not to.ended:
            return
        span = traced.tasks.pop((step, server))
        span.set_attribute("windlass.state", to.value)
        if isinstance(exit_status := event.data.get("exit"), int):
            span.set_attribute("windlass.exit_status", exit_status)
        if to not in GOOD:
            span.set_status(Status(StatusCode.ERROR, str(event.data.get("why", ""))))
        span.end(_ns(event.time))
        told = {"windlass.state": to.value}
        self._ended.add(1, told)
        began = getattr(span, "start_time", None)
        if began is not None:
            self._took.record(max(0.0, event.time - began / 1e9), told)
        traced.left[step] = traced.left.get(step, 1) - 1
        if traced.left[step] == 0:
            traced.steps.pop(step).end(_ns(event.time))

    def _end(self, number: int, traced: _Traced, at: float, state: RunState) -> None:
        from opentelemetry.trace import Status, StatusCode

        for span in (*traced.tasks.values(), *traced.steps.values()):
            span.end(_ns(at))
        traced.span.set_attribute("windlass.state", state.value)
        if state is not RunState.DONE:
            traced.span.set_status(Status(StatusCode.ERROR, state.word))
        traced.span.end(_ns(at))
        del self._runs[number]

    async def close(self) -> None:
        """See Observer.close: what is open ends here, and goes on in the next engine's part of the trace."""
        for traced in self._runs.values():
            for span in (*traced.tasks.values(), *traced.steps.values(), traced.span):
                span.end()
        await asyncio.to_thread(self._tracing.shutdown)
        await asyncio.to_thread(self._metering.shutdown)


def tracer_provider(processor: SpanProcessor) -> TracerProvider:
    """A provider whose traces have the ids of runs."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class RunIds(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return _TRACE.get(0) or super().generate_trace_id()

    provider = TracerProvider(resource=Resource.create({"service.name": "windlass"}), id_generator=RunIds())
    provider.add_span_processor(processor)
    return provider


def telemetry(engine: Engine, environ: Mapping[str, str] = os.environ) -> Telemetry | None:
    """What the environment asks for: None where it names no collector, or where the extra is not there (told in the
    engine's log).
    """
    if not any(environ.get(name) for name in ENDPOINTS):
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        LOGGER.warning(
            "%s is set, and the extra for it is not installed: pip install 'windlass[otel]'", ENDPOINTS[0]
        )
        return None
    return Telemetry(
        engine,
        tracer_provider(BatchSpanProcessor(OTLPSpanExporter())),
        MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]),
    )


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
