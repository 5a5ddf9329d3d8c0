"""How much output is kept: head and tail of each attempt's stream, the middle counted and hashed.

The head is kept as it comes. What follows is kept as well until it exceeds the tail's size; then the
oldest kept pieces after the head are dropped, counted, and chained into a hash, H(previous + piece), so
that two runs can be compared beyond what is kept.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import deque
from dataclasses import dataclass, field

from core.model.states import Purpose, Stream
from core.store.rows import Row, insert

HEAD_BYTES = 256 * 1024
TAIL_BYTES = 256 * 1024
ROW_BYTES = 64 * 1024
"""Of a large piece each row is dropped by itself, so that little more than the tail is kept."""
STREAMS_REMEMBERED = 4096

COLUMNS = ("run", "idx", "purpose", "attempt", "stream", "start", "end", "time", "data")
INSERT = f"INSERT INTO output ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

Source = tuple[int, int, str, int, str]
"""Run, task, purpose, attempt, stream."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some bytes of one attempt's stream, from raw offset `start`."""

    run: int
    index: int
    purpose: Purpose
    attempt: int
    stream: Stream
    start: int
    data: bytes

    @property
    def source(self) -> Source:
        """The stream that the piece belongs to."""
        return (self.run, self.index, self.purpose.value, self.attempt, self.stream.value)


@dataclass(slots=True)
class _Kept:
    head_bytes: int = 0
    tail: deque[tuple[int, int]] = field(default_factory=deque)  # (row id, bytes), oldest first
    tail_bytes: int = 0
    total: int = 0
    dropped: int = 0
    hash: str = ""


class OutputBudget:
    """Writes pieces within the bounds; lives in the writer's thread, one for each database."""

    def __init__(self, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
        self._head_bytes = head_bytes
        self._tail_bytes = tail_bytes
        self._kept: dict[Source, _Kept] = {}
        self._heads: list[Row] = []

    def write(self, connection: sqlite3.Connection, piece: Piece) -> None:
        """Stores a piece; drops what no longer fits. What a stream begins with waits for `flush`."""
        source = piece.source
        kept = self._kept.get(source)
        if kept is None:
            if len(self._kept) >= STREAMS_REMEMBERED:
                self._kept.pop(next(iter(self._kept)))
            # An attempt has one start; a guard has as many as it was looked at.
            first = piece.start == 0 and piece.purpose in (Purpose.RUN, Purpose.UNDO)
            kept = self._kept[source] = _Kept() if first else self._read(connection, piece)
        room = max(0, self._head_bytes - kept.head_bytes)
        if room:
            head = piece.data[:room]
            self._heads.append(_row(source, piece.start, head))
            kept.head_bytes += len(head)
        rest = piece.data[room:]
        kept.total = piece.start + len(piece.data)
        if not rest:
            return
        self.flush(connection)
        for at in range(0, len(rest), ROW_BYTES):
            part = rest[at : at + ROW_BYTES]
            cursor = connection.execute(INSERT, _row(source, piece.start + room + at, part))
            kept.tail.append((cursor.lastrowid or 0, len(part)))
            kept.tail_bytes += len(part)
        if kept.tail_bytes > self._tail_bytes:
            self._drop(connection, piece, kept)

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes what waits, in the order in which it came."""
        if self._heads:
            heads, self._heads = self._heads, []
            insert(connection, "output", COLUMNS, heads)

    def forget(self) -> None:
        """Forgets what was counted in a transaction that was rolled back: it is read again."""
        self._kept.clear()
        self._heads.clear()

    def _drop(self, connection: sqlite3.Connection, piece: Piece, kept: _Kept) -> None:
        while len(kept.tail) > 1 and kept.tail_bytes - kept.tail[0][1] >= self._tail_bytes:
            row, size = kept.tail.popleft()
            (data,) = connection.execute("SELECT data FROM output WHERE id = ?", (row,)).fetchone()
            connection.execute("DELETE FROM output WHERE id = ?", (row,))
            kept.hash = hashlib.sha256(kept.hash.encode() + data).hexdigest()
            kept.dropped += size
            kept.tail_bytes -= size
        connection.execute(
            "INSERT OR REPLACE INTO output_dropped (run, idx, purpose, attempt, stream, total, dropped, hash) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*piece.source, kept.total, kept.dropped, kept.hash),
        )

    def _read(self, connection: sqlite3.Connection, piece: Piece) -> _Kept:
        """What is stored of a stream already (after a restart, or when it was forgotten)."""
        self.flush(connection)
        kept = _Kept()
        where = "run = ? AND idx = ? AND purpose = ? AND attempt = ? AND stream = ?"
        row = connection.execute(
            f"SELECT total, dropped, hash FROM output_dropped WHERE {where}", piece.source
        ).fetchone()
        if row is not None:
            kept.total, kept.dropped, kept.hash = row
        for identity, start, end in connection.execute(
            f"SELECT id, start, end FROM output WHERE {where} ORDER BY id", piece.source
        ):
            # By what is kept, not by offsets: there may be gaps. The head is filled to the byte.
            if not kept.tail and kept.head_bytes + end - start <= self._head_bytes:
                kept.head_bytes += end - start
            else:
                kept.tail.append((identity, end - start))
                kept.tail_bytes += end - start
            kept.total = max(kept.total, end)
        return kept


def _row(source: Source, start: int, data: bytes) -> Row:
    return (*source, start, start + len(data), time.time(), data)
