"""Every decision stands in the audit log before it begins, with who took it; what was refused is told too."""

from __future__ import annotations

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import InDoubt
from core.errors import NotPossible, StoreError
from core.model.ids import TaskKey
from core.model.states import Asked, Decision, RunState
from core.store.audit import AuditLog, Entry
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply

BATCH = "params: {x: {type: string, default: y}}\nsteps: {one: {on: name:a, run: work, undo: back}}"


def told(lab: Lab) -> list[tuple[str, object]]:
    return [(entry.action, entry.details.get("run")) for entry in entries(lab)]


def entries(lab: Lab) -> list[Entry]:
    log = AuditLog(lab.path / ".windlass")
    log.verify()
    return list(log.entries())


async def test_a_run_from_its_start_to_its_rollback(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost")) if ref.attempt == 1 else Reply()
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(BATCH), x="z")
        await engine.decide(1, TaskKey("one", "a"), Decision.RETRY, actor=ACTOR, reason="looked")
        assert (await engine.wait(1)).state is RunState.DONE
        with pytest.raises(NotPossible):
            await engine.resume(1, actor=ACTOR)
        await engine.roll_back(1, actor=ACTOR, reason="not wanted")
        await engine.wait(1)
    assert told(lab) == [
        ("run.start", None),
        ("run.started", 1),
        ("task.decide", 1),
        ("run.resume", 1),
        ("run.resume.refused", 1),
        ("run.roll_back", 1),
    ]
    found = entries(lab)
    assert all(entry.actor == ACTOR for entry in found)
    assert found[0].details["params"] == {"x": "z"}
    assert found[2].details == {"run": 1, "task": "one@a", "decision": "retry", "reason": "looked"}
    assert "cannot be resumed" in found[4].details["why"]


async def test_of_a_setting_only_the_path_is_told(lab: Lab) -> None:
    (lab.path / "config").mkdir()
    (lab.path / "config" / "base.yaml").write_text("db: {password: x}\n")
    request = PlanRequest(lab.batch(BATCH), settings=("db.password=hunter22-typed",))
    async with lab.engine() as engine:
        await engine.start(RunRequest(request, ACTOR))
        await engine.wait(1)
    assert entries(lab)[0].details["settings"] == ["db.password"]
    assert "hunter22-typed" not in (lab.path / ".windlass" / "audit.jsonl").read_text()


async def test_without_the_log_nothing_is_changed_but_what_makes_it_safer(own_lab: Lab) -> None:
    own_lab.memory.rule = lambda ref, work: Reply(InDoubt("lost"))
    async with own_lab.engine() as engine:
        await own_lab.run(engine, own_lab.batch(BATCH))
        log = own_lab.path / ".windlass" / "audit.jsonl"
        log.unlink()
        log.mkdir()
        before = len(await engine.events(0))
        with pytest.raises(StoreError, match="audit"):
            await engine.decide(1, TaskKey("one", "a"), Decision.DONE, actor=ACTOR, reason="looked")
        with pytest.raises(StoreError, match="audit"):
            await engine.start(RunRequest(PlanRequest("work"), ACTOR, alongside=True))
        assert len(await engine.events(0)) == before
        await engine.cancel(1, actor=ACTOR)
        assert (await engine.run(1)).asked is Asked.CANCEL
