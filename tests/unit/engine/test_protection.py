"""Environments, production and read-only workspaces: what the engine asks for, whatever the face."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from core.engine.api import Engine, HostKey, PlanRequest, RunRequest
from core.engine.open import open_engine, open_reader
from core.errors import ConfirmationNeeded, InputError, NeedsPerson, NotPossible, ReadOnlyWorkspace
from core.model.ids import TaskKey
from core.model.states import Decision, RunState, TaskState
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply

UNDOABLE = "steps: {one: {run: work, undo: back}}"
LASTING = "steps: {one: {run: work}}"
SHOP = "name: shop\nenvironments: {dev: , prod: {protection: production}}\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    (made.path / "workspace.yaml").write_text(SHOP)
    return made


def request(batch: str, environment: str = "prod", confirm: str = "") -> RunRequest:
    return RunRequest(PlanRequest(batch, environment=environment), ACTOR, confirm=confirm)


async def test_the_environment_is_part_of_the_run(lab: Lab) -> None:
    lab.batch("steps: {one: {run: 'echo {{ run.environment }}', undo: x}}")
    async with lab.engine() as engine:
        with pytest.raises(InputError, match="several environments"):
            await engine.plan(PlanRequest("work"))
        run = await engine.wait((await engine.start(request("work", "dev"))).number)
        assert (run.environment, run.protection, run.confirm) == ("dev", "none", "")
    reader = await open_reader(lab.path)
    assert (await reader.run(1)).environment == "dev"
    assert {known.name: known.protection for known in (await reader.workspace()).environments} == {
        "dev": "none",
        "prod": "production",
    }
    await reader.close()


async def test_the_first_run_of_a_text_in_production_needs_its_name(lab: Lab) -> None:
    lab.batch(UNDOABLE)
    async with lab.engine() as engine:
        plan = await engine.plan(PlanRequest("work", environment="prod"))
        assert (plan.protection, plan.confirm) == ("production", "shop/prod")
        assert plan.confirm_why == ("this text of the batch has never run here",)
        for typed in ("", "shop", "shop/dev", "Shop/prod", "yes"):
            with pytest.raises(ConfirmationNeeded) as caught:
                await engine.start(request("work", confirm=typed))
            assert caught.value.name == "shop/prod" and caught.value.exit_status == NeedsPerson.exit_status
        assert await engine.runs() == []
        await engine.wait((await engine.start(request("work", "dev"))).number)  # says nothing of production
        await engine.wait((await engine.start(request("work", confirm="shop/prod"))).number)
        assert (await engine.plan(PlanRequest("work", environment="prod"))).confirm == ""
        await engine.wait((await engine.start(request("work"))).number)
        lab.batch(UNDOABLE + " # another text")
        assert (await engine.plan(PlanRequest("work", environment="prod"))).confirm == "shop/prod"


async def test_what_cannot_be_undone_needs_the_name_each_time(lab: Lab) -> None:
    lab.batch(LASTING)
    async with lab.engine() as engine:
        await engine.wait((await engine.start(request("work", confirm="shop/prod"))).number)
        with pytest.raises(ConfirmationNeeded, match=r"cannot be undone \(one\)"):
            await engine.start(request("work"))


async def test_a_rollback_in_production_needs_the_name_also_when_the_file_forgot_it(lab: Lab) -> None:
    lab.batch(UNDOABLE)
    async with lab.engine() as engine:
        run = await engine.wait((await engine.start(request("work", confirm="shop/prod"))).number)
        assert run.confirm == "shop/prod"
        with pytest.raises(ConfirmationNeeded, match="rollback of run 1"):
            await engine.roll_back(1, actor=ACTOR)
    (lab.path / "workspace.yaml").write_text("name: shop\n")
    async with lab.engine() as engine:
        with pytest.raises(ConfirmationNeeded):
            await engine.roll_back(1, actor=ACTOR, confirm="shop")
        await engine.roll_back(1, actor=ACTOR, confirm="shop/prod")
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK


async def test_a_read_only_workspace_can_be_paused_and_cancelled_only(lab: Lab) -> None:
    lab.batch("steps: {one: {run: work, undo: back}, two: {run: more, undo: back}}")
    async with lab.engine() as engine:
        await engine.start(request("work", "dev"))
        await engine.drain()
    (lab.path / "workspace.yaml").write_text(SHOP + "read_only: true\n")
    async with lab.engine() as engine:
        assert (await engine.workspace()).read_only
        task = TaskKey("one", "a")
        key = HostKey("a", "127.0.0.1", 22, "ssh-ed25519 AAAA", "SHA256:x")
        changes: list[Callable[[], Awaitable[object]]] = [
            lambda: engine.start(request("work", "dev")),
            lambda: engine.resume(1, actor=ACTOR),
            lambda: engine.retry(1, actor=ACTOR),
            lambda: engine.decide(1, task, Decision.DONE, actor=ACTOR, reason="x"),
            lambda: engine.roll_back(1, actor=ACTOR),
            lambda: engine.start_servers(),
            lambda: engine.stop_servers(),
            lambda: engine.trust(key, actor=ACTOR),
        ]
        for change in changes:
            with pytest.raises(ReadOnlyWorkspace, match="read-only") as caught:
                await change()
            assert isinstance(caught.value, NotPossible) and "read_only: true" in caught.value.hint
        await engine.plan(PlanRequest("work", environment="dev"))
        if (await engine.run(1)).state.open:
            assert (await engine.cancel(1, actor=ACTOR)).state is RunState.CANCELLED


async def test_a_faulty_workspace_shows_and_ends_its_runs_and_plans_nothing(lab: Lab) -> None:
    lab.batch(UNDOABLE)
    never = asyncio.Event()
    lab.memory.rule = lambda _ref, _work: Reply(until=never)
    async with lab.engine() as engine:
        await engine.start(request("work", "dev"))
        await engine.close()  # in flight: in doubt
    (lab.path / "workspace.yaml").write_text("name: shop\nread_onyl: true\n")

    async def look(engine: Engine) -> None:
        info = await engine.workspace()
        assert [fault.line for fault in info.faults] == [2]
        assert any("is faulty" in notice for notice in info.notices)
        assert len(await engine.runs()) == 1
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work"))
        assert caught.value.faults

    reader = await open_reader(lab.path)
    await look(reader)
    await reader.close()
    opened = await open_engine(lab.path, actor=ACTOR, executor_factory=lab.memory.executor)
    try:
        await look(opened)
        with pytest.raises(InputError):
            await opened.start(request("work", "dev"))
        for task in await opened.tasks(1):
            if task.state is TaskState.IN_DOUBT:
                await opened.decide(1, task.key, Decision.DONE, actor=ACTOR, reason="looked")
        await opened.cancel(1, actor=ACTOR)
        assert (await opened.wait(1)).state is RunState.CANCELLED
    finally:
        await opened.close()


async def test_templates_read_the_variables_that_are_allowed_and_no_other(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab.path / "workspace.yaml").write_text("name: shop\nallow_env: [BUILD_ID, NOT_SET]\n")
    monkeypatch.setenv("BUILD_ID", "77")
    monkeypatch.setenv("OTHER", "hidden")
    lab.batch("steps: {one: {run: 'deploy {{ env.BUILD_ID }}'}}")
    handed: list[str] = []
    lab.memory.rule = lambda _ref, work: handed.append(getattr(work, "text", "")) or None
    async with lab.engine() as engine:
        await lab.run(engine, "work")
        assert set(handed) == {"deploy 77"}
        for name, told in (
            ("OTHER", "the workspace does not allow this variable to be read"),
            ("NOT_SET", "this variable is not set"),
        ):
            lab.batch(f"steps: {{one: {{run: 'deploy {{{{ env.{name} }}}}'}}}}")
            with pytest.raises(InputError) as caught:
                await engine.plan(PlanRequest("work"))
            assert f"env.{name}: {told}" in caught.value.faults[0].message
