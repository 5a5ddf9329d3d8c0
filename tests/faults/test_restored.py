"""Row 56: a workspace is copied, or a backup of its database put back, while a run of it is open."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.open import open_reader
from core.errors import CursorGone
from core.model.states import TaskState
from tests.faults.test_engine_killed import RUN, let_go, started
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply
from tests.support.program import Program, json_lines, kill


def backup(program: Program) -> Path:
    """A backup of the database, taken by a person with SQLite's own means while the engine is at work."""
    target = program.path.parent / "backup.db"
    source = program.path / ".windlass" / "state.db"
    with closing(sqlite3.connect(source)) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)
    return target


def restore(program: Program, kept: Path) -> None:
    """Puts it back into the very same file."""
    database = program.path / ".windlass" / "state.db"
    for suffix in ("-wal", "-shm"):
        database.with_name(f"state.db{suffix}").unlink(missing_ok=True)
    with database.open("r+b") as file:
        file.write(kept.read_bytes())
        file.truncate()


def test_f56_a_backup_put_back_in_mid_run_waits_for_a_person_and_runs_nothing_twice(program: Program) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        kept = backup(program)  # two is in flight, three has not begun
        let_go(program)
        assert process.wait(timeout=60) == 0
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
    (before,) = json_lines(program.call("engine", "status", "--json").stdout)
    restore(program, kept)
    # Any engine that opens it finds out, tells, and starts nothing.
    refused = program.call("run", "work", status=2)
    assert "a backup was put back" in refused.stderr and "run 1 waits for a person" in refused.stderr
    (run,) = json_lines(program.call("runs", "list", "--json").stdout)
    assert run["state"] == "waiting_for_person"
    assert "restored from an older copy" in run["why"]
    assert program.states() == {
        **{f"one@{name}": "done" for name in program.servers},
        **{f"two@{name}": "in_doubt" for name in program.servers},
        **{f"three@{name}": "waiting" for name in program.servers},
    }
    # Holds stay: the servers are still this run's.
    (held,) = {server["held_by"] for server in json_lines(program.call("servers", "list", "--json").stdout)}
    assert held == 1
    # Cursors of the old incarnation are told "gone".
    (now,) = json_lines(program.call("engine", "status", "--json").stdout)
    assert now["incarnation"] != before["incarnation"]
    old = f"{before['incarnation']}:{before['last_seq']}"
    gone = program.call("runs", "watch", "1", "--json", "--after", old, status=2)
    assert "another incarnation" in gone.stderr and "read the state again" in gone.stderr
    program.call("runs", "watch", "1", "--json", "--after", f"{now['incarnation']}:0", status=4)
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"], "nothing ran meanwhile"
    # A person has looked: it has all been done. The run ends without a command.
    program.call("runs", "decide", "--all", "done", "--no-resume", "--reason", "looked", status=4)
    program.call("runs", "cancel", "1", "--reason", "it had ended before the restore", status=1)


@pytest.mark.long
def test_f56_a_copied_workspace_waits_and_the_original_goes_on(program: Program, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        shutil.copytree(program.path, copy, ignore=shutil.ignore_patterns("providers", "*.sock"))
        done = program.call("-w", str(copy), "runs", "resume", "1", status=4)
        assert "this workspace is a copy" in done.stderr
        let_go(program)
        assert process.wait(timeout=60) == 0, "the original does not notice"
    for server in program.servers:
        assert program.lines(server, "effects") == ["one", "two", "three"]
    assert set(program.states().values()) == {"done"}


@pytest.mark.long
def test_f56_a_workspace_that_was_only_moved_goes_on(program: Program, tmp_path: Path) -> None:
    with program.process("run", program.batch(RUN)) as process:
        started(program)
        kill(process)
    let_go(program)
    program.call("servers", "stop")
    program.path.rename(tmp_path / "moved")
    program.path = tmp_path / "moved"
    program.call("servers", "start")
    done = program.call("runs", "resume", "--in-doubt", "skip", status=None)
    assert "incarnation" not in done.stderr
    assert "three@a" in program.states()


@pytest.mark.parametrize("owner", [False, True], ids=["reader", "owner"])
async def test_f56_a_follower_with_a_cursor_of_another_incarnation_is_told(
    tmp_path: Path, owner: bool
) -> None:
    lab = Lab(tmp_path / "lab")
    lab.batch("steps: {one: {run: one}}")
    async with lab.engine() as engine:
        await lab.run(engine, "work")
        here = await engine.workspace()
        follower = engine if owner else await open_reader(lab.path)
        assert await follower.events(0, incarnation=here.incarnation)
        async for event in follower.follow(0, incarnation=here.incarnation):
            assert event.seq >= 1
            break
        with pytest.raises(CursorGone) as caught:
            await follower.events(0, incarnation="f" * 32)
        assert caught.value.exit_status == 2
        with pytest.raises(CursorGone):
            async for _ in follower.follow(0, incarnation="f" * 32):
                pytest.fail("it followed another history")
        if not owner:
            await follower.close()


async def test_f56_a_follower_is_told_when_the_database_is_replaced_under_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    lab.batch("steps: {one: {run: one}}")
    database = lab.path / ".windlass" / "state.db"
    async with lab.engine() as engine:
        await lab.run(engine, "work")
    shutil.copy(database, tmp_path / "kept.db")
    follower = await open_reader(lab.path)
    here = await follower.workspace()

    async def follow() -> None:
        async for _ in follower.follow(here.last_seq, incarnation=here.incarnation):
            pass

    following = asyncio.create_task(follow())
    await asyncio.sleep(0)
    (tmp_path / "kept.db").replace(database)
    async with lab.engine() as engine:
        assert (await engine.workspace()).notices
    with pytest.raises(CursorGone):
        async with asyncio.timeout(60):
            await following
    await follower.close()


async def test_f56_the_engine_itself_starts_nothing_of_a_copy(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    lab.batch("steps: {one: {run: one}, two: {run: two}}")
    go_on = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=go_on) if ref.step == "one" else None
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest("work"), ACTOR))
        await until(engine, run.number, "one@a", TaskState.RUNNING)
        await until(engine, run.number, "one@b", TaskState.RUNNING)
        shutil.copytree(lab.path, tmp_path / "copy")
        go_on.set()
        await engine.wait(run.number)
    before = list(lab.memory.effects)
    copy = Lab.__new__(Lab)
    copy.path, copy.memory, copy.served = tmp_path / "copy", lab.memory, False
    async with copy.engine() as engine:
        info = await engine.run(1)
        assert (info.state.value, info.interrupted) == ("waiting_for_person", False)
        assert "copy" in (await engine.workspace()).notices[0]
        assert set((await copy.states(engine)).values()) <= {"in_doubt", "waiting"}
    assert lab.memory.effects == before
