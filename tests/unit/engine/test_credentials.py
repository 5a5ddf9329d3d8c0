"""A plan tells which credentials go with the session that it is made in."""

from __future__ import annotations

import dataclasses

import pytest

from core.engine.api import PlanRequest
from core.engine.credentials import going
from core.engine.planner import Planned
from core.model.views import OwnerInfo
from tests.support.lab import Lab

SECRET = "steps: {one: {run: x, env: {TOKEN: \"{{ secret('env:DEPLOY_TOKEN') }}\"}}}"


async def test_keys_of_a_sessions_agent_and_secrets_of_its_environment(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/ssh-XXXX/agent.7")
    monkeypatch.setenv("DEPLOY_TOKEN", "hush")
    async with lab.engine() as engine:
        told = (await engine.plan(PlanRequest(lab.batch(SECRET)))).credentials
    assert len(told) == 2
    assert told[0].startswith("keys of the SSH agent /tmp/ssh-XXXX/agent.7") and "files stay" in told[0]
    assert "DEPLOY_TOKEN" in told[1] and "hush" not in told[1] and "runs resume" in told[1]


async def test_nothing_is_told_where_all_of_it_stays(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/srv/agents/deploy.sock")
    async with lab.engine() as engine:
        assert (await engine.plan(PlanRequest(lab.batch("steps: {one: {run: x}}")))).credentials == ()
        # What runs beside the engine itself needs no key.
        monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/ssh-XXXX/agent.7")
        plan = await engine.plan(
            PlanRequest(lab.batch("steps: {one: {wait: {http: 'http://127.0.0.1:1/'}}}"))
        )
        assert plan.credentials == ()


async def test_the_engine_that_is_there_counts_not_the_one_that_asks(
    own_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/ssh-XXXX/agent.7")
    planned = await _planned(own_lab)
    owner = OwnerInfo(7, "ada", "desk", 0.0, background=True, agent="/srv/agents/deploy.sock")
    assert going(planned.snapshot, owner) == []
    told = going(
        planned.snapshot, dataclasses.replace(owner, agent="", stays=False, logout="it ends at logout")
    )
    assert told == ["it ends at logout"]


async def _planned(lab: Lab) -> Planned:
    async with lab.engine() as engine:
        catalogue = await engine.catalogue()  # type: ignore[attr-defined]
        found: Planned = await catalogue.plan(PlanRequest(lab.batch("steps: {one: {run: x}}")), held={})
        return found
