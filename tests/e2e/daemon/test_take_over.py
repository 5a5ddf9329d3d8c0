"""An engine that freezes or dies under an open interface: taken over, or followed by the next; its run goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon.test_background import SLOW, end, gone, in_a_terminal, owner_of, ran_once
from tests.support.program import WAIT_S, Program, json_lines

pytestmark = pytest.mark.xdist_group("background")


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A workspace with two servers that run."""
    program = Program(tmp_path / "lab", servers=("a", "b"))
    program.batch(SLOW.replace("sleep 2", "sleep 6"))
    program.call("servers", "start")
    try:
        yield program
    finally:
        end(program)
        program.call("servers", "stop")


def test_f13_a_frozen_engine_is_taken_over_from_the_interface(program: Program) -> None:
    program.call("engine", "start")
    frozen = owner_of(program)
    assert frozen is not None
    number = int(program.call("run", "work", "--detach").stdout)
    with in_a_terminal(program) as (_, shows, master):
        shows("live")
        os.kill(frozen.pid, signal.SIGSTOP)
        shows("the engine is stopped: T takes over")
        os.write(master, b"T")
        shows(f"pid {frozen.pid}")
        shows("kill it")
        assert owner_of(program) == frozen, "nothing is killed before somebody says so"
        os.write(master, b"y")
        shows(f"killed pid {frozen.pid}")
        gone(frozen.pid)
        shows("no engine executes it")
        os.write(master, b"r")
        until = time.monotonic() + WAIT_S
        while program.states(number)["three@b"] != "done":
            assert time.monotonic() < until
            time.sleep(0.2)
    assert program.call("runs", "wait", str(number)).returncode == 0
    assert ran_once(program)
    owner = owner_of(program)
    assert owner is not None and owner.pid != frozen.pid and owner.background
    logged = json_lines(program.call("audit", "list", "--action", "engine.take_over", "--json").stdout)
    assert len(logged) == 1


@pytest.mark.long
def test_the_interface_lives_on_when_the_engine_dies_and_starts_the_next(program: Program) -> None:
    program.call("engine", "start")
    with in_a_terminal(program) as (process, shows, master):
        shows("live")
        number = int(program.call("run", "work", "--detach").stdout)
        shows("run 1")
        end(program)
        shows("no engine executes it")
        assert process.poll() is None
        os.write(master, b"r")
        until = time.monotonic() + WAIT_S
        while program.states(number)["three@b"] != "done":
            assert time.monotonic() < until
            time.sleep(0.2)
        owner = owner_of(program)
        assert owner is not None and owner.background, "it started the next one"
    assert program.call("runs", "wait", str(number)).returncode == 0
    assert ran_once(program)
