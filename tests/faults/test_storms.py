"""Storms: whatever dies, at any moment, every effect happens once.

Real engine processes are killed with -9 at random moments (seeded) over runs of many tasks on real servers, and
the run is resumed each time until it has ended. Then every attempt's effect is held against the store: exactly
one where the attempt ended by evidence, none where it is said not to have run, one at most where it is in doubt.
The long ones do the same over runs of 200 tasks and of 1,000.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.storms import BackgroundStorm, Storm, batch_text, on_sshd
from tests.support.program import WAIT_S, Program
from tests.support.sshd import Sshd
from tests.support.wire import Wire
from tests.unit.store.support import query


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Program]:
    """The program on a workspace with two running local servers."""
    made = Program(tmp_path / "lab", servers=("a", "b"))
    made.call("servers", "start")
    yield made
    made.call("servers", "stop")


@contextmanager
def wire_to(port: int) -> Iterator[tuple[Wire, Callable[[], object]]]:
    """A proxy in a thread of its own, and what cuts its connections."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    made = Wire.to(port)
    wire = asyncio.run_coroutine_threadsafe(made.__aenter__(), loop).result(WAIT_S)
    try:
        yield wire, lambda: loop.call_soon_threadsafe(wire.cut)
    finally:
        asyncio.run_coroutine_threadsafe(made.__aexit__(None, None, None), loop).result(WAIT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def hold(storm: Storm, most_in_doubt: int) -> None:
    """The run has ended, and everything was done once."""
    storm.settle_doubts(most_in_doubt)
    assert storm.state == "done"
    storm.hold_against_the_store()
    storm.hold_effects_once()
    assert storm.hold_output() > 0


def killed_on_local_servers(program: Program, seed: int, steps: int, kills: int) -> Storm:
    """A storm of kills over a run on local servers."""
    storm = Storm(program, seed)
    program.batch(batch_text(steps, seed))
    storm.kill_until_still(["run", "work"], kills)
    hold(storm, most_in_doubt=0)
    return storm


def killed_in_the_background(program: Program, seed: int, steps: int, kills: int) -> BackgroundStorm:
    """A storm over a background engine and its commands; nobody else starts an engine."""
    storm = BackgroundStorm(program, seed)
    program.batch(batch_text(steps, seed))
    try:
        storm.kill_until_still(["run", "work"], kills)
        hold(storm, most_in_doubt=0)
    finally:
        if storm.owner is not None:
            program.call("engine", "stop", "--now")
    return storm


def killed_on_openssh(folder: Path, seed: int, servers: int, steps: int, kills: int) -> Storm:
    """A storm of kills over a run on OpenSSH's server, which stands for several."""
    with Sshd.start(folder / "sshd", {"MaxSessions": "20"}) as sshd:
        program = on_sshd(folder / "lab", sshd, [f"s{number}" for number in range(servers)])
        storm = Storm(program, seed, homes=[sshd.home])
        program.batch(batch_text(steps, seed, folder=str(sshd.home)))
        storm.kill_until_still(["run", "work"], kills)
        hold(storm, most_in_doubt=0)
    return storm


def broken(folder: Path, seed: int, servers: int, steps: int, breaks: int) -> Storm:
    """A storm of broken connections over a run in one engine: TCP resets, and sshd's processes killed."""
    with Sshd.start(folder / "sshd", {"MaxSessions": "20"}) as sshd, wire_to(sshd.port) as (wire, cut):
        names = [f"s{number}" for number in range(servers)]
        program = on_sshd(folder / "lab", sshd, names, wire.port)
        storm = Storm(program, seed, homes=[sshd.home])
        program.batch(batch_text(steps, seed, folder=str(sshd.home)))
        words = ["run", "work"]
        for _ in range(breaks + 1):
            storm.break_connections(words, breaks, cut, sshd.kill_sessions)
            storm.settle_doubts(breaks)
            if storm.state == "done":
                break
            # What could not be connected to at such a moment is unreachable, which is not failed.
            assert not query(storm.database, "SELECT 1 FROM tasks WHERE state = 'failed'")
            words = ["runs", "retry", "1"]
        hold(storm, most_in_doubt=breaks)
    return storm


def killed_while_rolling_back(program: Program, seed: int, steps: int, kills: int) -> Storm:
    """A storm of kills over a rollback."""
    storm = Storm(program, seed)
    program.batch(batch_text(steps, seed))
    program.call("run", "work")
    storm.kill_until_still(["runs", "rollback", "1", "--yes"], kills, most=12)
    storm.settle_doubts(0)
    assert storm.state == "rolled_back"
    count = storm.hold_against_the_store("undo", "undone")
    undone = query(storm.database, "SELECT count(*) FROM tasks WHERE undo = 'undone'")
    assert undone == [(count.tasks,)]
    assert len(storm.lines("undone")) == count.tasks, "each undo once"
    return storm


def frozen(program: Program, seed: int, steps: int, times: int, trigger: Path) -> Storm:
    """Engines that freeze in the middle of a transaction, are taken over, and continued."""
    storm = Storm(program, seed)
    program.batch(batch_text(steps, seed))
    words = ["run", "work"]
    for _ in range(times):
        process = storm.freeze("freeze-commit", words, trigger)
        if process is None:
            break
        before = query(storm.database, "SELECT max(seq) FROM events")
        program.call("engine", "take-over", "--yes")
        os.kill(process.pid, signal.SIGCONT)
        process.communicate(timeout=WAIT_S)
        assert process.returncode == -signal.SIGKILL
        # Of the half transaction nothing is left; the take-over has told of itself and settled.
        (half,) = query(storm.database, "SELECT type FROM events WHERE seq = ? + 1", before[0][0])
        assert half[0].startswith(("engine.", "workspace."))
        words = ["runs", "resume", "1"]
        trigger.with_suffix(".frozen").unlink(missing_ok=True)
    storm.go_on()
    hold(storm, most_in_doubt=0)
    return storm


def test_f13_an_overtaken_engine_meets_claims_and_writes_nothing(pair: Program, tmp_path: Path) -> None:
    storm = Storm(pair, seed=14)
    pair.batch(batch_text(21, storm.seed))
    process = storm.freeze("freeze-begin", ["run", "work"], tmp_path / "freeze")
    assert process is not None
    (pair.path / ".windlass" / "lease").unlink()
    storm.go_on()
    hold(storm, most_in_doubt=0)
    stored = [query(storm.database, f"SELECT * FROM {table}") for table in ("events", "tasks", "attempts")]
    effects = sorted(storm.lines("effects"))
    os.kill(process.pid, signal.SIGCONT)
    _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 3, told
    assert stored == [
        query(storm.database, f"SELECT * FROM {table}") for table in ("events", "tasks", "attempts")
    ]
    assert sorted(storm.lines("effects")) == effects


def test_f03_f04_killed_at_random_moments_every_effect_happens_once(pair: Program) -> None:
    assert killed_on_local_servers(pair, seed=3, steps=30, kills=6).count.kills >= 4


def test_f03_f04_background_engines_and_their_commands_killed_every_effect_happens_once(
    pair: Program,
) -> None:
    storm = killed_in_the_background(pair, seed=31, steps=21, kills=5)
    assert storm.count.kills >= 2 and storm.killed["engine"] + storm.killed["both"] >= 2


@pytest.mark.long
def test_f03_f04_killed_at_random_moments_on_openssh(tmp_path: Path) -> None:
    assert killed_on_openssh(tmp_path, seed=4, servers=2, steps=24, kills=4).count.kills >= 2


@pytest.mark.long
def test_f05_killed_at_random_moments_of_a_rollback_every_undo_happens_once(pair: Program) -> None:
    assert killed_while_rolling_back(pair, seed=5, steps=12, kills=3).count.kills >= 2


@pytest.mark.long
def test_f25_connections_cut_and_killed_at_random_moments_nothing_runs_twice(tmp_path: Path) -> None:
    assert broken(tmp_path, seed=25, servers=2, steps=24, breaks=6).count.kills >= 3


def test_f13_frozen_in_transactions_and_taken_over_every_effect_happens_once(
    pair: Program, tmp_path: Path
) -> None:
    assert frozen(pair, seed=13, steps=21, times=1, trigger=tmp_path / "freeze").count.kills


@pytest.mark.long
@pytest.mark.parametrize("seed", range(101, 107))
def test_f03_f04_a_long_storm_of_kills_on_local_servers(seed: int, tmp_path: Path) -> None:
    program = Program(tmp_path / "lab", servers=("a", "b", "c", "d"))
    program.call("servers", "start")
    try:
        killed_on_local_servers(program, seed, steps=50, kills=35)
    finally:
        program.call("servers", "stop")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(151, 155))
