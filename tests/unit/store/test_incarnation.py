"""A database that is not the one it was becomes a new incarnation; a move is no copy."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.model import events
from core.model.states import Purpose
from core.store.incarnation import Identity, Witness, identity, judge, read_witness, witness_path
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import new_run, note, query


async def opened(path: Path) -> tuple[str, tuple[str, ...]]:
    """Opens and closes: the incarnation, and what a person is told."""
    store = await Store.open(path)
    await store.close()
    return store.incarnation, store.notices


async def in_flight(path: Path) -> str:
    """Run 1 with an attempt in flight, run 2 paused, run 3 done; as a killed engine leaves them."""
    store = await Store.open(path)
    for number in (1, 2, 3):
        await new_run(store, number)
    tx = Tx()
    tx.task(1, 0, state="running", phase="run", attempt=1)
    tx.intent(1, 0, Purpose.RUN, 1, "digest", "boot")
    tx.task(1, 1, state="running", phase="check")
    tx.task(1, 2, state="running", phase="verify", exit_status=0, attempt=1)
    tx.task(1, 3, state="done", undo="undoing")
    tx.intent(1, 3, Purpose.UNDO, 1, "digest", "boot")
    tx.run(2, state="paused", why="lunch")
    tx.run(3, state="done")
    tx.release(3)
    await store.commit(tx)
    await store.close()
    return store.incarnation


def replace(path: Path, other: Path) -> None:
    """Puts another database in place, the way the hint of a corrupt one says."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(other, path)


async def test_an_undisturbed_database_keeps_its_incarnation(database: Path) -> None:
    first = await in_flight(database)
    for _ in range(3):
        assert await opened(database) == (first, ())


async def test_a_move_is_no_copy(database: Path, tmp_path: Path) -> None:
    first = await in_flight(database)
    moved = tmp_path / "moved"
    database.parent.rename(moved)
    assert await opened(moved / "state.db") == (first, ())


async def test_f56_a_copied_folder_is_another_incarnation_and_the_original_stays(
    database: Path, tmp_path: Path
) -> None:
    first = await in_flight(database)
    shutil.copytree(database.parent, tmp_path / "copy")
    copied, notices = await opened(tmp_path / "copy" / "state.db")
    assert copied != first
    assert "this workspace is a copy" in notices[0] and "runs 1, 2 wait for a person" in notices[0]
    assert await opened(tmp_path / "copy" / "state.db") == (copied, ()), "found once"
    assert await opened(database) == (first, ())


async def test_f56_what_a_new_incarnation_does_to_open_runs(database: Path, tmp_path: Path) -> None:
    await in_flight(database)
    shutil.copytree(database.parent, tmp_path / "copy")
    copy = tmp_path / "copy" / "state.db"
    with closing(sqlite3.connect(copy)) as connection:
        if "folder" not in {row[1] for row in connection.execute("PRAGMA table_info(attempts)")}:
            connection.execute("ALTER TABLE attempts ADD COLUMN folder TEXT NOT NULL DEFAULT ''")
        connection.execute("UPDATE attempts SET folder = '/tmp/windlass/x'")
        connection.commit()
    await opened(copy)
    runs = query(copy, "SELECT number, state, why FROM runs ORDER BY number")
    assert [run[:2] for run in runs] == [(1, "waiting_for_person"), (2, "waiting_for_person"), (3, "done")]
    for _, _, why in runs[:2]:
        assert "this workspace is a copy" in why and "resume, roll back or cancel" in why
    states = query(copy, "SELECT idx, state, phase, undo FROM tasks WHERE run = 1 ORDER BY idx")
    assert states[:4] == [
        (0, "in_doubt", None, "none"),
        (1, "in_doubt", None, "none"),
        (2, "waiting", "verify", "none"),
        (3, "done", None, "undo_in_doubt"),
    ]
    assert query(copy, "SELECT count(*) FROM attempts WHERE outcome = ''") == [(0,)]
    assert query(copy, "SELECT DISTINCT folder FROM attempts") == [("",)], (
        "records on servers are not adopted"
    )
    assert query(copy, "SELECT DISTINCT run FROM holds ORDER BY run") == [(1,), (2,)], "holds stay"
    told = query(copy, "SELECT type, run FROM events ORDER BY seq DESC LIMIT 8")
    assert (events.WORKSPACE_ADOPTED, None) in told
    assert told.count((events.RUN_STATE, 1)) == told.count((events.RUN_STATE, 2)) == 1


async def test_f56_an_older_database_put_into_the_same_file(database: Path, tmp_path: Path) -> None:
    first = await in_flight(database)
    older = tmp_path / "older.db"
    shutil.copy(database, older)
    store = await Store.open(database)
    await store.commit(note("later"))
    await store.close()
    inode = database.stat().st_ino
    content = older.read_bytes()
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    with database.open("r+b") as file:
        file.write(content)
        file.truncate()
    assert database.stat().st_ino == inode
    restored, notices = await opened(database)
    assert restored != first
    assert "a backup was put back" in notices[0]
    ((why,),) = query(database, "SELECT why FROM runs WHERE number = 1")
    assert "restored from an older copy" in why


