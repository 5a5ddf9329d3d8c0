"""Opens `state.db`: refuses what cannot be trusted, migrates with a backup first.

Order of the looks: file system, header and version, integrity, then migration. Whatever is refused is
left untouched.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from core.errors import DiskFull, StoreCorrupt, StoreError, StoreNewer
from core.store.backups import backup, newest_good
from core.store.filesystem import refuse_network
from core.store.locks import lock_holders, named
from core.store.schema import MIGRATIONS, VERSION

BUSY_TIMEOUT_S = 5.0


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the settings that every user of the database shares."""
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False, cached_statements=256
    )
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    return connection


def open_database(path: Path) -> sqlite3.Connection:
    """Opens the database for its one writer, creating or migrating it.

    Raises StoreNewer, StoreCorrupt, StoreError (network file system, locked by another program).
    """
    refuse_network(path.parent)
    existed = path.exists()
    if not existed:
        # Created here, so that it is private from its first byte.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600))
    elif path.is_symlink() or not path.is_file():
        raise StoreError(f"{path} is not a regular file")
    try:
        if existed:
            check(path)
        connection = connect(path)
        try:
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError as error:
        raise locked_or_broken(path, error) from error
    except sqlite3.DatabaseError as error:
        raise corrupt(path, str(error)) from error
    return connection


def check(path: Path) -> None:
    """Refuses a database that is newer than this program, or fails SQLite's quick check."""
    with contextlib.closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise StoreNewer(
                    f"{path} has schema version {version}; this Windlass knows versions up to {VERSION}",
                    hint="use the newer Windlass that wrote it; nothing was changed",
                )
            found = [row[0] for row in connection.execute("PRAGMA quick_check(5)")]
        except sqlite3.OperationalError as error:
            raise locked_or_broken(path, error) from error
        except sqlite3.DatabaseError as error:
            raise corrupt(path, str(error)) from error
    if found != ["ok"]:
        raise corrupt(path, "; ".join(found))


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the schema up to date, each version in one transaction, with a backup before the first."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == VERSION:
        return
    if version > 0:
        backup(connection, path, f"v{version}")
    for number in range(version, VERSION):
        # executescript would commit by itself; the statements run one by one inside our transaction.
        connection.execute("BEGIN EXCLUSIVE")
        try:
            for statement in _statements(MIGRATIONS[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _statements(script: str) -> list[str]:
    """The statements of a migration; none of them holds a semicolon inside."""
    return [statement.strip() for statement in script.split(";") if statement.strip()]


def corrupt(path: Path, found: str) -> StoreCorrupt:
    """The refusal of a damaged database, with the newest backup that passes the check."""
    good = newest_good(path)
    hint = (
        f"the newest good backup is {good}: move {path.name}, {path.name}-wal and {path.name}-shm away, "
        f"then copy it to {path}; runs that were open in it then wait for a person"
        if good
        else f"there is no good backup beside it; move {path} away to start with an empty history"
    )
    return StoreCorrupt(f"{path} is damaged ({found}); nothing was changed", hint=hint)


def locked_or_broken(path: Path, error: sqlite3.OperationalError) -> StoreError:
    """An operational error in words: who locks the database where that can be told, else what SQLite says."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        holders = lock_holders(path)
        by = f" (held by {named(holders)})" if holders else ""
        return StoreError(
            f"{path} has been locked by another program for {BUSY_TIMEOUT_S:g} s{by}",
            hint="end that program, or wait until it has finished, and try again",
        )
    if is_full(error):
        return DiskFull(f"no space left for {path}", hint="free some space on that disk, then resume the run")
    return StoreError(f"{path}: {error}")


def is_full(error: BaseException) -> bool:
    """True for what SQLite says when the disk has no space left."""
    code = getattr(error, "sqlite_errorcode", None)
    return (
        isinstance(error, sqlite3.OperationalError)
        and code is not None
        and (
            (code & 0xFF) == sqlite3.SQLITE_FULL
            or code in (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_SHMSIZE)
        )
    )
