"""Large graphs through the whole engine: nothing recurses, nothing grows with tasks × tasks."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.api import PlanRequest
from core.model.states import RunState, TaskState
from tests.support.lab import Lab


@pytest.mark.long
async def test_a_chain_of_ten_thousand_steps_runs_to_its_end(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab", ["a"])
    lab.batch("steps:\n" + "".join(f"  s{number}: {{run: x}}\n" for number in range(10_000)))
    async with lab.engine() as engine:
        run = await lab.run(engine, "work")
        assert run.state is RunState.DONE
        assert run.counts == {TaskState.DONE: 10_000}
    assert [effect.partition("@")[0] for effect in lab.memory.effects] == [
        f"s{number}" for number in range(10_000)
    ]


@pytest.mark.long
async def test_a_thousand_servers_times_twenty_steps(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab", [f"web-{number}" for number in range(1_000)])
    steps = "".join(
        f"  s{number}: {{run: 'x {{{{ server.name }}}}', needs: [{need}]}}\n"
        for number, need in enumerate(
            "" if number == 0 else f"{{step: s{number - 1}, scope: {'server' if number % 2 else 'all'}}}"
            for number in range(20)
        )
    )
    lab.batch(f"strategy: {{parallel: 100}}\nsteps:\n{steps}")
    async with lab.engine() as engine:
        plan = await engine.plan(PlanRequest("work"))
        assert (plan.tasks, len(plan.servers)) == (20_000, 1_000)
        run = await lab.run(engine, "work")
        assert run.state is RunState.DONE
        assert run.counts == {TaskState.DONE: 20_000}
    assert lab.memory.most_at_once == 100
    done: set[str] = set()
    for effect in lab.memory.effects:
        step, _, rest = effect.partition("@")
        number, server = int(step[1:]), rest.split()[0]
        if number % 2:
            assert f"s{number - 1}@{server}" in done
        elif number:
            assert len(done) >= 1_000 * number
        done.add(f"{step}@{server}")
