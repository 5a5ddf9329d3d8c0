"""What durable checkpoints cost: the store beside the least that SQLite allows.

    python -m benchmarks.bench_store [--tasks 10000] [--workers 100] [--folder DIR] [--rounds 3]

Each task commits its intent, waits until that is durable, then commits its outcome and waits again, as
the engine does: per task two transactions, in each one changed task row, one attempt row and one event,
all with synchronous=FULL. `--workers` of them are under way at once. Rows of the table:

- `store`: core.store as it is, through its public API.
- `store, busy loop`: the same while another coroutine keeps the event loop busy in slices of 1 ms. Its
  own time is in the CPU column; what counts is that the writer goes on.
- `bare group commit`: the same statements with `executemany`, no queue, no events, no asyncio. The bound.
- `commit each`: the same statements, one transaction for each step, in a plain loop.
- `aiosqlite, commit each`: the same through aiosqlite, workers sharing one connection and a lock.

The slow ones do fewer tasks; every figure is for one task. A commit is one fsync of the WAL; checkpoints
add two each and are left out. CPU is of the whole process (all threads); bytes are those handed to the
kernel by write calls (Linux), WAL and checkpoints together. The variants run in turn, `--rounds` times;
the median by speed is shown. The folder must lie on a real disk: on tmpfs an fsync costs nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosqlite

from core.model import events
from core.model.states import Phase, Purpose, TaskState
from core.store.records import NewRun, NewStep, NewTask
from core.store.schema import MIGRATIONS
from core.store.store import Store
from core.store.tx import Tx

RUN = 1
STEP = "deploy"
DIGEST = "8f14e45fceea167a5a36dedd4bea2543" * 2
BOOT_ID = "5a1b6f0e-6b7c-4b0e-9d59-3f1d7b6a2c11"

TASK_INTENT = "UPDATE tasks SET state = ?, phase = ?, started = ?, attempt = ? WHERE run = ? AND idx = ?"
TASK_OUTCOME = (
    "UPDATE tasks SET state = ?, phase = ?, ended = ?, exit_status = ?, evidence = ? "
    "WHERE run = ? AND idx = ?"
)
ATTEMPT_INTENT = (
    "INSERT INTO attempts (run, idx, purpose, attempt, intent, digest, boot_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
ATTEMPT_OUTCOME = (
    "UPDATE attempts SET ended = ?, outcome = ?, exit_status = ?, evidence = ? "
    "WHERE run = ? AND idx = ? AND purpose = ? AND attempt = ?"
)
EVENT = (
    "INSERT INTO events (seq, type, run, step, server, attempt, actor, time, data) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INTENT_DATA = f'{{"purpose":"run","digest":"{DIGEST}","boot_id":"{BOOT_ID}"}}'
OUTCOME_DATA = '{"from":"running","to":"done","exit":0,"evidence":"exit status"}'


@dataclass(frozen=True, slots=True)
class Figures:
    """What one variant did. Latencies are of one commit, in milliseconds."""

    tasks: int
    wall_s: float
    cpu_s: float
    commits: int
    written_bytes: int
    latencies_ms: list[float]

    @property
    def tasks_per_s(self) -> float:
        return self.tasks / self.wall_s


# ---------------------------------------------------------------- the store


def intent(index: int) -> Tx:
    """What the engine commits before a command is handed over."""
    tx = Tx()
    tx.task(RUN, index, state=TaskState.RUNNING.value, phase=Phase.RUN.value, started=time.time(), attempt=1)
    tx.intent(RUN, index, Purpose.RUN, 1, DIGEST, BOOT_ID)
    tx.event(
        events.TASK_INTENT,
        run=RUN,
        step=STEP,
        server=f"server-{index}",
        attempt=1,
        data={"purpose": "run", "digest": DIGEST, "boot_id": BOOT_ID},
    )
    return tx


def outcome(index: int) -> Tx:
    """What the engine commits before anyone is told of the end."""
    tx = Tx()
    tx.task(
        RUN,
        index,
        state=TaskState.DONE.value,
        phase=None,
        ended=time.time(),
        exit_status=0,
        evidence="exit status",
    )
    tx.attempt_ended(RUN, index, Purpose.RUN, 1, outcome="ok", exit_status=0, evidence="exit status")
    tx.event(
        events.TASK_STATE,
        run=RUN,
        step=STEP,
        server=f"server-{index}",
        attempt=1,
        data={"from": "running", "to": "done", "exit": 0, "evidence": "exit status"},
    )
    return tx


async def new_run(store: Store, tasks: int) -> None:
    """One run with one step on many servers."""
    tx = Tx()
    run = NewRun(
        RUN, "0" * 32, "bench", "batches/bench.yaml", "bench", time.time(), {}, tasks, None, "", "", {}
    )
    rows = [NewTask(index, STEP, f"server-{index}", 1) for index in range(tasks)]
    tx.create_run(run, [NewStep(0, STEP, "run", "", tasks, True)], rows)
    await store.commit(tx)


async def bench_store(folder: Path, tasks: int, workers: int, busy_s: float = 0.0) -> Figures:
    """The store through its public API."""
    store = await Store.open(folder / "state.db")
    delivered = 0

    def receive(batch: Any) -> None:
        nonlocal delivered
        delivered += len(batch)

    store.on_events = receive
    await new_run(store, tasks)
    todo = iter(range(tasks))
    latencies: list[float] = []
    clock = time.perf_counter

    async def worker() -> None:
        for index in todo:
            begun = clock()
            await store.commit(intent(index))
            handed = clock()
            await store.commit(outcome(index))
            latencies.append(handed - begun)
            latencies.append(clock() - handed)

    async def keep_busy() -> None:
        while True:
            until = clock() + busy_s
            while clock() < until:
                pass
            await asyncio.sleep(0)

    commits_before = store.commits
    meter = _Meter()
    hog = asyncio.ensure_future(keep_busy()) if busy_s else None
    await asyncio.gather(*(worker() for _ in range(workers)))
    wall_s, cpu_s, written = meter.stop()
    commits = store.commits - commits_before
    if hog is not None:
        hog.cancel()
    if delivered != 2 * tasks:
        raise AssertionError(f"{delivered} events were delivered for {tasks} tasks")
    await store.close()
    return Figures(tasks, wall_s, cpu_s, commits, written, [value * 1000 for value in latencies])


# ---------------------------------------------------------------- bare SQLite


def intent_rows(index: int, seq: int) -> list[tuple[str, tuple[Any, ...]]]:
    """The statements of an intent, as the store writes them."""
    now = time.time()
    return [
        (TASK_INTENT, ("running", "run", now, 1, RUN, index)),
        (ATTEMPT_INTENT, (RUN, index, "run", 1, now, DIGEST, BOOT_ID)),
        (EVENT, (seq, "task.intent", RUN, STEP, f"server-{index}", 1, "engine", now, INTENT_DATA)),
    ]


def outcome_rows(index: int, seq: int) -> list[tuple[str, tuple[Any, ...]]]:
    """The statements of an outcome."""
    now = time.time()
    return [
        (TASK_OUTCOME, ("done", None, now, 0, "exit status", RUN, index)),
        (ATTEMPT_OUTCOME, (now, "ok", 0, "exit status", RUN, index, "run", 1)),
        (EVENT, (seq, "task.state", RUN, STEP, f"server-{index}", 1, "engine", now, OUTCOME_DATA)),
    ]


def bare_database(path: Path, tasks: int) -> sqlite3.Connection:
    """The same schema and settings, with the rows of one run."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    for migration in MIGRATIONS:
        connection.executescript(migration)
    connection.execute("BEGIN")
    connection.execute(
        "INSERT INTO runs (number, run_id, batch, path, state, asked, actor, created, tasks, servers, params) "
        "VALUES (1, 'id', 'bench', '', 'running', 'run', 'bench', 0, ?, ?, '{}')",
        (tasks, tasks),
    )
    connection.executemany(
        "INSERT INTO tasks (run, idx, step, server, attempts) VALUES (1, ?, ?, ?, 1)",
        [(index, STEP, f"server-{index}") for index in range(tasks)],
    )
    connection.execute("COMMIT")
    return connection


