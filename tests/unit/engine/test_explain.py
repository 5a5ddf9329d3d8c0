"""Why a task stands where it stands, in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import Ended
from core.engine.explain import explain
from core.model.ids import TaskKey
from core.model.states import TaskState
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply

BATCH = "steps: {one: {on: name:a, run: work, undo: back}}"


async def test_an_interrupted_task_is_not_said_to_be_running(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(until=asyncio.Event())
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(lab.batch(BATCH)), ACTOR))
        await until(engine, 1, "one@a", TaskState.RUNNING)
        found, info = await engine.task(1, TaskKey("one", "a")), await engine.run(1)
        told = explain(replace(info, interrupted=True), None, found, {}, {}, [], 0)  # type: ignore[arg-type]
        assert told.sentences == (
            "attempt 1 of 1 was under way when its engine ended: a resume asks a what became of it",
        )


CHAIN = """
strategy: {on_failure: continue}
steps:
  one: {run: first}
  two: {run: second, needs: [{step: one, scope: server}]}
  three: {run: third, needs: [{step: two, scope: server}]}
  four: {run: fourth, needs: [three]}
"""


async def test_what_is_blocked_is_traced_to_the_failure(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: (
        Reply(answer=Ended(7)) if (ref.step, ref.server) == ("one", "a") else None
    )
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(CHAIN))
        told = (await engine.explain(1, TaskKey("three", "a"))).sentences
        assert told[0].startswith("three is blocked on a: ")
        assert told[1].startswith("two on a is blocked: ")
        assert told[2].startswith("one on a has failed: exit 7") and len(told) == 3


async def test_what_waits_is_traced_to_what_runs(lab: Lab) -> None:
    gate = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=gate) if ref.step == "one" else None
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(lab.batch(CHAIN)), ACTOR))
        await until(engine, 1, "one@a", TaskState.RUNNING)
        await until(engine, 1, "one@b", TaskState.RUNNING)
        assert (await engine.explain(1, TaskKey("four", "a"))).sentences == (
            "four waits for three on all servers: 2 of 2 have not ended",
            "three has not started",
            "two on a has not started",
            "one on a runs: attempt 1 of 1",
        )
        assert (await engine.explain(1, TaskKey("two", "b"))).sentences == (
            "two waits for one on the same server, which is running",
            "one on b runs: attempt 1 of 1",
        )
        gate.set()
        await engine.wait(1)
