"""Backups of the database beside it: before each migration, and once a day when an engine opens it.

Each is made through SQLite's backup API, checked, synced, and only then given its name; a few of each kind
are kept. A backup that is put back is found to be an older copy when it is opened (`core.store.incarnation`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from pathlib import Path

from core.errors import StoreError
from core.files import sync_folder

KEPT = 3
DAILY = "daily"
DAILY_AFTER_S = 24 * 3600.0
PART = ".part"
SPARE_BYTES = 64 * 1024 * 1024
"""Left free by a daily backup: room for the run that the engine was opened for."""


def backup(connection: sqlite3.Connection, path: Path, kind: str) -> Path:
    """A consistent, checked copy `NAME.backup-KIND-TIME`; the newest three of each kind are kept.

    Raises OSError, sqlite3.Error, or StoreError where the copy fails its check.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = path.with_name(f"{path.name}.backup-{kind}-{stamp}")
    unfinished = target.with_name(target.name + PART)
    for left in path.parent.glob(f"{path.name}.backup-*{PART}*"):  # of an engine that was killed here
        left.unlink(missing_ok=True)
    try:
        os.close(os.open(unfinished, os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        with contextlib.closing(sqlite3.connect(unfinished)) as copy:
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file that is whole by itself
        if not passes(unfinished):
            raise StoreError(f"the backup {unfinished} fails SQLite's check", hint="look at that disk")
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        unfinished.replace(target)
        sync_folder(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in [entry for entry in backups(path) if _kind(path, entry) == kind][KEPT:]:
        old.unlink(missing_ok=True)
    return target


def backup_daily(connection: sqlite3.Connection, path: Path) -> str:
    """Makes a backup where the newest is older than a day and there is something to keep.

    Returns a warning for a person where it could not be made; that stops nothing.
    """
    newest = next(iter(backups(path)), None)
    if newest is not None and 0 <= time.time() - newest.stat().st_mtime < DAILY_AFTER_S:
        return ""
    try:
        if connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is None:
            return ""
        needed = path.stat().st_size + path.with_name(f"{path.name}-wal").stat().st_size + SPARE_BYTES
        if shutil.disk_usage(path.parent).free < needed:
            return f"no daily backup of {path} was made: the disk has less than {needed >> 20} MiB free"
        backup(connection, path, DAILY)
    except (OSError, sqlite3.Error, StoreError) as error:
        return f"no daily backup of {path} was made: {error}"
    return ""


def backups(path: Path) -> list[Path]:
    """The backups of a database, newest first."""
    found = [
        entry
        for entry in path.parent.glob(f"{path.name}.backup-*")
        if not entry.name.endswith((PART, "-wal", "-shm", "-journal"))
    ]
    return sorted(found, key=lambda entry: (entry.stat().st_mtime, entry.name), reverse=True)


def newest_good(path: Path) -> Path | None:
    """The newest backup that passes SQLite's check."""
    return next((entry for entry in backups(path) if passes(entry)), None)


def passes(path: Path) -> bool:
    """True where a database file is whole."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return False


def _kind(path: Path, entry: Path) -> str:
    """`v3` or `daily` of `state.db.backup-v3-20260301-140211`."""
    return entry.name.removeprefix(f"{path.name}.backup-").split("-", 1)[0]