def test_f03_f04_a_long_storm_of_kills_in_the_background(seed: int, tmp_path: Path) -> None:
    program = Program(tmp_path / "lab", servers=("a", "b", "c", "d"))
    program.call("servers", "start")
    try:
        killed_in_the_background(program, seed, steps=50, kills=35)
    finally:
        program.call("servers", "stop")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(201, 204))
def test_f03_f04_a_long_storm_of_kills_on_openssh(seed: int, tmp_path: Path) -> None:
    killed_on_openssh(tmp_path, seed, servers=4, steps=50, kills=35)


@pytest.mark.long
def test_f03_f04_a_storm_over_a_thousand_tasks(tmp_path: Path) -> None:
    killed_on_openssh(tmp_path, 1000, servers=20, steps=50, kills=60)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(301, 303))
def test_f25_a_long_storm_of_broken_connections(seed: int, tmp_path: Path) -> None:
    broken(tmp_path, seed, servers=4, steps=50, breaks=40)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(401, 403))
def test_f05_a_long_storm_over_rollbacks(seed: int, pair: Program) -> None:
    killed_while_rolling_back(pair, seed, steps=60, kills=30)


@pytest.mark.long
def test_f13_a_long_storm_of_frozen_engines(pair: Program, tmp_path: Path) -> None:
    frozen(pair, 501, steps=50, times=12, trigger=tmp_path / "freeze")
