"""Several people on one run, as processes: decisions from another terminal, the control of a run, and who did it."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from core.model.actors import Actor
from tests.e2e.daemon.test_background import free_address
from tests.support.program import REPOSITORY, WAIT_S, Program, json_lines
from tests.support.sshd import Sshd
from tests.support.static_lab import on_sshd

pytestmark = pytest.mark.xdist_group("background")

DOUBTFUL = """
supervise: false
steps:
  one: {on: 'name:a', run: 'kill -9 $PPID; sleep 1'}
  two: {needs: [], on: 'name:b', run: 'until [ -e DECIDED ]; do sleep 0.1; done'}
  three: {needs: [one], on: 'name:c', run: 'echo x >> ran'}
"""


def wait_for(found: object) -> None:
    assert callable(found)
    until = time.monotonic() + WAIT_S
    while not found():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_another_terminal_decides_a_task_of_a_run_that_a_command_executes(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "server", {}) as sshd:
        program = on_sshd(tmp_path / "lab", {"a": sshd, "b": sshd, "c": sshd})
        decided_file = tmp_path / "decided"
        program.batch(DOUBTFUL.replace("DECIDED", str(decided_file)).replace("ran'", f"{tmp_path}/ran'"))
        with program.process("run", "work") as process:
            wait_for(
                lambda: (
                    program.path.joinpath(".windlass").exists() and states(program).get("one@a") == "in_doubt"
                )
            )
            decided = program.call("runs", "decide", "1", "one@a", "done", "--reason", "looked")
            assert "the command that executes it goes on with it" in decided.stderr
            wait_for(lambda: states(program)["three@c"] == "done")
            decided_file.touch()
            assert process.wait(WAIT_S) == 0
        assert program.states() == {"one@a": "done", "two@b": "done", "three@c": "done"}


def states(program: Program) -> dict[str, str]:
    return program.states() if json_lines(program.call("runs", "list", "--json").stdout) else {}


def test_the_control_of_a_run_is_kept_from_others_and_signed_by_the_kernel(tmp_path: Path) -> None:
    program = Program(tmp_path / "lab", ["a"])
    program.batch("steps: {one: {run: 'sleep 60'}}")
    program.call("servers", "start")
    token = program.call("token", "create", "ci", "--role", "operator").stdout.strip()
    address = free_address()
    program.call("engine", "start", "--listen", address)
    try:
        program.call("run", "work", "--detach")
        claimed = {**os.environ, "SUDO_USER": "alice", "SSH_CONNECTION": "10.0.0.5 1 10.0.0.7 22"}
        with subprocess.Popen(
            program.command("runs", "control", "1"),
            cwd=REPOSITORY,
            env=claimed,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as taking:
            _, told = taking.communicate(timeout=WAIT_S)
        assert taking.returncode == 0 and "others may only pause it" in told, told
        (run,) = json_lines(program.call("runs", "list", "--json").stdout)
        by = Actor.parse(run["controller"])
        assert by.pid == taking.pid and by.says == "sudo by alice, ssh from 10.0.0.5"
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://{address}/v1", headers=headers, trust_env=False) as client:
            refused = client.post("/runs/1/cancel", json={})
            assert refused.status_code == 409 and by.name in refused.json()["detail"]
            assert client.post("/runs/1/pause", json={}).status_code == 200
            assert client.post("/runs/1/control", json={"take": True}).json()["controller"] == "token ci"
            assert client.post("/runs/1/cancel", json={}).status_code == 200
            acts = client.get("/runs/1/acts").json()
        assert [event["actor"] for event in acts][:3] == ["token ci"] * 3
        refused_here = program.call("runs", "control", "1", status=None)
        assert refused_here.returncode == 4 and "token ci has the control" in refused_here.stderr
        assert "taking it needs --yes" in refused_here.stderr
        program.call("runs", "control", "1", "--yes")
        entries = json_lines(program.call("audit", "list", "--action", "run.control", "--json").stdout)
        assert [Actor.parse(entry["actor"]).name for entry in entries] == [by.name, "token ci", by.name]
    finally:
        program.call("engine", "stop", "--now")
        program.call("servers", "stop")
