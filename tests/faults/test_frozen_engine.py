"""Rows 12 and 13: an engine that is frozen, killed by a take-over, or overtaken. Real processes, real servers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.program import WAIT_S, Program, json_lines, kill
from tests.unit.store.support import query

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it needs /proc")

RUN = """
    steps:
      one: {run: "echo one >> effects"}
      two: {run: "echo two >> effects; while [ ! -e go-on ]; do sleep 0.1; done"}
      three: {run: "echo three >> effects"}
"""


def began(program: Program, step: str = "two") -> None:
    """Returns once a step's command has had its effect on every server."""
    for server in program.servers:
        program.until_event(
            lambda event, server=server: (
                event["type"] == "task.intent" and (event["step"], event["server"]) == (step, server)
            )
        )
        until(lambda server=server: step in program.lines(server, "effects"))


def until(true: object) -> None:
    """Returns when a condition holds; fails when it takes too long."""
    import time

    ends_at = time.monotonic() + WAIT_S
    while not true():  # type: ignore[operator]
        assert time.monotonic() < ends_at, "it took too long"
        time.sleep(0.05)


def stopped(process: subprocess.Popen[str]) -> None:
    """Returns when a process has stopped itself."""
    until(lambda: "\nState:\tT" in Path(f"/proc/{process.pid}/status").read_text())


def let_go(program: Program) -> None:
    """Lets the commands that wait come to their end."""
    for server in program.servers:
        (program.home(server) / "go-on").touch()


def decide_what_ran(program: Program) -> None:
    """Carries the run on to its end; what is in doubt has run, as its effects show."""
    done = program.call("runs", "resume", status=None)
    if done.returncode == 4:
        program.call("runs", "decide", "--all", "done", "--reason", "its effect is there", status=None)
    assert program.call("runs", "wait", status=None).returncode == 0


@pytest.mark.long
def test_f12_a_second_engine_is_refused_with_pid_user_host_and_age(program: Program) -> None:
    with program.process("run", program.batch(RUN)) as process:
        began(program)
        refused = program.call("run", "work", "--alongside", status=3)
        assert re.search(rf"pid {process.pid}, \S+@\S+ \(for \d+ (s|min)\)", refused.stderr)
        assert "windlass engine take-over" in refused.stderr
        kill(process)
    # A dead owner frees itself: nothing to take over, and the next engine simply opens.
    assert "nothing to take over" in program.call("engine", "take-over", "--yes", status=2).stderr
    let_go(program)
    decide_what_ran(program)


def test_f13_an_engine_stopped_while_commands_run_is_taken_over(program: Program) -> None:
    with program.process("run", program.batch(RUN)) as process:
        began(program)
        process.send_signal(signal.SIGSTOP)
        stopped(process)
        (told,) = json_lines(program.call("engine", "status", "--json").stdout)
        assert (told["owned"], told["pid"], told["process"]) == (True, process.pid, "stopped")
        assert program.call("engine", "take-over", status=4).stdout == ""
        assert process.poll() is None, "without --yes and a terminal nothing is killed"
        done = program.call("engine", "take-over", "--yes", "--json")
        assert json_lines(done.stdout)[0]["runs"] == [1]
        assert "runs resume 1" in done.stderr
        assert process.wait(timeout=WAIT_S) == -signal.SIGKILL
    let_go(program)
    decide_what_ran(program)
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]


def test_f13_an_engine_frozen_in_a_transaction_is_taken_over_with_its_locks(
    program: Program, tmp_path: Path
) -> None:
    database = program.path / ".windlass" / "state.db"
    trigger = tmp_path / "freeze"
    command = program.planted("freeze-commit", trigger, "run", program.batch(RUN))
    with program.process(command=command) as process:
        began(program)
        trigger.touch()
        let_go(program)  # the outcomes are what it is committing when it freezes
        stopped(process)
        before = query(database, "SELECT count(*) FROM events")
        # It holds the lease and SQLite's write lock: nobody gets in, and it is named.
        refused = program.call("runs", "resume", status=3)
        assert f"pid {process.pid}" in refused.stderr
        program.call("engine", "take-over", "--yes")
        assert process.wait(timeout=WAIT_S) == -signal.SIGKILL
    # Its half transaction left nothing; the take-over's event is the only new one.
    assert query(database, "SELECT count(*) FROM events") == [(before[0][0] + 1,)]
    decide_what_ran(program)
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]


def test_f13_an_overtaken_engine_commits_nothing_and_starts_nothing_more(
    program: Program, tmp_path: Path
) -> None:
    """It lost its lease (somebody removed the lock file) and wakes after another engine has taken over."""
    state = program.path / ".windlass"
    trigger = tmp_path / "freeze"
    command = program.planted("freeze-begin", trigger, "run", program.batch(RUN))
    with program.process(command=command) as process:
        began(program)
        trigger.touch()
        let_go(program)  # it freezes before the transaction with the first outcome
        stopped(process)
        (state / "lease").unlink()
        assert program.call("runs", "resume", status=None).returncode in (0, 4)
        program.call("runs", "cancel", "1", "--reason", "looked at it", status=None)
        epoch = query(state / "state.db", "SELECT value FROM meta WHERE key = 'epoch'")
        events = query(state / "state.db", "SELECT seq, type, time FROM events ORDER BY seq")
        tasks = query(state / "state.db", "SELECT * FROM tasks ORDER BY run, idx")
        effects = {server: program.lines(server, "effects") for server in program.servers}
        witness = (state / "witness.json").read_bytes()
        os.kill(process.pid, signal.SIGCONT)
        _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 3, told
    assert "another engine has taken over" in told
    # Not one more write, and nothing started.
    assert query(state / "state.db", "SELECT value FROM meta WHERE key = 'epoch'") == epoch
    assert query(state / "state.db", "SELECT seq, type, time FROM events ORDER BY seq") == events
    assert query(state / "state.db", "SELECT * FROM tasks ORDER BY run, idx") == tasks
    assert (state / "witness.json").read_bytes() == witness
    assert {server: program.lines(server, "effects") for server in program.servers} == effects


@pytest.mark.long
def test_f13_while_a_frozen_engine_holds_the_write_lock_the_lock_alone_gives_nobody_in(
    program: Program, tmp_path: Path
) -> None:
    """Its lease is gone, its transaction is not: the next engine waits a bounded time and names it."""
    state = program.path / ".windlass"
    trigger = tmp_path / "freeze"
    command = program.planted("freeze-commit", trigger, "run", program.batch(RUN))
    with program.process(command=command) as process:
        began(program)
        trigger.touch()
        let_go(program)
        stopped(process)
        (state / "lease").unlink()
        refused = program.call("runs", "resume", status=70)
        assert re.search(rf"locked by another program for 5 s \(held by pid {process.pid} ", refused.stderr)
        # It was not overtaken: continued, its transaction is good, and it ends its run.
        os.kill(process.pid, signal.SIGCONT)
        _, told = process.communicate(timeout=WAIT_S)
        assert process.returncode == 0, told
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
