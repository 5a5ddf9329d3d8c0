"""Reads a workspace's state without ever blocking its writer.

Every method is one short read transaction of its own; nothing is held between them. A database that
does not exist yet reads as empty, and no file is made for it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiosqlite

from core.errors import StoreNewer
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import (
    Asked,
    Phase,
    Purpose,
    RunState,
    Stream,
    TaskState,
    UndoState,
)
from core.model.views import (
    AttemptInfo,
    OutputChunk,
    OutputPage,
    OutputSummary,
    RunInfo,
    StepInfo,
    TaskInfo,
)
from core.store.counts import ANY_INDEX, Counter, StepCount
from core.store.database import BUSY_TIMEOUT_S, corrupt, locked_or_broken
from core.store.output import HEAD_BYTES
from core.store.records import OpenAttempt, StoredSnapshot, StoredTask
from core.store.schema import VERSION

PAGE_OUTPUT_BYTES = 1024 * 1024
PAGE_STATES = 10_000
TASK_STATES = {state.value: state for state in TaskState}
PHASES = {phase.value: phase for phase in Phase}
UNDO_STATES = {state.value: state for state in UndoState}

MIDDLE = """
SELECT max(CASE WHEN kept <= ? THEN end END), min(CASE WHEN kept > ? THEN start END)
FROM (
    SELECT start, end, sum(end - start) OVER (ORDER BY id) AS kept FROM output
    WHERE run = ? AND idx = ? AND purpose = ? AND attempt = ? AND stream = ?
)
"""
"""Where a stream's head ends and its tail begins: the head is filled to the byte before anything is dropped."""

TASK_COLUMNS = (
    "idx, step, server, state, phase, attempt, attempts, exit_status, signal, why, evidence, started, ended, "
    "undo, undo_why, may_have_run, decision, decided_by, last_line"
)


