"""FAILURES row 53, and secrets of the environment: what a run was given by whoever started it, and loses with a session."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine.lease import read_owner
from tests.support.program import WAIT_S, Program, json_lines
from tests.support.ssh_agent import Agent
from tests.support.sshd import Sshd, lock_key
from tests.support.static_lab import on_sshd

TWO_STEPS = "steps: {one: {run: 'echo x >> one'}, two: {run: 'echo x >> two'}}"


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An OpenSSH server of this test alone."""
    with Sshd.start(tmp_path / "server", {}) as made:
        yield made


def end_engine(program: Program) -> None:
    owner = read_owner(program.path / ".windlass")
    if owner is not None:
        os.kill(owner.pid, signal.SIGKILL)
        until = time.monotonic() + WAIT_S
        while read_owner(program.path / ".windlass") is not None:
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("no agent for a locked key", marks=pytest.mark.long),
        "an agent that is gone",
        pytest.param("an empty agent", marks=pytest.mark.long),
    ],
)
def test_f53_credentials_gone_pauses_and_is_not_unreachable(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    program = on_sshd(tmp_path / "lab", {"a": sshd})
    program.batch(TWO_STEPS)
    with Agent.start() as agent, Agent.start() as other:
        agent.add(sshd.user_key)
        lock_key(sshd.user_key)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(other.socket))
        if how == "no agent for a locked key":
            monkeypatch.delenv("SSH_AUTH_SOCK")
        elif how == "an agent that is gone":
            other.stop()
        paused = program.call("run", "work", status=4)
        assert "credentials gone" in paused.stderr and "unreachable" not in paused.stderr
        assert program.states() == {"one@a": "waiting", "two@a": "waiting"}
        (run,) = json_lines(program.call("runs", "list", "--json").stdout)
        assert run["state"] == "paused" and run["why"].startswith("credentials gone: a (127.0.0.1")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        assert program.call("runs", "resume").returncode == 0
    assert program.states() == {"one@a": "done", "two@a": "done"}


@pytest.mark.long
def test_f53_a_background_engine_is_given_another_agent(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = on_sshd(tmp_path / "lab", {"a": sshd})
    program.batch(TWO_STEPS)
    with Agent.start() as agent, Agent.start() as gone:
        agent.add(sshd.user_key)
        lock_key(sshd.user_key)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(gone.socket))
        program.call("engine", "start")
        try:
            gone.stop()
            assert "does not answer" in program.call("engine", "status").stdout
            assert program.call("run", "work", status=4).returncode == 4
            monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
            assert "without a terminal" in program.call("engine", "agent", status=4).stderr
            program.call("engine", "agent", "--yes")
            assert str(agent.socket) in program.call("engine", "status").stdout
            assert program.call("runs", "resume").returncode == 0
            logged = json_lines(program.call("audit", "list", "--action", "engine.agent", "--json").stdout)
            assert len(logged) == 1
        finally:
            end_engine(program)


# ---------------------------------------------------------------- secrets of the environment

SECRET = "steps: {one: {run: 'sleep 4; echo got-$TOKEN >> one', env: {TOKEN: \"{{ secret('env:DEPLOY_TOKEN') }}\"}}}"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A workspace with one server and a batch that wants a variable of whoever starts it; an engine that has none."""
    made = Program(tmp_path / "lab", servers=("a",))
    made.batch(SECRET)
    made.call("servers", "start")
    try:
        made.call("engine", "start")
        yield made
    finally:
        end_engine(made)
        made.call("servers", "stop")


def kept_nowhere(program: Program, value: str) -> None:
    """Looks into every file of the workspace but the server's own."""
    for file in (program.path / ".windlass").rglob("*"):
        if file.is_file() and "servers" not in file.parts:
            assert value.encode() not in file.read_bytes(), file


def test_secrets_of_the_environment_are_those_of_whoever_asks(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = program.call("run", "work", status=2)
    assert "variables that are not set here: DEPLOY_TOKEN" in missing.stderr
    assert program.call("runs", "list").stdout == ""
    for number, value in enumerate(("alpha-secret-1", "beta-secret-2"), start=1):
        monkeypatch.setenv("DEPLOY_TOKEN", value)
        program.call("run", "work")
        assert program.lines("a", "one")[number - 1] == f"got-{value}"
        kept_nowhere(program, value)
    names = [
        one["details"]["names"]
        for one in json_lines(program.call("audit", "list", "--action", "run.credentials", "--json").stdout)
    ]
    assert names == []


def test_a_run_that_lost_them_waits_for_credentials(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    (program.path / "config").mkdir()
    (program.path / "config" / "base.yaml").write_text("app: {engine: {resume: auto}}\n")
    monkeypatch.setenv("DEPLOY_TOKEN", "alpha-secret-1")
    number = int(program.call("run", "work", "--detach").stdout)
    program.until_event(lambda event: event["type"] == "task.intent", number)
    end_engine(program)
    program.call("engine", "start")
    until = time.monotonic() + WAIT_S
    while True:
        (run,) = json_lines(program.call("runs", "list", "--json").stdout)
        if "waiting for credentials: DEPLOY_TOKEN" in run["why"]:
            break
        assert time.monotonic() < until, run
        time.sleep(0.1)
    monkeypatch.delenv("DEPLOY_TOKEN")
    assert "DEPLOY_TOKEN" in program.call("runs", "resume", status=2).stderr
    monkeypatch.setenv("DEPLOY_TOKEN", "alpha-secret-1")
    program.call("runs", "resume")
    assert program.lines("a", "one") == ["got-alpha-secret-1"]
    kept_nowhere(program, "alpha-secret-1")
    logged = json_lines(program.call("audit", "list", "--action", "run.credentials", "--json").stdout)
    assert json.loads(json.dumps(logged[-1]["details"])) == {"run": number, "names": ["DEPLOY_TOKEN"]}