async def bench_bare_group(folder: Path, tasks: int, workers: int) -> Figures:
    """Groups of as many steps as there are workers, one transaction each."""
    connection = bare_database(folder / "state.db", tasks)
    latencies, commits, seq = [], 0, 0
    meter = _Meter()
    for first in range(0, tasks, workers):
        for rows_of in (intent_rows, outcome_rows):
            begun = time.perf_counter()
            by_sql: dict[str, list[tuple[Any, ...]]] = {}
            for index in range(first, min(first + workers, tasks)):
                seq += 1
                for sql, row in rows_of(index, seq):
                    by_sql.setdefault(sql, []).append(row)
            connection.execute("BEGIN IMMEDIATE")
            for sql, rows in by_sql.items():
                connection.executemany(sql, rows)
            connection.execute("COMMIT")
            commits += 1
            latencies.append((time.perf_counter() - begun) * 1000)
    wall_s, cpu_s, written = meter.stop()
    connection.close()
    return Figures(tasks, wall_s, cpu_s, commits, written, latencies)


async def bench_each(folder: Path, tasks: int, workers: int) -> Figures:
    """One transaction for each step, in a plain loop."""
    connection = bare_database(folder / "state.db", tasks)
    latencies, seq = [], 0
    meter = _Meter()
    for index in range(tasks):
        for rows_of in (intent_rows, outcome_rows):
            seq += 1
            begun = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            for sql, row in rows_of(index, seq):
                connection.execute(sql, row)
            connection.execute("COMMIT")
            latencies.append((time.perf_counter() - begun) * 1000)
    wall_s, cpu_s, written = meter.stop()
    connection.close()
    return Figures(tasks, wall_s, cpu_s, 2 * tasks, written, latencies)