class StoreReader:
    """A read-only view of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._counter = Counter(self.rows)
        self._read: dict[int, tuple[Any, TaskInfo]] = {}
        """The tasks that were read last, by index, with their rows."""

    @classmethod
    async def open(cls, path: Path) -> StoreReader:
        """Opens the database to read. Raises StoreNewer, StoreCorrupt, StoreError."""
        reader = cls(path)
        await reader._connect()
        return reader

    async def _connect(self) -> aiosqlite.Connection | None:
        if self._connection is None and self._path.exists():
            # Opened read-write, since reading a WAL database writes its shared memory; query_only keeps it
            # from changing anything.
            connection = await aiosqlite.connect(
                f"{self._path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
            )
            try:
                await connection.execute("PRAGMA query_only = ON")
                async with connection.execute("PRAGMA user_version") as cursor:
                    row = await cursor.fetchone()
                if row is not None and row[0] > VERSION:
                    raise StoreNewer(
                        f"{self._path} has schema version {row[0]}; this Windlass knows versions up to {VERSION}",
                        hint="use the newer Windlass that wrote it",
                    )
                if row is None or row[0] < VERSION:
                    await connection.close()
                    return None  # being made, or to be migrated by its next owner
            except sqlite3.DatabaseError as error:
                await connection.close()
                raise self._error(error) from error
            except BaseException:
                await connection.close()
                raise
            self._connection = connection
            self._file = self._file_now()
            self._counter.forget()
        return self._connection

    def _file_now(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _error(self, error: sqlite3.DatabaseError) -> Exception:
        if isinstance(error, sqlite3.OperationalError):
            return locked_or_broken(self._path, error)
        return corrupt(self._path, str(error))

    async def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[Any]:
        connection = await self._connect()
        if connection is None:
            return []
        try:
            return list(await connection.execute_fetchall(sql, tuple(parameters)))
        except OverflowError:
            return []  # a number that SQLite cannot hold is in no row
        except sqlite3.DatabaseError as error:
            raise self._error(error) from error

    async def _one(self, sql: str, parameters: Iterable[Any] = ()) -> Any:
        rows = await self.rows(sql, parameters)
        return rows[0] if rows else None

    async def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    # ------------------------------------------------------------ runs

    async def runs(
        self,
        *,
        states: Sequence[RunState] | None = None,
        batch: str | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> list[RunInfo]:
        """Runs, newest first."""
        where, parameters = _where(
            ("state", [state.value for state in states] if states else None),
            ("batch", [batch] if batch else None),
        )
        if before is not None:
            where += " AND number < ?"
            parameters.append(before)
        rows = await self.rows(
            "SELECT number, run_id, batch, path, state, asked, why, actor, created, ended, tasks, servers, "
            f"params, parent, environment, protection, controller FROM runs WHERE {where} ORDER BY number DESC LIMIT ?",
            [*parameters, limit],
        )
        totals = await self._counter.totals([row[0] for row in rows])
        return [
            RunInfo(
                number=row[0],
                run_id=row[1],
                batch=row[2],
                path=row[3],
                state=RunState(row[4]),
                asked=Asked(row[5]),
                why=row[6],
                actor=row[7],
                created=row[8],
                ended=row[9],
                tasks=row[10],
                servers=row[11],
                params=json.loads(row[12]),
                parent=row[13],
                environment=row[14],
                protection=row[15],
                controller=row[16],
                counts=totals[row[0]].counts,
                undo_counts=totals[row[0]].undos,
                last_seq=totals[row[0]].seq,
            )
            for row in rows
        ]

    async def run(self, number: int) -> RunInfo | None:
        """One run."""
        found = await self.runs(limit=1, before=number + 1)
        return found[0] if found and found[0].number == number else None

    async def run_of_key(self, key: str) -> tuple[int, str] | None:
        """The run that was asked for under a key, with the digest of that request."""
        row = await self._one("SELECT run, request FROM run_keys WHERE key = ?", [key])
        return (row[0], row[1]) if row else None

    async def has_run(self, digest: str, environment: str) -> bool:
        """Whether a batch text, by its digest, was ever started in an environment."""
        found = await self._one(
            "SELECT 1 FROM snapshots JOIN runs ON number = run WHERE digest = ? AND environment = ? LIMIT 1",
            [digest, environment],
        )
        return found is not None

    async def run_columns(self, number: int) -> Mapping[str, Any]:
        """What only the engine needs of a run: `halted` and `undo_scope`."""
        row = await self._one("SELECT halted, undo_scope FROM runs WHERE number = ?", [number])
        return {"halted": row[0], "undo_scope": row[1]} if row else {"halted": 0, "undo_scope": None}

    async def snapshot(self, number: int) -> StoredSnapshot | None:
        """What a run was made from."""
        row = await self._one(
            "SELECT batch_text, file, digest, document FROM snapshots WHERE run = ?", [number]
        )
        return StoredSnapshot(row[0], row[1], row[2], json.loads(row[3])) if row else None

    async def steps(self, number: int) -> list[StepInfo]:
        """The steps of a run in document order, with counts."""
        counted = await self._counter.steps(number)
        infos = []
        for index, name, kind, summary, tasks, irreversible in await self.rows(
            "SELECT idx, name, kind, summary, tasks, irreversible FROM steps WHERE run = ? ORDER BY idx",
            [number],
        ):
            count = counted.get(name) or StepCount()
            over = all(state.ended for state in count.counts)
            infos.append(
                StepInfo(
                    index=index,
                    name=name,
                    kind=kind,
                    summary=summary,
                    tasks=tasks,
                    counts=count.counts,
                    undo_counts=count.undos,
                    started=count.started,
                    ended=count.ended if over else None,
                    irreversible=bool(irreversible),
                )
            )
        return infos

    # ------------------------------------------------------------ tasks

    async def tasks(
        self,
        number: int,
        *,
        step: str | None = None,
        states: Sequence[TaskState] | None = None,
        after: int = -1,
        limit: int = 1000,
    ) -> list[TaskInfo]:
        """Tasks by index."""
        where, parameters = _where(
            ("step", [step] if step else None),
            ("state", [state.value for state in states] if states else None),
        )
        first, last = self._counter.place(number, step) if step else (0, ANY_INDEX)
        rows = await self.rows(
            f"SELECT {TASK_COLUMNS} FROM tasks WHERE run = ? AND idx > ? AND idx <= ? AND {where} ORDER BY idx LIMIT ?",
            [number, max(after, first - 1), last, *parameters, limit],
        )
        # Who watches a run reads the same tasks again and again, and most of them stayed as they were.
        before, now = self._read, {}
        for row in rows:
            known = before.get(row[0])
            now[row[0]] = known if known is not None and known[0] == row else (row, _task(row))
        self._read = now or before  # an empty page only tells that there are no more
        return [task for _, task in now.values()]

    async def task(self, number: int, key: TaskKey) -> TaskInfo | None:
        """One task."""
        row = await self._one(
            f"SELECT {TASK_COLUMNS} FROM tasks WHERE run = ? AND idx BETWEEN ? AND ? AND step = ? AND server = ?",
            [number, *self._counter.place(number, key.step), key.step, key.server],
        )
        return _task(row) if row else None

    async def states(self, number: int, *, after: int = -1, limit: int = PAGE_STATES) -> list[StoredTask]:
        """Tasks of a run by index, as a new engine needs them: those behind `after`, a page of them."""
        rows = await self.rows(
            "SELECT t.idx, t.state, t.phase, t.attempt, t.attempts, t.exit_status, t.undo, t.may_have_run, "
            "t.when_holds, "
            "(SELECT max(a.attempt) FROM attempts a WHERE a.run = t.run AND a.idx = t.idx AND a.purpose = 'undo'), "
            "EXISTS (SELECT 1 FROM attempts a WHERE a.run = t.run AND a.idx = t.idx AND a.purpose <> 'undo' "
            "AND a.outcome <> 'not started') "
            "FROM tasks t WHERE t.run = ? AND t.idx > ? ORDER BY t.idx LIMIT ?",
            [number, after, limit],
        )
        return [
            StoredTask(
                index,
                TASK_STATES[state],
                PHASES[phase] if phase else None,
                attempt,
                attempts,
                exit_status,
                UNDO_STATES[undo],
                undo_attempt or 0,
                bool(may_have_run),
                bool(when_holds),
                bool(handed_over),
            )
            for (
                index,
                state,
                phase,
                attempt,
                attempts,
                exit_status,
                undo,
                may_have_run,
                when_holds,
                undo_attempt,
                handed_over,
            ) in rows
        ]

    async def open_attempts(self, number: int) -> list[OpenAttempt]:
        """Intents without an outcome."""
        return [
            OpenAttempt(row[0], Purpose(row[1]), *row[2:])
            for row in await self.rows(
                "SELECT idx, purpose, attempt, intent, digest, boot_id, folder FROM attempts "
                "WHERE run = ? AND outcome = ''",
                [number],
            )
        ]

    async def attempts(self, number: int, key: TaskKey) -> list[AttemptInfo]:
        """Every attempt of a task, oldest first."""
        return [
            AttemptInfo(
                purpose=Purpose(row[0]),
                number=row[1],
                intent=row[2],
                ended=row[3],
                outcome=row[4],
                exit_status=row[5],
                signal=row[6],
                why=row[7],
                evidence=row[8],
                digest=row[9],
                boot_id=row[10],
            )
            for row in await self.rows(
                "SELECT a.purpose, a.attempt, a.intent, a.ended, a.outcome, a.exit_status, a.signal, a.why, "
                "a.evidence, a.digest, a.boot_id FROM attempts a JOIN tasks t ON t.run = a.run AND t.idx = a.idx "
                "WHERE a.run = ? AND t.idx BETWEEN ? AND ? AND t.step = ? AND t.server = ? "
                "ORDER BY a.intent, a.attempt",
                [number, *self._counter.place(number, key.step), key.step, key.server],
            )
        ]

    async def registered(self, number: int) -> list[tuple[int, str, Any]]:
        """Registered results: task index, name, value."""
        return [
            (row[0], row[1], json.loads(row[2]))
            for row in await self.rows(
                "SELECT idx, name, value FROM registered WHERE run = ? ORDER BY idx", [number]
            )
        ]

    # ------------------------------------------------------------ output

    async def output(
        self,
        number: int,
        key: TaskKey,
        *,
        purpose: Purpose | None = None,
        attempt: int | None = None,
        stream: Stream | None = None,
        tail_bytes: int | None = None,
        after: int = 0,
        limit_bytes: int = PAGE_OUTPUT_BYTES,
    ) -> OutputPage:
        """Output of a task in the order in which it was stored, at most about `limit_bytes` of it."""
        row = await self._one(
            "SELECT idx FROM tasks WHERE run = ? AND idx BETWEEN ? AND ? AND step = ? AND server = ?",
            [number, *self._counter.place(number, key.step), key.step, key.server],
        )
        if row is None:
            return OutputPage((), (), more=False, cursor=after)
        where, parameters = _where(
            ("purpose", [purpose.value] if purpose else None),
            ("attempt", [attempt] if attempt is not None else None),
            ("stream", [stream.value] if stream else None),
        )
        base = [number, row[0], *parameters]
        bound = limit_bytes if tail_bytes is None else tail_bytes
        sizes = await self.rows(
            f"SELECT id, end - start FROM output WHERE run = ? AND idx = ? AND {where} AND id > ? "
            f"ORDER BY id {'DESC' if tail_bytes is not None else ''}",
            [*base, after],
        )
        chosen: list[int] = []
        taken = 0
        for identity, size in sizes:
            if chosen and taken + size > bound:
                break
            chosen.append(identity)
            taken += size
        chosen.sort()
        chunks: tuple[OutputChunk, ...] = ()
        if chosen:
            chunks = tuple(
                OutputChunk(Purpose(r[0]), r[1], Stream(r[2]), r[3], r[4], r[5], r[6])
                for r in await self.rows(
                    "SELECT purpose, attempt, stream, start, end, time, data FROM output "
                    f"WHERE run = ? AND idx = ? AND {where} AND id BETWEEN ? AND ? ORDER BY id",
                    [*base, chosen[0], chosen[-1]],
                )
            )
        return OutputPage(
            chunks,
            await self._summaries(where, base),
            more=tail_bytes is None and len(chosen) < len(sizes),
            cursor=chosen[-1] if chosen else after,
        )

    async def _summaries(self, where: str, base: Sequence[Any]) -> tuple[OutputSummary, ...]:
        """How much the streams printed, and where the middle lies that was not kept."""
        found = []
        for purpose, attempt, stream, total, dropped, digest in await self.rows(
            "SELECT purpose, attempt, stream, total, dropped, hash FROM output_dropped "
            f"WHERE run = ? AND idx = ? AND {where}",
            base,
        ):
            start = end = 0
            if dropped:
                start, end = await self._one(
                    MIDDLE, [HEAD_BYTES, HEAD_BYTES, *base[:2], purpose, attempt, stream]
                )
            found.append(
                OutputSummary(
                    Purpose(purpose),
                    attempt,
                    Stream(stream),
                    total,
                    dropped,
                    digest,
                    start or 0,
                    end or total,
                )
            )
        return tuple(found)

    # ------------------------------------------------------------ events and the workspace

    async def events(self, after: int, *, run: int | None = None, limit: int = 1000) -> list[Event]:
        """Events after a sequence number, in order."""
        where = "seq > ?" if run is None else "run = ? AND seq > ?"
        return await self._events(f"{where} ORDER BY seq", [after] if run is None else [run, after], limit)

    async def acts(self, run: int, limit: int) -> list[Event]:
        """Events of what persons did to a run, newest first: to the run, and decisions on its tasks."""
        where = (
            "run = ? AND actor != 'engine' AND (step IS NULL OR json_extract(data, '$.decision') IS NOT NULL)"
        )
        return await self._events(f"{where} ORDER BY seq DESC", [run], limit)

    async def _events(self, where: str, parameters: Sequence[Any], limit: int) -> list[Event]:
        return [
            Event(row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], json.loads(row[8]), row[9])
            for row in await self.rows(
                "SELECT seq, type, run, step, server, attempt, actor, time, data, version FROM events "
                f"WHERE {where} LIMIT ?",
                [*parameters, limit],
            )
        ]

    async def last_seq(self) -> int:
        """The highest sequence number stored."""
        row = await self._one("SELECT coalesce(max(seq), 0) FROM events")
        return row[0] if row else 0

    async def holds(self) -> dict[str, int]:
        """Which run holds which server (the oldest one where several do)."""
        rows = await self.rows("SELECT server, min(run) FROM holds GROUP BY server")
        return dict(rows)

    async def next_run_number(self) -> int:
        """The number that the next run gets."""
        row = await self._one("SELECT coalesce(max(number), 0) + 1 FROM runs")
        return row[0] if row else 1

    async def incarnation(self) -> str:
        """The database's incarnation; every cursor is good for one of them.

        Asked of the file that has the database's name now: one that was put in its place is opened.
        """
        if self._connection is not None and self._file_now() not in (None, self._file):
            await self.close()
        row = await self._one("SELECT value FROM meta WHERE key = 'incarnation'")
        return row[0] if row else ""


def _where(*conditions: tuple[str, Sequence[Any] | None]) -> tuple[str, list[Any]]:
    """`column IN (…)` for each condition that is given."""
    parts: list[str] = ["1"]
    parameters: list[Any] = []
    for column, values in conditions:
        if values is not None:
            parts.append(f"{column} IN ({', '.join('?' * len(values))})")
            parameters.extend(values)
    return " AND ".join(parts), parameters


def _task(row: Any) -> TaskInfo:
    return TaskInfo(
        index=row[0],
        step=row[1],
        server=row[2],
        state=TASK_STATES[row[3]],
        phase=PHASES[row[4]] if row[4] else None,
        attempt=row[5],
        attempts=row[6],
        exit_status=row[7],
        signal=row[8],
        why=row[9],
        evidence=row[10],
        started=row[11],
        ended=row[12],
        undo=UNDO_STATES[row[13]],
        undo_why=row[14],
        may_have_run=bool(row[15]),
        decision=row[16],
        decided_by=row[17],
        last_line=row[18],
    )
