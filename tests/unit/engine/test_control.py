"""The control of a run: who has it, what others may still do, and what persons did, by name."""

from __future__ import annotations

import asyncio

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.interrupted import ACTOR as AUTOMATIC
from core.errors import NotFound, NotPossible
from core.model.acts import act
from core.model.states import Decision, RunState, TaskState
from core.store.audit import AuditLog
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply

ADA = "ada@desk (pts/1; pid 41)"
ADA_AGAIN = "ada@desk (pts/1; pid 42; says ssh from 10.0.0.5)"
ELSEWHERE = "ada@desk (pts/2; pid 43)"
TOKEN = "token ci"
SLOW = "steps: {one: {run: first}, two: {run: second}}"


async def test_the_control_is_taken_and_given_back(lab: Lab) -> None:
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: first}}"))
        assert run.controller == ""
        taken = await engine.control(run.number, actor=ACTOR)
        assert taken.controller and (await engine.run(run.number)).controller == taken.controller
        again = await engine.control(run.number, actor=ACTOR)
        assert again.controller == taken.controller
        assert (await engine.control(run.number, actor=ACTOR, take=False)).controller == ""
        told = [act(event) for event in await engine.acts(run.number)]
        assert told == ["gave its control back", "took its control", "started it"]
        assert len(await engine.acts(run.number, limit=1)) == 1
        with pytest.raises(NotFound):
            await engine.control(99, actor=ACTOR)
        with pytest.raises(NotFound):
            await engine.acts(99)


async def test_others_may_only_pause(own_lab: Lab) -> None:
    lab = own_lab
    async with lab.engine() as engine:
        gate, later = asyncio.Event(), asyncio.Event()
        lab.memory.rule = lambda ref, work: Reply(until=gate if ref.step == "one" else later)
        run = await engine.start(RunRequest(PlanRequest(lab.batch(SLOW)), ADA))
        await until(engine, run.number, "one@a", TaskState.RUNNING)
        await engine.control(run.number, actor=ADA)
        key = (await engine.tasks(run.number))[0].key
        for who in (ELSEWHERE, TOKEN):
            for asked in (
                engine.resume(run.number, actor=who),
                engine.cancel(run.number, actor=who),
                engine.retry(run.number, actor=who),
                engine.roll_back(run.number, actor=who),
                engine.decide(run.number, key, Decision.DONE, actor=who, reason="so"),
                engine.give_credentials(run.number, {"TOKEN": "x"}, actor=who),
                engine.control(run.number, actor=who, take=False),
            ):
                with pytest.raises(
                    NotPossible, match=r"ada@desk \(pts/1\) has the control of run 1"
                ) as refused:
                    await asked
                assert "windlass runs control 1" in refused.value.hint
        await engine.pause(run.number, actor=TOKEN)
        gate.set()
        assert (await engine.wait(run.number)).state is RunState.PAUSED
        # Another command of the same terminal is the same person; so is what the engine does by itself.
        await engine.resume(run.number, actor=ADA_AGAIN)
        await engine.pause(run.number, actor=ADA)
        await engine.resume(run.number, actor=AUTOMATIC)
        later.set()
        assert (await engine.wait(run.number)).state is RunState.DONE


async def test_whoever_takes_it_over_is_recorded_with_both_names(own_lab: Lab) -> None:
    lab = own_lab
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: first}}"))
        await engine.control(run.number, actor=ADA)
        await engine.control(run.number, actor=TOKEN)
        with pytest.raises(NotPossible, match="token ci has the control"):
            await engine.roll_back(run.number, actor=ADA)
        newest = (await engine.acts(run.number))[0]
        assert newest.actor == TOKEN and act(newest) == "took its control from ada@desk (pts/1)"
        assert newest.data["before"] == ADA
    entries = [entry for entry in AuditLog(lab.path / ".windlass").entries() if entry.action == "run.control"]
    assert [entry.actor for entry in entries] == [ADA, TOKEN]


async def test_the_control_outlives_the_engine(own_lab: Lab) -> None:
    lab = own_lab
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch("steps: {one: {run: first}}"))
        await engine.control(run.number, actor=ADA)
    async with lab.engine() as engine:
        assert (await engine.run(run.number)).controller == ADA
        with pytest.raises(NotPossible):
            await engine.roll_back(run.number, actor=TOKEN)


async def test_in_a_read_only_workspace_it_is_taken_to_cancel(own_lab: Lab) -> None:
    lab = own_lab
    async with lab.engine() as engine:
        gate = asyncio.Event()
        lab.memory.rule = lambda ref, work: Reply(until=gate)
        run = await engine.start(RunRequest(PlanRequest(lab.batch(SLOW)), ADA))
        await engine.control(run.number, actor=ADA)
        (lab.path / "workspace.yaml").write_text("name: lab\nformat: 1\nread_only: true\n")
        with pytest.raises(NotPossible, match="has the control"):
            await engine.cancel(run.number, actor=TOKEN)
        await engine.control(run.number, actor=TOKEN)
        await engine.cancel(run.number, actor=TOKEN)
        assert (await engine.wait(run.number)).state is RunState.CANCELLED


async def test_the_audit_log_has_both_names_of_who_took_it_over(own_lab: Lab) -> None:
    async with own_lab.engine() as engine:
        run = await own_lab.run(engine, own_lab.batch("steps: {one: {run: first}}"))
        await engine.control(run.number, actor=ADA)
        await engine.control(run.number, actor=TOKEN)
    entries = [
        entry for entry in AuditLog(own_lab.path / ".windlass").entries() if entry.action == "run.control"
    ]
    assert [(entry.actor, entry.details.get("before")) for entry in entries] == [(ADA, None), (TOKEN, ADA)]
