"""What the steps of a run wait for, as a face is told."""

from __future__ import annotations

import pytest

from core.errors import NotFound
from core.model.states import RunState
from core.model.timeline import Kind, Trace, timeline
from core.model.views import StepNeed
from tests.support.lab import Lab

TEXT = """
    strategy: {parallel: 1}
    steps:
      one: {run: x}
      two: {run: y}
      three: {run: z, needs: [{step: one, scope: server, kind: soft}]}
"""


async def test_implied_needs_are_told_as_well(lab: Lab) -> None:
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(TEXT))
        assert list(await engine.step_needs(run.number)) == [
            StepNeed("two", "one", everywhere=True, hard=True),
            StepNeed("three", "one", everywhere=False, hard=False),
        ]
        with pytest.raises(NotFound):
            await engine.step_needs(99)


async def test_a_real_run_has_a_timeline(lab: Lab) -> None:
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(TEXT))
        assert run.state is RunState.DONE and run.ended is not None
        trace = Trace()
        for event in await engine.events(0, run=1, limit=1000):
            trace.note(event)
        line = timeline(
            run, await engine.steps(1), await engine.tasks(1), await engine.step_needs(1), trace, run.ended
        )
        assert len(line.bars) == 6 and all(bar.took_s > 0 for bar in line.bars)
        assert line.path[-1].key.step == "one" and line.path[0].end == max(link.end for link in line.path)
        # One at a time: of two that may start together one is queued until the other has ended.
        first, second = line.of_step("one")
        assert second.segments[0].kind is Kind.QUEUED and second.waited_s >= first.took_s
