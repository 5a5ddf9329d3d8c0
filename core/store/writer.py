"""The one writer: a thread that commits everything queued as one transaction.

Waiting callers share one fsync (group commit), which is what makes synchronous=FULL cheap. Each group
begins IMMEDIATE and checks the epoch, so that an owner that lost its lease writes nothing more. Where
one transaction of a group fails, the group is rolled back and done again one by one: only the faulty
one fails. Events get their numbers here, in commit order; a number is announced only once it is durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import Fenced, StoreError
from core.model.events import Event
from core.store.database import is_full, locked_or_broken
from core.store.output import OutputBudget
from core.store.reserve import RESERVE_NAME, Reserve
from core.store.rows import EVENT_COLUMNS, Gathered, insert
from core.store.tx import Tx, encode

GROUP_AT_MOST = 2000


_Job = tuple[Tx, "asyncio.Future[None] | None"]
"""A transaction, and what tells whoever waits for it."""


class Writer:
    """Owns the writing connection; every method but `_run` and below is for the event loop's thread."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        *,
        epoch: int,
        last_seq: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._connection = connection
        self._path = path
        self._epoch = epoch
        self._seq = last_seq
        self.announced_seq = last_seq
        self._now = now
        self._budget = OutputBudget()
        self.reserve = Reserve(path.with_name(RESERVE_NAME))
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._broken: StoreError | None = None
        self.commits = 0
        self.on_events: Callable[[Sequence[Event]], None] | None = None
        self.on_failure: Callable[[BaseException], None] | None = None
        self._thread = threading.Thread(target=self._run, name="windlass-writer", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ the loop's side

    @property
    def queue_depth(self) -> int:
        """Transactions waiting to be committed."""
        return self._jobs.qsize()

    @property
    def broken(self) -> bool:
        """True when nothing more can be written."""
        return self._broken is not None

    def commit(self, tx: Tx) -> asyncio.Future[None]:
        """Queues a transaction; the future is done when it is durable. It raises Fenced or StoreError."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._closed:
            future.set_exception(StoreError("the store is closed"))
        else:
            self._jobs.put((tx, future))
        return future

    def post(self, tx: Tx) -> None:
        """Queues a transaction that nobody waits for; a failure goes to `on_failure`."""
        if not self._closed:
            self._jobs.put((tx, None))

    async def close(self) -> None:
        """Commits what is queued and ends the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    # ------------------------------------------------------------ the thread's side

    def _run(self) -> None:
        ending = False
        while not ending:
            group: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                group.append(job)
                if len(group) >= GROUP_AT_MOST:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            else:
                ending = True
            if group:
                self._commit_group(group)
        self._connection.close()

    def _commit_group(self, group: list[_Job]) -> None:
        if self._broken is not None:
            self._tell([], group, self._broken)
            return
        try:
            events = self._transact(group)
        except _Failure as failure:
            if failure.full and self.reserve.release():
                try:
                    events = self._transact(group)
                except _Failure as again:
                    self._break(group, again.error)
                    return
                self._tell(events, group, None, failure.error)
                return
            if failure.final:
                self._break(group, failure.error)
            elif len(group) == 1:
                unheard = failure.error if group[0][1] is None else None
                self._tell([], group, failure.error, unheard)
            else:
                for job in group:
                    self._commit_group([job])
            return
        self._tell(events, group, None)

    def _transact(self, group: list[_Job]) -> list[Event]:
        """One transaction for the whole group. Raises _Failure after rolling back."""
        execute = self._connection.execute
        events: list[Event] = []
        seq = self._seq
        try:
            execute("BEGIN IMMEDIATE")
            (epoch,) = execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
            if int(epoch) != self._epoch:
                raise Fenced(
                    f"another engine has taken over {self._path} (epoch {epoch}, ours is {self._epoch})",
                    hint="this engine writes nothing more; look at the runs from the other one",
                )
            now = self._now()
            gathered, told = Gathered(), []
            for tx, _ in group:
                if tx.many or tx.statements:
                    gathered.write(self._connection)
                    self._budget.flush(self._connection)
                    for sql, rows in tx.many:
                        self._connection.executemany(sql, rows)
                    for sql, parameters in tx.statements:
                        execute(sql, parameters)
                for piece in tx.output_pieces:
                    self._budget.write(self._connection, piece)
                gathered.add(self._connection, tx.tasks, tx.attempts)
                for type_, run, step, server, attempt, actor, data in tx.events:
                    seq += 1
                    text = encode(data) if data else "{}"
                    told.append((seq, type_, run, step, server, attempt, actor, now, text))
                    events.append(Event(seq, type_, run, step, server, attempt, actor, now, data))
            gathered.write(self._connection)
            self._budget.flush(self._connection)
            insert(self._connection, "events", EVENT_COLUMNS, told)
            execute("COMMIT")
        except BaseException as error:
            self._budget.forget()
            with contextlib.suppress(sqlite3.Error):  # told by `error`; the thread must live to tell it
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise _Failure(self._in_words(error), is_full(error), _is_final(error)) from error
        self._seq = seq
        self.commits += 1
        return events

    def _in_words(self, error: BaseException) -> StoreError:
        if isinstance(error, StoreError):
            return error
        if isinstance(error, sqlite3.OperationalError):
            return locked_or_broken(self._path, error)
        return StoreError(f"{self._path}: {type(error).__name__}: {error}")

    def _break(self, group: list[_Job], error: StoreError) -> None:
        """Nothing more can be written: this group and all that follow fail alike."""
        self._broken = error
        self._tell([], group, error, error)

    def _tell(
        self,
        events: list[Event],
        group: list[_Job],
        error: StoreError | None,
        failure: StoreError | None = None,
    ) -> None:
        """One call for all of it, so that whoever waits for this group finds the failure reported."""
        # A loop that has ended raises: nobody is left to be told.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._done, events, group, error, failure)

    # ------------------------------------------------------------ called on the loop by the thread

    def _done(
        self,
        events: list[Event],
        group: list[_Job],
        error: StoreError | None,
        failure: StoreError | None,
    ) -> None:
        if events:
            self.announced_seq = events[-1].seq
            if self.on_events is not None:
                self.on_events(events)
        for _, future in group:
            if future is None or future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        if failure is not None and self.on_failure is not None:
            self.on_failure(failure)


class _Failure(Exception):
    """A transaction that was rolled back; `final` when nothing more can be written."""

    def __init__(self, error: StoreError, full: bool, final: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.full = full
        self.final = final


def _is_final(error: BaseException) -> bool:
    if isinstance(error, Fenced) or is_full(error):
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    )
