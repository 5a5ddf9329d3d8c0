"""What each task of a plan would be handed, as a face is told before anything runs."""

from __future__ import annotations

import pytest

from core.engine.api import PlanRequest
from core.errors import InputError, NotFound
from core.model.views import PlannedField
from tests.support.lab import Lab

TEXT = """
    params:
      word: {type: string, default: hello}
    env: {WHO: "{{ server.name }}", TOKEN: "{{ secret('env:TOKEN') }}"}
    steps:
      greet: {run: "echo {{ params.word }} from {{ server.name }}", when: "server.name == 'a'", register: said}
      tell: {run: "echo {{ registered.said.stdout }}"}
"""


def told(fields: tuple[PlannedField, ...]) -> dict[str, str]:
    return {field.field: field.text or field.why for field in fields}


async def test_each_task_is_told_with_what_it_would_be_handed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "very-secret-value")
    async with lab.engine() as engine:
        request = PlanRequest(lab.batch(TEXT), {"word": "hi"})
        first, second = await engine.plan_tasks(request, "greet")
        assert (first.server, second.server) == ("a", "b")
        assert told(first.fields)["run"] == "echo hi from a" and told(second.fields)["env WHO"] == "b"
        assert told(first.fields)["when"] == "holds" and told(second.fields)["when"] == "does not hold"
        assert "very-secret-value" not in str(first) and "env:TOKEN" in told(first.fields)["env TOKEN"]
        (later,) = await engine.plan_tasks(request, "tell", after=1)
        assert later.server == "b" and told(later.fields)["run"] == "it depends on what earlier tasks print"
        assert len(await engine.plan_tasks(request, "greet", limit=1)) == 1
        assert not lab.memory.effects and not await engine.runs()


async def test_what_cannot_be_planned_is_told_with_its_faults(lab: Lab) -> None:
    async with lab.engine() as engine:
        with pytest.raises(NotFound, match="no step 'nothing'"):
            await engine.plan_tasks(PlanRequest(lab.batch(TEXT)), "nothing")
        with pytest.raises(InputError) as raised:
            await engine.plan_tasks(PlanRequest(lab.batch("steps: {a: {runs: x}}", "wrong")), "a")
        assert raised.value.faults
