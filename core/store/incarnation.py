"""Finds out whether a database is still the one it was, and makes it another one where it is not.

A copied workspace and a restored backup both go on from a past that the servers have left: what ran since is
not in them, and the original may still be at work. So they get a new incarnation, in the transaction that
raises the epoch:

- every open run waits for a person, and says why;
- tasks that had started and have no outcome are in doubt (a wait, which changes nothing, is made again; a
  command that ended well is still to be verified);
- records on servers are forgotten here: they are the original's, neither adopted nor swept;
- holds stay, and cursors of the old incarnation are told "gone".

How it is found: the database stores which file on which machine it is. The file is named by inode and birth,
so that a move or a rename is no copy. An older database put back, even into the same file, is found by the
witness, a small file beside it that says how far the database had come.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import sqlite3
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.files import write_atomically
from core.model import events
from core.model.states import OPEN_RUNS, Phase, RunState, TaskState, UndoState

COPIED = "copied"
RESTORED = "restored"
RECORDS_ON_SERVERS = (("attempts", "folder"),)
"""Columns (table, column) that say what lies on servers; in a new incarnation they become ''."""

LOST = {
    COPIED: "this workspace is a copy: the original may still carry this run on, and what ran since the copy was "
    "made is not known here",
    RESTORED: "the database was restored from an older copy: what ran since then is not known here",
}
NEXT = "look at its servers, then resume, roll back or cancel it"
MESSAGES = {
    COPIED: "this workspace is a copy (of a folder, a disk or a backup), so it is a new incarnation",
    RESTORED: "the database is older than it was when it was last used (a backup was put back), "
    "so it is a new incarnation",
}
_AT_FDCWD, _STATX_BTIME = -100, 0x800
_OPEN = tuple(sorted(state.value for state in OPEN_RUNS))


# ---------------------------------------------------------------- which file on which machine


@dataclass(frozen=True, slots=True)
class Identity:
    """A file beyond its name. `born` tells one file from a later one with the same inode; "" is unknown."""

    machine: str
    inode: int
    born: str

    def same(self, other: Identity) -> bool:
        """True unless the two are certainly different."""
        return self.inode == other.inode and all(
            not one or not two or one == two
            for one, two in ((self.machine, other.machine), (self.born, other.born))
        )


def identity(path: Path) -> Identity:
    """What a file is now."""
    return Identity(_machine(), path.stat().st_ino, _birth(path))


def _machine() -> str:
    """This machine, not to be traced back: its id is hashed, as machine-id(5) asks; "" where there is none."""
    for file in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with contextlib.suppress(OSError):
            found = Path(file).read_text("utf-8", "replace").strip()
            if found and found != "uninitialized":
                return hashlib.sha256(f"windlass {found}".encode()).hexdigest()[:32]
    return ""


def _birth(path: Path) -> str:
    """When the file came into being; "" where the file system or the C library does not tell.

    Asked by name: opening the database file, whatever for, and closing it again would drop every lock that SQLite
    holds on it in this process (fcntl(2)), and another engine would then take its WAL away.
    """
    told = getattr(path.stat(), "st_birthtime", None)
    if told is not None:
        return str(told)
    import ctypes

    buffer = ctypes.create_string_buffer(256)
    try:
        answer = ctypes.CDLL(None).statx(_AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, buffer)
    except (OSError, AttributeError):
        return ""
    (mask,) = struct.unpack_from("=I", buffer, 0)
    if answer != 0 or not mask & _STATX_BTIME:
        return ""
    seconds, nanoseconds = struct.unpack_from("=qI", buffer, 80)
    return f"{seconds}.{nanoseconds:09}"


# ---------------------------------------------------------------- how far it had come


@dataclass(frozen=True, slots=True)
class Witness:
    """How far a database had come, at least: written after what it tells is durable."""

    incarnation: str
    epoch: int
    last_seq: int


def witness_path(database: Path) -> Path:
    """Where the witness of a database lies."""
    return database.with_name("witness.json")


def read_witness(database: Path) -> Witness | None:
    """The witness; None where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(witness_path(database).read_text("utf-8"))
        return Witness(str(told["incarnation"]), int(told["epoch"]), int(told["last_seq"]))
    return None


