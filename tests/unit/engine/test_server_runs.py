"""What an engine tells of a server over all runs."""

from __future__ import annotations

from core.engine.executor import Ended
from core.model.ids import TaskKey
from core.model.states import RunState, TaskState
from tests.support.lab import Lab
from tests.support.memory import Reply

BOTH = """
    strategy: {on_failure: continue}
    steps:
      one: {run: x}
      two: {run: y}
      three: {run: z}
"""
ONE = """
    steps:
      only: {on: "name:a", run: x}
"""


async def test_the_newest_come_first_with_the_task_that_tells_most(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(1)) if (ref.step, ref.server) == ("two", "a") else None
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(BOTH))
        await lab.run(engine, lab.batch(ONE, name="single"))
        newest, first = await engine.server_runs("a")
        assert (newest.run, newest.batch, newest.state) == (2, "single", RunState.DONE)
        assert newest.task == TaskKey("only", "a") and newest.counts == {TaskState.DONE: 1}
        assert (first.run, first.state) == (1, RunState.FAILED)
        assert first.task == TaskKey("two", "a") and first.task_state is TaskState.FAILED
        assert sum(first.counts.values()) == 3 and not first.interrupted
        assert [each.run for each in await engine.server_runs("b")] == [1]
        assert [each.run for each in await engine.server_runs("a", limit=1)] == [2]
        assert list(await engine.server_runs("nobody")) == []
