"""Opening the database: private, migrated with a backup first, or refused and left as it is."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import StoreCorrupt, StoreError, StoreNewer
from core.store import database as database_module
from core.store.backups import KEPT, backup, backups
from core.store.database import open_database
from core.store.locks import lock_holders
from core.store.schema import MIGRATIONS, VERSION
from core.store.store import Store
from tests.unit.store.support import new_run, note, query, write_lock

NEXT = "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'; CREATE TABLE later (id INTEGER PRIMARY KEY)"


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> int:
    """This program knows one more version of the schema."""
    monkeypatch.setattr(database_module, "MIGRATIONS", (*MIGRATIONS, NEXT))
    monkeypatch.setattr(database_module, "VERSION", VERSION + 1)
    return VERSION + 1


async def filled(path: Path) -> None:
    """A database with a run in it, closed."""
    store = await Store.open(path)
    await new_run(store)
    await store.close()


def files_of(path: Path) -> dict[str, bytes]:
    """The database and its companions, byte by byte; shared memory and an empty WAL are no content."""
    found = {entry.name: entry.read_bytes() for entry in path.parent.iterdir()}
    return {
        name: content
        for name, content in found.items()
        if name.startswith(path.name) and not name.endswith("-shm") and (content or name == path.name)
    }


async def test_state_is_for_its_owner_alone(database: Path) -> None:
    before = os.umask(0)
    try:
        store = await Store.open(database)
        await store.commit(note("a"))
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in database.parent.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(database.parent.stat().st_mode) == 0o700
    assert {"state.db", "state.db-wal", "state.db-shm"} <= set(modes)
    assert set(modes.values()) == {0o600}, modes


async def test_each_owner_raises_the_epoch(database: Path) -> None:
    for epoch in (1, 2, 3):
        store = await Store.open(database)
        assert store.epoch == epoch
        await store.close()


async def test_a_migration_keeps_a_backup(database: Path, next_version: int) -> None:
    with pytest.MonkeyPatch.context() as older:
        older.setattr(database_module, "MIGRATIONS", MIGRATIONS)
        older.setattr(database_module, "VERSION", VERSION)
        await filled(database)
    with closing(open_database(database)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (next_version,)
        assert connection.execute("SELECT colour FROM runs").fetchall() == [("grey",)]
        assert connection.execute("SELECT count(*) FROM later").fetchone() == (0,)
    (kept,) = backups(database)
    assert kept.name.startswith(f"state.db.backup-v{VERSION}-")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert query(kept, "PRAGMA user_version") == [(VERSION,)]
    assert query(kept, "SELECT number FROM runs") == [(1,)]
    assert query(kept, "PRAGMA quick_check") == [("ok",)]


async def test_a_migration_that_fails_changes_nothing(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(database)
    schema = query(database, "SELECT name, sql FROM sqlite_master ORDER BY name")
    broken = "CREATE TABLE half (id INTEGER PRIMARY KEY); ALTER TABLE nowhere ADD COLUMN x"
    monkeypatch.setattr(database_module, "MIGRATIONS", (*MIGRATIONS, broken))
    monkeypatch.setattr(database_module, "VERSION", VERSION + 1)
    with pytest.raises(StoreError, match="nowhere"):
        open_database(database)
    assert query(database, "SELECT name, sql FROM sqlite_master ORDER BY name") == schema
    assert query(database, "PRAGMA user_version") == [(VERSION,)]
    assert query(database, "SELECT number FROM runs") == [(1,)]


async def test_the_newest_backups_are_kept(database: Path) -> None:
    await filled(database)
    stamps = [f"2026010{day}-000000" for day in range(1, 6)]
    for age, stamp in enumerate(stamps):
        old = database.with_name(f"state.db.backup-v1-{stamp}")
        shutil.copy(database, old)
        os.utime(old, (1_700_000_000 + age, 1_700_000_000 + age))
    with closing(sqlite3.connect(database)) as connection:
        newest = backup(connection, database, "v1")
    assert len(backups(database)) == KEPT
    assert backups(database)[0] == newest
    assert [entry.name[-15:] for entry in backups(database)[1:]] == [stamps[4], stamps[3]]


async def test_a_newer_database_is_refused_with_both_versions(database: Path) -> None:
    await filled(database)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 4}")
    before = files_of(database)
    with pytest.raises(StoreNewer) as caught:
        await Store.open(database)
    assert f"version {VERSION + 4}" in caught.value.message
    assert f"up to {VERSION}" in caught.value.message
    assert "newer Windlass" in caught.value.hint
    assert files_of(database) == before


@pytest.mark.parametrize("damage", ["pages", "header", "cut", "no database"])
async def test_a_damaged_database_is_refused_and_left_as_it_is(database: Path, damage: str) -> None:
    await filled(database)
    content = bytearray(database.read_bytes())
    if damage == "pages":
        content[4096 * 3 : 4096 * 12] = b"\xa5" * (4096 * 9)
    elif damage == "header":
        content[:100] = b"\x00" * 100
    elif damage == "cut":
        del content[len(content) // 2 :]
    else:
        content = bytearray(b"this is no database, " * 1000)
    database.write_bytes(content)
    before = files_of(database)
    with pytest.raises(StoreCorrupt) as caught:
        await Store.open(database)
    assert str(database) in caught.value.message
    assert "no good backup" in caught.value.hint
    assert files_of(database) == before


async def test_the_newest_good_backup_is_offered(database: Path) -> None:
    await filled(database)
    good = database.with_name("state.db.backup-v1-20260101-000000")
    shutil.copy(database, good)
    os.utime(good, (1_700_000_000, 1_700_000_000))
    newer_but_bad = database.with_name("state.db.backup-v1-20260201-000000")
    newer_but_bad.write_bytes(b"\x00" * 50_000 + b"x")
    database.write_bytes(b"\xff" * 8192)
    with pytest.raises(StoreCorrupt) as caught:
        await Store.open(database)
    assert str(good) in caught.value.hint
    assert str(newer_but_bad) not in caught.value.hint


async def test_what_is_no_regular_file_is_refused(database: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    await filled(elsewhere)
    before = elsewhere.read_bytes()
    database.parent.mkdir(mode=0o700)
    database.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="regular file"):
        await Store.open(database)
    assert elsewhere.read_bytes() == before
    database.unlink()
    database.mkdir()
    with pytest.raises(StoreError, match="regular file"):
        await Store.open(database)


async def test_an_empty_file_is_a_new_database(database: Path) -> None:
    """What is left of an owner that was killed before its first transaction."""
    database.parent.mkdir(mode=0o700)
    database.touch(0o600)
    await filled(database)
    assert query(database, "SELECT number FROM runs") == [(1,)]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who holds a lock")
async def test_who_holds_a_lock_is_told_but_not_ourselves(database: Path) -> None:
    await filled(database)
    with write_lock(database):
        assert lock_holders(database) == [], "our own locks are no answer"


async def test_runs_of_before_there_were_environments_have_none(database: Path) -> None:
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(sqlite3.connect(database)) as connection:
        for migration in MIGRATIONS[:2]:
            connection.executescript(migration)
        connection.execute(
            "INSERT INTO runs (number, run_id, batch, path, state, asked, actor, created, tasks, servers, params) "
            "VALUES (1, 'x', 'work', 'work.yaml', 'done', 'run', 'ada', 1.0, 0, 0, '{}')"
        )
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    store = await Store.open(database)
    try:
        run = await store.reader.run(1)
        assert run is not None and (run.environment, run.protection) == ("", "none")
        assert not await store.reader.has_run("", "")
    finally:
        await store.close()