async def test_f56_the_same_epoch_but_fewer_events_is_older(database: Path, tmp_path: Path) -> None:
    """A copy taken while an engine was at work, put back after that engine has gone on and ended."""
    store = await Store.open(database)
    await new_run(store)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(tmp_path / "b")) as target:
        source.backup(target)
    await store.commit(note("later"))
    await store.close()
    with database.open("r+b") as file:
        file.write((tmp_path / "b").read_bytes())
        file.truncate()
    _, notices = await opened(database)
    assert "a backup was put back" in notices[0]


async def test_f56_our_own_daily_backup_put_back(database: Path) -> None:
    await in_flight(database)
    await opened(database)
    (kept,) = database.parent.glob("state.db.backup-daily-*")
    store = await Store.open(database)
    await store.commit(note("later"))
    await store.close()
    replace(database, kept)
    _, notices = await opened(database)
    assert "new incarnation" in notices[0]
    assert query(database, "SELECT state FROM runs WHERE number = 1") == [("waiting_for_person",)]


async def test_the_epoch_never_goes_back(database: Path, tmp_path: Path) -> None:
    await in_flight(database)
    shutil.copy(database, tmp_path / "older.db")
    for _ in range(5):
        store = await Store.open(database)
        await store.close()
    replace(database, tmp_path / "older.db")
    again = await Store.open(database)
    assert again.epoch > store.epoch
    await again.close()


async def test_a_kill_between_the_new_incarnation_and_its_witness_is_no_second_restore(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await in_flight(database)
    shutil.copytree(database.parent, tmp_path / "copy")
    copy = tmp_path / "copy" / "state.db"
    before = witness_path(copy).read_bytes()
    copied, _ = await opened(copy)
    witness_path(copy).write_bytes(before)
    assert await opened(copy) == (copied, ())


async def test_a_database_from_before_the_witness_is_no_copy(database: Path) -> None:
    first = await in_flight(database)
    witness_path(database).unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DELETE FROM meta WHERE key = 'identity'")
        connection.commit()
    assert await opened(database) == (first, ())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"epoch": 1}', b"\xff"])
async def test_a_witness_that_cannot_be_read_tells_nothing(database: Path, content: bytes) -> None:
    first = await in_flight(database)
    witness_path(database).write_bytes(content)
    assert await opened(database) == (first, ())
    assert read_witness(database) is not None, "and is written anew"


async def test_the_witness_follows_the_log_and_a_fenced_owner_does_not_touch_it(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.store.store.WITNESS_EVERY_S", 0.0)
    store = await Store.open(database)
    await store.commit(note("a"))
    newer = await Store.open(database)
    await newer.commit(note("b"))
    await newer.close()
    expected = read_witness(database)
    assert expected == Witness(newer.incarnation, newer.epoch, 2)
    await store.close()
    assert read_witness(database) == expected


HERE = Identity("machine", 7, "born")
META = {
    "incarnation": "a",
    "epoch": "5",
    "identity": json.dumps({"machine": "machine", "inode": 7, "born": "born"}),
}


@pytest.mark.parametrize(
    ("meta", "here", "witness", "expected"),
    [
        ({}, HERE, None, ""),
        ({}, HERE, Witness("b", 9, 9), ""),
        (META, HERE, None, ""),
        (META, HERE, Witness("a", 5, 10), ""),
        (META, HERE, Witness("a", 4, 3), ""),
        (META, HERE, Witness("a", 6, 3), "restored"),
        (META, HERE, Witness("a", 5, 11), "restored"),
        (META, HERE, Witness("b", 1, 1), "restored"),
        ({**META, "incarnation_before": "b"}, HERE, Witness("b", 9, 99), ""),
        (META, Identity("machine", 8, "born"), None, "copied"),
        (META, Identity("machine", 7, "later"), None, "copied"),
        (META, Identity("other", 7, "born"), None, "copied"),
        (META, Identity("", 7, ""), None, ""),
        (META, Identity("machine", 8, "born"), Witness("a", 6, 1), "restored"),
        ({**META, "identity": "{}"}, HERE, None, ""),
    ],
)
def test_how_it_is_judged(
    meta: Mapping[str, str], here: Identity, witness: Witness | None, expected: str
) -> None:
    assert judge(dict(meta), here, witness, 10) == expected


def test_an_identity_is_of_the_file_and_not_of_its_name(tmp_path: Path) -> None:
    one = tmp_path / "one"
    one.write_text("x")
    before: Any = identity(one)
    one.rename(tmp_path / "two")
    assert identity(tmp_path / "two") == before
    shutil.copy(tmp_path / "two", one)
    assert not identity(one).same(before)


async def test_looking_at_the_database_drops_none_of_its_locks(store: Store, database: Path) -> None:
    """A process that closes a file loses all its POSIX locks on it, SQLite's too."""

    def held() -> int:
        inode = database.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
        return sum(f":{inode} " in line and f" {os.getpid()} " in line for line in lines)

    if not Path("/proc/locks").exists():
        pytest.skip("only Linux tells who holds a lock")
    await store.commit(note("a"))
    before = held()
    assert before
    identity(database)
    assert held() == before
