"""The owner's handle on a workspace's state: the writer, a reader beside it, and the witness.

The witness (how far the database has come, see `core.store.incarnation`) is written when the epoch is taken,
while events are told, at most every few seconds, and at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import StoreError
from core.model.events import Event
from core.store.backlog import Backlog
from core.store.backups import backup_daily
from core.store.database import locked_or_broken, open_database
from core.store.filesystem import refuse_network
from core.store.incarnation import Taken, Witness, take_epoch, write_witness
from core.store.reader import StoreReader
from core.store.reserve import RESERVE_NAME, Reserve, make_room
from core.store.tx import Tx
from core.store.writer import Writer

WITNESS_EVERY_S = 5.0


class Store:
    """Opened only by the holder of the workspace's lease."""

    def __init__(self, writer: Writer, reader: StoreReader, path: Path, taken: Taken) -> None:
        self._writer = writer
        self._backlog = Backlog()
        self._closed = False
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._witnessed_at = self._loop.time()
        self._witnessing: asyncio.Future[None] | None = None
        self.reader = reader
        self.epoch = taken.epoch
        self.incarnation = taken.incarnation
        self.notices: tuple[str, ...] = ()
        self.on_events: Callable[[Sequence[Event]], None] | None = None
        """Called on the loop with events as they become durable, in order."""
        writer.on_events = self._announce

    @classmethod
    async def open(cls, path: Path, *, now: Callable[[], float] = time.time) -> Store:
        """Opens, creates or migrates the database and raises its epoch, which fences any earlier owner.

        A database that is not the one it was becomes a new incarnation. `notices` then says what a person must
        know of this opening. Raises StoreNewer, StoreCorrupt, StoreError.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_room(path.with_name(RESERVE_NAME))
        connection = await asyncio.to_thread(open_database, path)
        try:
            kept = await asyncio.to_thread(backup_daily, connection, path)
            taken = await asyncio.to_thread(_take_epoch, connection, path, now())
            reader = await StoreReader.open(path)
        except BaseException:
            connection.close()
            raise
        writer = Writer(connection, path, epoch=taken.epoch, last_seq=taken.last_seq, now=now)
        store = cls(writer, reader, path, taken)
        store.notices = tuple(filter(None, (taken.adopted, refuse_network(path.parent), kept)))
        return store

    @property
    def on_failure(self) -> Callable[[BaseException], None] | None:
        """Called on the loop when nothing more can be written, or the disk is full."""
        return self._writer.on_failure

    @on_failure.setter
    def on_failure(self, receive: Callable[[BaseException], None] | None) -> None:
        self._writer.on_failure = receive

    @property
    def reserve(self) -> Reserve:
        """The disk space kept back for outcomes; while it is not whole nothing may start."""
        return self._writer.reserve

    @property
    def broken(self) -> bool:
        """True when nothing more can be written."""
        return self._writer.broken

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
        with contextlib.suppress(StoreError):
            await self.flush()  # fails where another engine has taken over: then the witness is its
            if self._witnessing is not None:
                await self._witnessing
            await asyncio.to_thread(write_witness, self._path, self._witness())
        if self._witnessing is not None:
            await self._witnessing
        await self._writer.close()
        await self.reader.close()

    def _announce(self, events: Sequence[Event]) -> None:
        if self.on_events is not None:
            self.on_events(events)
        now = self._loop.time()
        if now - self._witnessed_at >= WITNESS_EVERY_S and (
            self._witnessing is None or self._witnessing.done()
        ):
            self._witnessed_at = now
            self._witnessing = self._loop.run_in_executor(None, write_witness, self._path, self._witness())

    def _witness(self) -> Witness:
        return Witness(self.incarnation, self.epoch, self.last_seq)


def _take_epoch(connection: sqlite3.Connection, path: Path, now: float) -> Taken:
    try:
        return take_epoch(connection, path, now=now)
    except sqlite3.OperationalError as error:
        raise locked_or_broken(path, error) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}") from error
