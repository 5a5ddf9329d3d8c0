"""The owner's handle on a workspace's state: the writer, and a reader beside it."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import StoreError
from core.model.events import Event
from core.store.backlog import Backlog
from core.store.database import locked_or_broken, open_database
from core.store.reader import StoreReader
from core.store.tx import Tx
from core.store.writer import Writer


class Store:
    """Opened only by the holder of the workspace's lease."""

    def __init__(self, writer: Writer, reader: StoreReader, *, epoch: int, incarnation: str) -> None:
        self._writer = writer
        self._backlog = Backlog()
        self._closed = False
        self.reader = reader
        self.epoch = epoch
        self.incarnation = incarnation

    @classmethod
    async def open(cls, path: Path, *, now: Callable[[], float] = time.time) -> Store:
        """Opens, creates or migrates the database and raises its epoch, which fences any earlier owner.

        Raises StoreNewer, StoreCorrupt, StoreError.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection = await asyncio.to_thread(open_database, path)
        try:
            epoch, incarnation, last_seq = await asyncio.to_thread(_take_epoch, connection, path)
            reader = await StoreReader.open(path)
        except BaseException:
            connection.close()
            raise
        writer = Writer(connection, path, epoch=epoch, last_seq=last_seq, now=now)
        return cls(writer, reader, epoch=epoch, incarnation=incarnation)

    @property
    def on_events(self) -> Callable[[Sequence[Event]], None] | None:
        """Called on the loop with events as they become durable, in order."""
        return self._writer.on_events

    @on_events.setter
    def on_events(self, receive: Callable[[Sequence[Event]], None] | None) -> None:
        self._writer.on_events = receive

    @property
    def on_failure(self) -> Callable[[BaseException], None] | None:
        """Called on the loop when nothing more can be written, or the disk is full."""
        return self._writer.on_failure

    @on_failure.setter
    def on_failure(self, receive: Callable[[BaseException], None] | None) -> None:
        self._writer.on_failure = receive

    @property
    def last_seq(self) -> int:
        """The highest sequence number that is durable and announced."""
        return self._writer.announced_seq

    @property
    def commits(self) -> int:
        """How many SQLite transactions have been committed."""
        return self._writer.commits

    def commit(self, tx: Tx) -> asyncio.Future[None]:
        """Durable when the future is done; it raises Fenced or StoreError."""
        return self._writer.commit(tx)

    def post(self, tx: Tx) -> None:
        """Durable in order, nobody waits; a failure goes to `on_failure`. Output counts against `room`."""
        size = sum(len(piece.data) for piece in tx.output_pieces)
        if not size:
            self._writer.post(tx)
            return
        written = self._writer.commit(tx)
        self._backlog.add(size, written)
        written.add_done_callback(self._heard)

    def room(self) -> asyncio.Future[None] | None:
        """None where more output may come; else a future that is done when it may."""
        return self._backlog.room()

    def _heard(self, written: asyncio.Future[None]) -> None:
        """Output that nobody waits for was stored, or was not."""
        error = written.exception()
        if error is not None and not self._closed and self.on_failure is not None:
            self.on_failure(error)

    async def flush(self) -> None:
        """Returns when everything queued so far is durable."""
        await self._writer.commit(Tx())

    async def close(self) -> None:
        """Commits what is queued and closes."""
        self._closed = True
        await self._writer.close()
        await self.reader.close()


def _take_epoch(connection: sqlite3.Connection, path: Path) -> tuple[int, str, int]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        row = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        epoch = int(row[0]) + 1 if row else 1
        connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)", (str(epoch),))
        row = connection.execute("SELECT value FROM meta WHERE key = 'incarnation'").fetchone()
        incarnation = row[0] if row else secrets.token_hex(16)
        if row is None:
            connection.execute("INSERT INTO meta (key, value) VALUES ('incarnation', ?)", (incarnation,))
        (last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise locked_or_broken(path, error) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}") from error
    return epoch, incarnation, last_seq
