"""Why a task stands where it stands, in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from core.engine.api import PlanRequest, RunRequest
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
