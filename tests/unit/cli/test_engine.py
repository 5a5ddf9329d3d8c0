"""`windlass engine`: who owns the workspace, and the take-over."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine.lease import Lease
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass, golden, perform
from tests.unit.cli.test_runs import interrupt_a_run, objects
from tests.unit.test_lease import holder

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it needs /proc")


@pytest.fixture
def owned(lab: Lab, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """Another process owns the workspace of the lab, with an interrupted run in it."""
    interrupt_a_run(lab)
    perform(_as_killed(lab))
    monkeypatch.setattr(socket, "gethostname", os.uname().nodename.__str__)
    with holder(lab.path / ".windlass", repository) as process:
        yield process


async def _as_killed(lab: Lab) -> None:
    """The run as an engine leaves it that is killed: it says running."""
    from core.store.store import Store
    from core.store.tx import Tx

    store = await Store.open(lab.path / ".windlass" / "state.db")
    tx = Tx()
    tx.run(1, state="running", why="")
    await store.commit(tx)
    await store.close()


def shown(text: str, pid: int, lab: Lab) -> str:
    """A text without what differs from machine to machine."""
    text = text.replace(str(lab.path), "FOLDER").replace(str(pid), "PID")
    text = text.replace(f"{getpass_of_the_holder()}@{os.uname().nodename}", "USER@HOST")
    return re.sub(r"\(\d+s\)|\(\d+\.\ds\)", "(0.0s)", text)


def getpass_of_the_holder() -> str:
    """The user's name in another process, where nothing is patched."""
    code = "import getpass; print(getpass.getuser())"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_nobody_owns_it(windlass: Windlass, lab: Lab) -> None:
    lab.batch("steps: {one: {run: one}}")
    assert windlass("run", "work").status == 0
    answer = windlass("engine", "status")
    assert (answer.status, answer.err) == (0, "")
    golden("engine-free", answer.out, folder=lab.path)
    golden("json-engine-free", windlass("engine", "status", "--json").out, folder=lab.path)


def test_a_workspace_that_nothing_ran_in(windlass: Windlass, lab: Lab) -> None:
    answer = windlass("engine", "status")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.splitlines()[1] == "owner:       none"
    assert not (lab.path / ".windlass").exists(), "looking makes nothing"


def test_taking_over_what_nobody_owns_is_2(windlass: Windlass, lab: Lab) -> None:
    answer = windlass("engine", "take-over", "--yes")
    assert (answer.status, answer.out) == (2, "")
    golden("take-over-nobody-err", answer.err)


@linux
def test_the_owner_is_shown(windlass: Windlass, lab: Lab, owned: subprocess.Popen[str]) -> None:
    owned.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, owned.pid, os.WSTOPPED)
    answer = windlass("engine", "status")
    assert answer.status == 0
    golden("engine-owned", shown(answer.out, owned.pid, lab))
    golden("engine-owned-err", shown(answer.err, owned.pid, lab))
    (told,) = objects(windlass("engine", "status", "--json").out)
    assert (told["owned"], told["pid"], told["process"], told["runs"]) == (True, owned.pid, "stopped", [1])


@linux
def test_without_a_terminal_nothing_is_killed_unless_it_is_said(
    windlass: Windlass, lab: Lab, owned: subprocess.Popen[str]
) -> None:
    answer = windlass("engine", "take-over")
    assert (answer.status, answer.out) == (4, "")
    assert f"kills pid {owned.pid}" in answer.err and "--yes" in answer.err
    assert owned.poll() is None


@linux
def test_a_person_who_says_no(
    windlass: Windlass, lab: Lab, owned: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.engine.interactive", lambda: True)
    asked: list[str] = []
    monkeypatch.setattr("cli.engine.confirm", lambda question: bool(asked.append(question)))
    answer = windlass("engine", "take-over")
    assert (answer.status, answer.out) == (4, "")
    assert asked == [f"Kill pid {owned.pid}?"]
    assert owned.poll() is None


@linux
def test_a_take_over_says_what_it_did_and_what_comes_next(
    windlass: Windlass, lab: Lab, owned: subprocess.Popen[str]
) -> None:
    answer = windlass("engine", "take-over", "--yes")
    assert answer.status == 0
    assert owned.wait(timeout=60) == -signal.SIGKILL
    golden("take-over", shown(answer.out, owned.pid, lab))
    golden("take-over-err", shown(answer.err, owned.pid, lab))
    Lease.acquire(lab.path / ".windlass").release()


@linux
def test_a_take_over_in_json(windlass: Windlass, lab: Lab, owned: subprocess.Popen[str]) -> None:
    answer = windlass("engine", "take-over", "--yes", "--json")
    assert answer.status == 0
    (told,) = objects(answer.out)
    assert (told["type"], told["pid"], told["runs"]) == ("take_over", owned.pid, [1])
    text = answer.out.replace(f'"pid":{owned.pid}', '"pid":1').replace(os.uname().nodename, "HOST")
    text = text.replace(f'"user":"{told["user"]}"', '"user":"USER"')
    golden("json-take-over", text.replace(f'"waited_s":{told["waited_s"]}', '"waited_s":0.0'))


@linux
def test_a_second_engine_is_told_of_the_take_over(
    windlass: Windlass, lab: Lab, owned: subprocess.Popen[str]
) -> None:
    answer = windlass("runs", "resume", "1")
    assert answer.status == 3
    assert f"pid {owned.pid}" in answer.err and "windlass engine take-over" in answer.err
