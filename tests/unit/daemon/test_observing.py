"""What Prometheus and OpenTelemetry see of a run."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from prometheus_client.parser import text_string_to_metric_families

from core.engine.api import Engine
from core.engine.executor import Ended
from core.engine.open import open_engine
from daemon.metrics import Metrics
from daemon.observing import observed
from daemon.telemetry import Telemetry, telemetry, tracer_provider
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply
from tests.unit.daemon.test_access import served

BATCH = """
strategy: {on_failure: continue}
steps:
  one: {run: work}
  two: {run: fail, needs: [{step: one, scope: server}]}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A workspace whose second step fails on every server."""
    lab = Lab(tmp_path / "lab")
    lab.memory.rule = lambda ref, work: Reply(Ended(3)) if ref.step == "two" else None
    lab.batch(BATCH)
    return lab


async def all_told(engine: Engine) -> None:
    """Returns when a follower has been told the last event."""
    last = (await engine.workspace()).last_seq
    async for event in engine.follow(0):
        if event.seq >= last:
            return


async def test_metrics_count_what_ended_and_show_how_things_stand(lab: Lab) -> None:
    engine = await open_engine(lab.path, actor=ACTOR, executor_factory=lab.memory.executor)
    try:
        metrics = Metrics("1.2.3")
        first = (await engine.workspace()).last_seq
        await lab.run(engine, "work")
        for event in await engine.events(first):
            await metrics.event(event)
        text = (await metrics.text(engine, 4)).decode()
    finally:
        await engine.close()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["windlass_tasks_ended_total", "done"] == 2
    assert found["windlass_tasks_ended_total", "failed"] == 2
    assert found["windlass_runs_ended_total", "failed"] == 1
    assert found["windlass_runs_open", "running"] == 0
    assert found["windlass_task_duration_seconds_count",] == 4
    assert found["windlass_info", "1.2.3"] == 1 and found["windlass_followers",] == 4
    assert not any("work" in str(key) or "a" in key[1:] for key in found), "no label holds a chosen name"


async def test_metrics_over_rest(lab: Lab) -> None:
    async with served(lab) as (client, _, _):
        answer = await client.get("/v1/metrics", headers={"authorization": "Bearer viewer"})
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain; version=")
        assert "windlass_last_event" in answer.text
        assert (await client.get("/v1/metrics")).status_code == 401


async def test_a_run_is_one_trace_of_its_steps_and_tasks(lab: Lab) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    engine = await open_engine(lab.path, actor=ACTOR, executor_factory=lab.memory.executor)
    try:
        seeing = Telemetry(engine, tracer_provider(SimpleSpanProcessor(exporter)), MeterProvider([reader]))
        first = (await engine.workspace()).last_seq
        info = await lab.run(engine, "work")
        for event in await engine.events(first):
            await seeing.event(event)
        told = reader.get_metrics_data()
        await seeing.close()
    finally:
        await engine.close()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert set(spans) == {
        "run work", "step one", "step two", "task one@a", "task one@b", "task two@a", "task two@b",
    }  # fmt: skip
    run = spans["run work"]
    assert {span.context.trace_id for span in spans.values()} == {int(info.run_id, 16)}
    assert parent(spans["task two@a"]) == spans["step two"].context.span_id
    assert parent(spans["step two"]) == run.context.span_id and run.parent is None
    task = spans["task two@a"]
    assert task.attributes is not None and task.attributes["windlass.state"] == "failed"
    assert task.status.status_code is StatusCode.ERROR and spans["task one@a"].status.is_unset
    assert run.status.status_code is StatusCode.ERROR
    for span in spans.values():
        assert span.start_time is not None and span.end_time is not None
        assert (run.start_time or 0) <= span.start_time <= span.end_time <= (run.end_time or 0)
    assert told is not None
    points = {
        (metric.name, point.attributes["windlass.state"])
        for resource in told.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }
    assert points == {
        (name, state) for name in ("windlass.tasks", "windlass.task.duration") for state in ("done", "failed")
    }


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


async def test_a_run_that_two_engines_carried_out_is_one_trace(lab: Lab) -> None:
    exporter = InMemorySpanExporter()
    trace_ids = set()
    for _ in range(2):
        engine = await open_engine(lab.path, actor=ACTOR, executor_factory=lab.memory.executor)
        provider = tracer_provider(SimpleSpanProcessor(exporter))
        seeing = Telemetry(engine, provider, MeterProvider())
        if not trace_ids:
            info = await lab.run(engine, "work")
        for event in (await engine.events(0, run=info.number))[:5]:
            await seeing.event(event)
        await seeing.close()
        await engine.close()
        trace_ids |= {span.context.trace_id for span in exporter.get_finished_spans()}
    assert trace_ids == {int(info.run_id, 16)}


async def test_observers_see_events_as_they_come_and_one_that_fails_stops_nothing(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails:
        async def event(self, event: object) -> None:
            raise RuntimeError("broken")

        async def close(self) -> None: ...

    engine = await open_engine(lab.path, actor=ACTOR, executor_factory=lab.memory.executor)
    try:
        metrics = Metrics("1")
        async with observed(engine, [Fails(), metrics]):
            await lab.run(engine, "work")
            await all_told(engine)
            text = (await metrics.text(engine, 0)).decode()
        assert 'windlass_runs_ended_total{state="failed"} 1.0' in text
        assert "Fails sees no more events" in caplog.text
    finally:
        await engine.close()


async def test_without_a_collector_nothing_is_traced(lab: Lab) -> None:
    async with lab.engine() as engine:
        assert telemetry(engine, {}) is None
        made = telemetry(engine, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
        assert isinstance(made, Telemetry)
        await made.close()
