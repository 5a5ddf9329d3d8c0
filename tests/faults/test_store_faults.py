"""What the store promises when processes are killed, frozen or starved; named after the rows of FAILURES.

The processes are real ones, killed with SIGKILL: nothing of them runs any more afterwards.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.errors import StoreError
from core.model.states import TaskState
from core.store import database as database_module
from core.store import reader as reader_module
from core.store import writer as writer_module
from core.store.backups import backups
from core.store.reader import StoreReader
from core.store.schema import MIGRATIONS, VERSION
from core.store.store import Store
from tests.faults.store_program import SECOND
from tests.unit.store.support import note, query


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database of a workspace lies; it does not exist yet."""
    return tmp_path / ".windlass" / "state.db"


@contextmanager
def program(repository: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """One of the store programs; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.store_program", *map(str, arguments)],
        cwd=repository,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """The next line that the program prints; fails where it ended instead."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the program ended with {process.wait()}"
    return line.strip()


def say(process: subprocess.Popen[str], line: str) -> None:
    """A line for a program that reads its standard input."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


async def ended_tasks(path: Path) -> tuple[set[int], set[int]]:
    """Which tasks the rows say are done, and which the events say are."""
    store = await Store.open(path)
    rows = {task.index for task in await store.reader.tasks(1, states=[TaskState.DONE], limit=100_000)}
    told = {
        event.data["task"]
        for event in await store.reader.events(0, limit=100_000)
        if event.type == "task.state"
    }
    await store.close()
    return rows, told


@pytest.mark.parametrize("kill_after", [1, 37, 400, 1500])
async def test_f04_f07_what_was_acknowledged_is_there_after_a_kill(
    database: Path, repository: Path, kill_after: int
) -> None:
    with program(repository, "write", database) as process:
        acknowledged = {int(next_line(process)) for _ in range(kill_after)}
        process.send_signal(signal.SIGKILL)
        assert process.stdout is not None
        acknowledged |= {int(line) for line in process.stdout if line.endswith("\n")}
    rows, told = await ended_tasks(database)
    assert acknowledged <= rows, "acknowledged, and lost"
    assert rows == told, "a change without its event, or an event without its change"


async def test_f07_a_copy_of_the_files_at_any_moment_has_what_was_announced(
    database: Path, repository: Path, tmp_path: Path
) -> None:
    """Stands in for power loss: nothing but what had been handed to the disk's files by then."""
    chance = random.Random(7)
    copies = []
    with program(repository, "write", database) as process:
        acknowledged: set[int] = set()
        for number in range(8):
            acknowledged |= {int(next_line(process)) for _ in range(chance.randrange(1, 120))}
            folder = tmp_path / f"copy-{number}"
            folder.mkdir()
            for suffix in ("", "-wal"):
                shutil.copy(f"{database}{suffix}", folder)
            copies.append((folder / "state.db", frozenset(acknowledged)))
    for path, expected in copies:
        rows, told = await ended_tasks(path)
        assert expected <= rows
        assert rows == told


@pytest.mark.parametrize("dies_before", range(len(SECOND) + 1))
async def test_f06_killed_during_a_migration(
    database: Path, repository: Path, dies_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with program(repository, "empty", database) as process:
        assert process.wait() == 0
    with program(repository, "migrate", database, dies_before) as process:
        assert process.wait() == -signal.SIGKILL
    # The old schema, whole, and a backup of it.
    assert query(database, "PRAGMA user_version") == [(VERSION,)]
    assert query(database, "PRAGMA quick_check") == [("ok",)]
    assert query(database, "SELECT count(*) FROM registered") == [(1,)]
    assert "colour" not in {row[1] for row in query(database, "PRAGMA table_info(runs)")}
    (kept,) = backups(database)
    assert query(kept, "SELECT number FROM runs ORDER BY number") == [(1,), (2,)]
    # The next start finishes the work.
    with program(repository, "migrate", database, 99) as process:
        assert next_line(process) == "migrated"
        assert process.wait() == 0
    assert query(database, "PRAGMA user_version") == [(VERSION + 1,)]
    assert query(database, "SELECT colour FROM runs") == [("green",), ("green",)]
    monkeypatch.setattr(database_module, "MIGRATIONS", (*MIGRATIONS, ""))
    for module in (database_module, reader_module):
        monkeypatch.setattr(module, "VERSION", VERSION + 1)
    store = await Store.open(database)
    assert store.epoch == 2
    await store.close()


def _small_disk(folder: Path, repository: Path) -> list[str]:
    """A command that runs `fill` with a disk of 48 MiB of its own at `folder`; seen by nobody else."""
    script = (
        f'mount -t tmpfs -o size=48m tmpfs "{folder}" && exec "{sys.executable}" -m '
        f'tests.faults.store_program fill "{folder}"'
    )
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", script]


async def test_f08_a_full_disk_still_takes_the_outcomes(tmp_path: Path, repository: Path) -> None:
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed: no small disk can be made")
    probe = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", f'mount -t tmpfs tmpfs "{tmp_path}"'],
        capture_output=True,
        check=False,
    )
    if probe.returncode != 0:
        pytest.skip(f"no small disk can be made here: {probe.stderr.decode().strip()}")
    result = subprocess.run(
        _small_disk(tmp_path, repository), cwd=repository, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    # The reserve was released: the first outcomes are durable although the disk was full.
    assert told["task"] == "done"
    assert told["durable"] > 20
    assert told["durable"] == told["stored"], "acknowledged and stored are the same"
    assert 0 <= told["first_failure_at"] < told["durable"], "the engine was told before it was too late"
    assert "no space left" in told["failures"][0]
    # And then nothing more, with the reason.
    assert "no space left" in told["error"] and "free some space" in told["error"]
    assert told["later"] == "DiskFull"


async def test_f08_without_a_reserve_the_pause_is_told(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite itself refuses to grow the database: released space does not help."""
    store = await Store.open(database)
    failures: list[BaseException] = []
    store.on_failure = failures.append
    await store.commit(note("before"))
    store._writer._connection.execute("PRAGMA max_page_count = 60")
    with pytest.raises(StoreError, match="no space left"):
        await store.commit(note("x" * 1_000_000))
    with pytest.raises(StoreError, match="no space left"):
        await store.commit(note("after"))
    await asyncio.sleep(0)
    assert failures and "no space left" in str(failures[0])
    await store.close()
    assert query(database, "SELECT count(*) FROM events") == [(1,)]


async def test_f09_who_locks_the_database_is_named(
    database: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.3)
    if hasattr(writer_module, "BUSY_TIMEOUT_S"):
        monkeypatch.setattr(writer_module, "BUSY_TIMEOUT_S", 0.3)
    store = await Store.open(database)
    await store.commit(note("before"))
    reader = await StoreReader.open(database)
    with program(repository, "lock", database) as process:
        assert next_line(process) == "locked"
        assert [event.data["message"] for event in await reader.events(0)] == ["before"], "reading goes on"
        with pytest.raises(StoreError, match="locked by another program") as caught:
            await store.commit(note("never"))
        with pytest.raises(StoreError, match="locked by another program") as caught_opening:
            await Store.open(database)
        if Path("/proc/locks").exists():
            assert f"pid {process.pid}" in str(caught.value)
            assert f"pid {process.pid}" in str(caught_opening.value)
    await reader.close()
    await store.close()


async def test_f13_a_frozen_owner_is_fenced_when_it_wakes(database: Path, repository: Path) -> None:
    with program(repository, "serve", database) as frozen:
        assert next_line(frozen) == "epoch 1"
        say(frozen, "first")
        assert next_line(frozen) == "durable"
        frozen.send_signal(signal.SIGSTOP)
        with program(repository, "serve", database) as newer:
            assert next_line(newer) == "epoch 2"
            say(newer, "second")
            assert next_line(newer) == "durable"
            say(frozen, "never")
            frozen.send_signal(signal.SIGCONT)
            assert sorted(next_line(frozen) for _ in range(2)) == ["Fenced", "failure Fenced"]
            say(frozen, "never again")
            assert next_line(frozen) == "Fenced"
            say(newer, "third")
            assert next_line(newer) == "durable"
    stored = query(database, "SELECT json_extract(data, '$.message') FROM events ORDER BY seq")
    assert stored == [("first",), ("second",), ("third",)]


async def test_f13_an_owner_frozen_in_a_transaction_holds_nothing_once_it_is_killed(
    database: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.3)
    with program(repository, "empty", database) as process:
        assert process.wait() == 0
    with program(repository, "lock", database) as frozen:
        assert next_line(frozen) == "locked"
        frozen.send_signal(signal.SIGSTOP)
        with pytest.raises(StoreError, match="locked by another program"):
            await Store.open(database)
        frozen.send_signal(signal.SIGKILL)
        frozen.wait()
        store = await Store.open(database)
        await store.commit(note("after"))
        await store.close()
    assert query(database, "SELECT count(*) FROM meta WHERE key = 'half'") == [(0,)]


async def test_reading_what_a_killed_owner_left(database: Path, repository: Path) -> None:
    """The WAL is still to be folded in, and its shared memory may be gone (a restart of the machine)."""
    with program(repository, "write", database) as process:
        acknowledged = {int(next_line(process)) for _ in range(200)}
    database.with_name("state.db-shm").unlink(missing_ok=True)
    assert database.with_name("state.db-wal").stat().st_size > 0
    reader = await StoreReader.open(database)
    done = {task.index for task in await reader.tasks(1, states=[TaskState.DONE], limit=100_000)}
    assert acknowledged <= done
    await reader.close()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
