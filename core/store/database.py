"""Opens `state.db`: refuses what cannot be trusted, migrates with a backup first.

Order of the looks: file system, header and version, integrity, then migration. Whatever is refused is
left untouched.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
from pathlib import Path

from core.errors import StoreCorrupt, StoreError, StoreNewer
from core.store.schema import MIGRATIONS, VERSION

BUSY_TIMEOUT_S = 5.0
BACKUPS_KEPT = 3
NETWORK_FILE_SYSTEMS = (
    "nfs",
    "nfs4",
    "cifs",
    "smb",
    "smb2",
    "smb3",
    "smbfs",
    "fuse.sshfs",
    "afs",
    "ceph",
    "glusterfs",
)


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
        backup(connection, path, version)
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


def backup(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A consistent copy beside the database; the newest three are kept."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = path.with_name(f"{path.name}.backup-v{version}-{stamp}")
    unfinished = target.with_name(target.name + ".part")
    os.close(os.open(unfinished, os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with contextlib.closing(sqlite3.connect(unfinished)) as copy:
        connection.backup(copy)
    unfinished.replace(target)
    for old in backups(path)[BACKUPS_KEPT:]:
        old.unlink(missing_ok=True)
    return target


def backups(path: Path) -> list[Path]:
    """The backups of a database, newest first."""
    found = [entry for entry in path.parent.glob(f"{path.name}.backup-v*") if entry.suffix != ".part"]
    return sorted(found, key=lambda entry: entry.stat().st_mtime, reverse=True)


def refuse_network(folder: Path) -> None:
    """Refuses network file systems, where locks and shared memory cannot be trusted (Linux tells; elsewhere
    it cannot be told).
    """
    if sys.platform != "linux":
        return
    kind = _file_system(folder.resolve())
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"{folder} is on a network file system ({kind}): SQLite's locks cannot be trusted there",
            hint="put the workspace on a local disk",
        )


def _file_system(folder: Path) -> str:
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        mount = Path(fields[4].replace("\\040", " "))
        if folder.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind = len(mount.parts), after.split()[0]
    return kind


def _statements(script: str) -> list[str]:
    """The statements of a migration; none of them holds a semicolon inside."""
    return [statement.strip() for statement in script.split(";") if statement.strip()]


def corrupt(path: Path, found: str) -> StoreCorrupt:
    """The refusal of a damaged database, with the newest backup that passes the check."""
    good = next((entry for entry in backups(path) if _passes(entry)), None)
    hint = (
        f"the newest good backup is {good}: move {path.name}, {path.name}-wal and {path.name}-shm away, "
        f"then copy it to {path}"
        if good
        else f"there is no good backup beside it; move {path} away to start with an empty history"
    )
    return StoreCorrupt(f"{path} is damaged ({found}); nothing was changed", hint=hint)


def _passes(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.Error:
        return False


def locked_or_broken(path: Path, error: sqlite3.OperationalError) -> StoreError:
    """An operational error in words: who locks the database where that can be told, else what SQLite says."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        holders = lock_holders(path)
        named = f" (held by pid {', '.join(map(str, holders))})" if holders else ""
        return StoreError(
            f"{path} has been locked by another program for {BUSY_TIMEOUT_S:g} s{named}",
            hint="end that program, or wait until it has finished, and try again",
        )
    return StoreError(f"{path}: {error}")


def lock_holders(path: Path) -> list[int]:
    """Pids of other processes that hold locks on the database or its companions (Linux only)."""
    inodes = set()
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            inodes.add(path.with_name(path.name + suffix).stat().st_ino)
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = set()
    for line in lines:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            start = fields.index("WRITE") if "WRITE" in fields else fields.index("READ")
            pid, inode = int(fields[start + 1]), int(fields[start + 2].rsplit(":", 1)[1])
            if inode in inodes and pid not in (os.getpid(), -1):
                found.add(pid)
    return sorted(found)
