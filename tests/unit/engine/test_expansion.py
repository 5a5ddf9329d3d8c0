"""What each task of a plan would be handed, as a face is told before anything runs."""

from __future__ import annotations

import pytest

from core.engine.api import PlanRequest
from core.errors import InputError, NotFound, NotPossible
from core.model.views import PlannedField
from tests.support.lab import Lab

TEXT = """
    params:
      word: {type: string, default: hello}
    env: {WHO: "{{ server.name }}", TOKEN: "{{ secret('env:TOKEN') }}"}
    steps:
      greet: {run: "echo {{ params.word }} from {{ server.name }}", when: "server.name == 'a'", register: said}
      tell: {run: "echo {{ registered.said.stdout }}"}
      long: {run: "echo {{ run.number }} LONG"}
""".replace("LONG", "x" * 3000)


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
        assert later.server == "b"
        assert later.fields[0] == PlannedField(
            "run", "echo {{ registered.said.stdout }}", "it depends on what earlier tasks print"
        )
        assert len(await engine.plan_tasks(request, "greet", limit=1)) == 1
        long = (await engine.plan_tasks(request, "long"))[0].fields[0]
        assert long.text.endswith("… and 1007 more characters") and "once it has started" in long.why
        assert not lab.memory.effects and not await engine.runs()


async def test_a_plan_that_has_changed_is_refused(lab: Lab) -> None:
    async with lab.engine() as engine:
        request = PlanRequest(lab.batch("steps: {one: {run: x}}"))
        digest = (await engine.plan(request)).digest
        assert len(await engine.plan_tasks(request, "one", digest=digest)) == 2
        lab.batch("steps: {one: {run: y}}")
        with pytest.raises(NotPossible, match="another one by now"):
            await engine.plan_tasks(request, "one", digest=digest)


async def test_what_cannot_be_planned_is_told_with_its_faults(lab: Lab) -> None:
    async with lab.engine() as engine:
        with pytest.raises(NotFound, match="no step 'nothing'"):
            await engine.plan_tasks(PlanRequest(lab.batch(TEXT)), "nothing")
        with pytest.raises(InputError) as raised:
            await engine.plan_tasks(PlanRequest(lab.batch("steps: {a: {runs: x}}", "wrong")), "a")
        assert raised.value.faults