def write_witness(database: Path, witness: Witness) -> None:
    """Replaces the witness, durably; one of a later epoch stays. A full disk leaves the old one."""
    before = read_witness(database)
    if before and before.incarnation == witness.incarnation and before.epoch > witness.epoch:
        return
    with contextlib.suppress(OSError):
        write_atomically(witness_path(database), json.dumps(asdict(witness)).encode())


# ---------------------------------------------------------------- at each opening


@dataclass(frozen=True, slots=True)
class Taken:
    """What taking the epoch found. `adopted` is a sentence for people where this is a new incarnation."""

    epoch: int
    incarnation: str
    last_seq: int
    adopted: str = ""


def take_epoch(connection: sqlite3.Connection, path: Path, *, now: float) -> Taken:
    """Raises the epoch in one transaction, which fences any earlier owner, together with what a new
    incarnation changes. Raises sqlite3.Error.
    """
    here, witness = identity(path), read_witness(path)
    connection.execute("BEGIN IMMEDIATE")
    try:
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        (stored,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        last_seq = max(stored, int(meta.get("pruned_seq", 0)))
        incarnation = meta.get("incarnation") or secrets.token_hex(16)
        epoch = int(meta.get("epoch", 0))
        how = judge(meta, here, witness, last_seq)
        adopted = ""
        if how:
            # The epoch never goes back, or an owner that was frozen before the restore might not be fenced.
            epoch = max(epoch, witness.epoch if witness else 0)
            before, incarnation = incarnation, secrets.token_hex(16)
            _put(connection, "incarnation_before", before)
            adopted, last_seq = adopt(connection, how, before, incarnation, last_seq, now)
        epoch += 1
        _put(connection, "incarnation", incarnation)
        _put(connection, "epoch", str(epoch))
        _put(connection, "identity", json.dumps(asdict(here)))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    write_witness(path, Witness(incarnation, epoch, last_seq))
    return Taken(epoch, incarnation, last_seq, adopted)


def judge(meta: dict[str, str], here: Identity, witness: Witness | None, last_seq: int) -> str:
    """COPIED or RESTORED, or "" where the database is the one it was, or new."""
    if "incarnation" not in meta:
        return ""
    if witness is not None:
        if witness.incarnation == meta["incarnation"]:
            if witness.epoch > int(meta.get("epoch", 0)) or witness.last_seq > last_seq:
                return RESTORED
        elif witness.incarnation != meta.get("incarnation_before"):  # that one is a kill before its writing
            return RESTORED
    with contextlib.suppress(KeyError, ValueError, TypeError):
        if not here.same(Identity(**json.loads(meta["identity"]))):
            return COPIED
    return ""


def _put(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


# ---------------------------------------------------------------- what a new incarnation changes


def adopt(
    connection: sqlite3.Connection, how: str, before: str, incarnation: str, last_seq: int, now: float
) -> tuple[str, int]:
    """Puts open runs and their tasks where a person must look; in the caller's transaction.

    Returns a sentence for people, and the sequence number of the last event.
    """
    log = _Log(connection, last_seq, now)
    forget_records(connection)
    runs = connection.execute(
        f"SELECT number, state FROM runs WHERE state IN ({', '.join('?' * len(_OPEN))}) ORDER BY number",
        _OPEN,
    ).fetchall()
    numbers = [number for number, _ in runs]
    message = MESSAGES[how]
    if numbers:
        named = ", ".join(map(str, numbers[:10])) + (" and more" if len(numbers) > 10 else "")
        message += f": run{'s' if len(numbers) > 1 else ''} {named} wait{'' if len(numbers) > 1 else 's'} for a person"
    log.tell(
        events.WORKSPACE_ADOPTED,
        {"how": how, "message": message, "before": before, "incarnation": incarnation, "runs": numbers},
    )
    for number, state in runs:
        _doubt_tasks(connection, log, number, how)
        _doubt_undos(connection, log, number, how)
        why = f"{LOST[how]}; {NEXT}"
        connection.execute(
            "UPDATE runs SET state = ?, why = ?, ended = NULL WHERE number = ?",
            (RunState.WAITING.value, why, number),
        )
        log.tell(events.RUN_STATE, {"from": state, "to": RunState.WAITING.value, "why": why}, run=number)
    return message, log.seq


def forget_records(connection: sqlite3.Connection) -> None:
    """Forgets what lies on servers: those records are the original's, neither adopted nor swept from here.

    A column of RECORDS_ON_SERVERS that this schema does not have is passed over.
    """
    for table, column in RECORDS_ON_SERVERS:
        columns = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
        if column in columns:
            connection.execute(f"UPDATE {table} SET {column} = '' WHERE {column} <> ''")


def _doubt_tasks(connection: sqlite3.Connection, log: _Log, run: int, how: str) -> None:
    rows = connection.execute(
        "SELECT t.idx, t.step, t.server, t.attempt, t.phase, s.kind FROM tasks t "
        "JOIN steps s ON s.run = t.run AND s.name = t.step WHERE t.run = ? AND t.state = ? ORDER BY t.idx",
        (run, TaskState.RUNNING.value),
    ).fetchall()
    for index, step, server, attempt, phase, kind in rows:
        keep_phase = None
        if kind == "wait":
            to, outcome, why = (
                TaskState.WAITING,
                "not started",
                "interrupted while waiting; it is probed again",
            )
        elif phase == Phase.VERIFY.value:
            # Its outcome is durable: only the verification, which changes nothing, is made again.
            to, outcome, why, keep_phase = TaskState.WAITING, "in doubt", "still to be verified", phase
        else:
            to, outcome, why = TaskState.IN_DOUBT, "in doubt", LOST[how]
        _end_attempt(connection, log, run, index, "run", outcome, why)
        connection.execute(
            "UPDATE tasks SET state = ?, phase = ?, why = ? WHERE run = ? AND idx = ?",
            (to.value, keep_phase, why, run, index),
        )
        data = {"from": TaskState.RUNNING.value, "to": to.value, "why": why, "interrupted": True}
        if keep_phase:
            data["phase"] = keep_phase
        log.tell(events.TASK_STATE, data, run=run, step=step, server=server, attempt=attempt or None)


def _doubt_undos(connection: sqlite3.Connection, log: _Log, run: int, how: str) -> None:
    rows = connection.execute(
        "SELECT idx, step, server FROM tasks WHERE run = ? AND undo = ? ORDER BY idx",
        (run, UndoState.UNDOING.value),
    ).fetchall()
    for index, step, server in rows:
        _end_attempt(connection, log, run, index, "undo", "in doubt", LOST[how])
        connection.execute(
            "UPDATE tasks SET undo = ?, undo_why = ? WHERE run = ? AND idx = ?",
            (UndoState.IN_DOUBT.value, LOST[how], run, index),
        )
        data = {"from": UndoState.UNDOING.value, "to": UndoState.IN_DOUBT.value, "why": LOST[how]}
        log.tell(events.TASK_UNDO, data, run=run, step=step, server=server)


def _end_attempt(
    connection: sqlite3.Connection, log: _Log, run: int, index: int, purpose: str, outcome: str, why: str
) -> None:
    connection.execute(
        "UPDATE attempts SET ended = ?, outcome = ?, why = ? "
        "WHERE run = ? AND idx = ? AND purpose = ? AND outcome = ''",
        (log.now, outcome, why, run, index, purpose),
    )


@dataclass(slots=True)
class _Log:
    """Events of the transaction in the making."""

    connection: sqlite3.Connection
    seq: int
    now: float

    def tell(
        self,
        type_: str,
        data: dict[str, Any],
        *,
        run: int | None = None,
        step: str | None = None,
        server: str | None = None,
        attempt: int | None = None,
    ) -> None:
        self.seq += 1
        self.connection.execute(
            "INSERT INTO events (seq, type, run, step, server, attempt, actor, time, data) "
            "VALUES (?, ?, ?, ?, ?, ?, 'engine', ?, ?)",
            (
                self.seq,
                type_,
                run,
                step,
                server,
                attempt,
                self.now,
                json.dumps(data, separators=(",", ":"), ensure_ascii=False),
            ),
        )