async def bench_aiosqlite(folder: Path, tasks: int, workers: int) -> Figures:
    """One transaction for each step through aiosqlite; a lock keeps the workers' transactions apart."""
    path = folder / "state.db"
    bare_database(path, tasks).close()
    latencies: list[float] = []
    lock, todo, seq = asyncio.Lock(), iter(range(tasks)), 0
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("PRAGMA foreign_keys = ON")

        async def step(rows_of: Callable[[int, int], list[tuple[str, tuple[Any, ...]]]], index: int) -> None:
            nonlocal seq
            begun = time.perf_counter()
            async with lock:
                seq += 1
                await connection.execute("BEGIN IMMEDIATE")
                for sql, row in rows_of(index, seq):
                    await connection.execute(sql, row)
                await connection.execute("COMMIT")
            latencies.append((time.perf_counter() - begun) * 1000)

        async def worker() -> None:
            for index in todo:
                await step(intent_rows, index)
                await step(outcome_rows, index)

        meter = _Meter()
        await asyncio.gather(*(worker() for _ in range(workers)))
        wall_s, cpu_s, written = meter.stop()
    return Figures(tasks, wall_s, cpu_s, 2 * tasks, written, latencies)


# ---------------------------------------------------------------- measuring and showing


class _Meter:
    """Wall time, CPU time of the process and bytes written by it, from its making to `stop`."""

    def __init__(self) -> None:
        self._written = _written_bytes()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> tuple[float, float, int]:
        wall_s, cpu_s = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return wall_s, cpu_s, _written_bytes() - self._written


def _written_bytes() -> int:
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(dict(line.split(": ") for line in lines)["wchar"])


def _variants(
    tasks: int, workers: int
) -> Iterator[tuple[str, Callable[[Path], Coroutine[Any, Any, Figures]]]]:
    few = max(200, tasks // 10)
    yield "store", lambda folder: bench_store(folder, tasks, workers)
    yield "store, busy loop", lambda folder: bench_store(folder, few, workers, 0.001)
    yield "bare group commit", lambda folder: bench_bare_group(folder, tasks, workers)
    yield "commit each", lambda folder: bench_each(folder, few, workers)
    yield "aiosqlite, commit each", lambda folder: bench_aiosqlite(folder, few, workers)


def measure(tasks: int, workers: int, rounds: int, parent: Path) -> dict[str, Figures]:
    """Every variant in turn, `rounds` times, each in a folder of its own; the median round of each."""
    results: dict[str, list[Figures]] = {}
    for _ in range(rounds):
        for name, variant in _variants(tasks, workers):
            with tempfile.TemporaryDirectory(dir=parent, prefix="bench-store-") as folder:
                results.setdefault(name, []).append(asyncio.run(variant(Path(folder))))
    return {
        name: sorted(found, key=lambda figures: figures.tasks_per_s)[len(found) // 2]
        for name, found in results.items()
    }


def table(results: dict[str, Figures]) -> str:
    """The figures as aligned text."""
    lines = [
        f"{'':24}{'tasks':>7}{'tasks/s':>10}{'ratio':>8}{'commits':>9}{'fsync/task':>12}"
        f"{'CPU µs/task':>13}{'bytes/task':>12}{'p50 ms':>9}{'p99 ms':>9}"
    ]
    first = next(iter(results.values()))
    for name, figures in results.items():
        ordered = sorted(figures.latencies_ms)
        lines.append(
            f"{name:24}{figures.tasks:>7}{figures.tasks_per_s:>10,.0f}"
            f"{figures.tasks_per_s / first.tasks_per_s:>8.2f}{figures.commits:>9}"
            f"{figures.commits / figures.tasks:>12.3f}{figures.cpu_s / figures.tasks * 1e6:>13.1f}"
            f"{figures.written_bytes / figures.tasks:>12,.0f}{statistics.median(ordered):>9.2f}"
            f"{ordered[int(len(ordered) * 0.99)]:>9.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Runs everything and prints the table."""
    parser = argparse.ArgumentParser(description="What durable checkpoints cost.")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the databases are made")
    options = parser.parse_args()
    print(
        f"{platform.system()} {platform.release()}, {os.cpu_count()} CPUs, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; {options.workers} at once, median of {options.rounds}\n"
    )
    print(table(measure(options.tasks, options.workers, options.rounds, options.folder)))


if __name__ == "__main__":
    main()
