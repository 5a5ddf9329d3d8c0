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

import asyncio
import gc
import sqlite3
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite

from benchmarks import measure
from benchmarks.measure import Meter, Spent
from core.clock import UptimeLoop
from core.engine.open import COLLECTOR_THRESHOLDS
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
    spent: Spent
    commits: int
    latencies_ms: list[float]

    @property
    def tasks_per_s(self) -> float:
        return self.tasks / self.spent.wall_s


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
    meter = Meter()
    hog = asyncio.ensure_future(keep_busy()) if busy_s else None
    await asyncio.gather(*(worker() for _ in range(workers)))
    spent = meter.stop()
    commits = store.commits - commits_before
    if hog is not None:
        hog.cancel()
    if delivered != 2 * tasks:
        raise AssertionError(f"{delivered} events were delivered for {tasks} tasks")
    await store.close()
    return Figures(tasks, spent, commits, [value * 1000 for value in latencies])


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
    meter = Meter()
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
    spent = meter.stop()
    connection.close()
    return Figures(tasks, spent, commits, latencies)


async def bench_each(folder: Path, tasks: int, workers: int) -> Figures:
    """One transaction for each step, in a plain loop."""
    connection = bare_database(folder / "state.db", tasks)
    latencies, seq = [], 0
    meter = Meter()
    for index in range(tasks):
        for rows_of in (intent_rows, outcome_rows):
            seq += 1
            begun = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            for sql, row in rows_of(index, seq):
                connection.execute(sql, row)
            connection.execute("COMMIT")
            latencies.append((time.perf_counter() - begun) * 1000)
    spent = meter.stop()
    connection.close()
    return Figures(tasks, spent, 2 * tasks, latencies)


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

        meter = Meter()
        await asyncio.gather(*(worker() for _ in range(workers)))
        spent = meter.stop()
    return Figures(tasks, spent, 2 * tasks, latencies)


# ---------------------------------------------------------------- measuring and showing


def measure_all(tasks: int, workers: int, rounds: int, parent: Path) -> dict[str, Figures]:
    """Every variant in turn, each in a folder of its own; the median round of each by speed."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)  # as in an engine's process, for all of them
    few = max(200, tasks // 10)
    variants: dict[str, Callable[[Path], Coroutine[Any, Any, Figures]]] = {
        "store": lambda folder: bench_store(folder, tasks, workers),
        "store, busy loop": lambda folder: bench_store(folder, few, workers, 0.001),
        "bare group commit": lambda folder: bench_bare_group(folder, tasks, workers),
        "commit each": lambda folder: bench_each(folder, few, workers),
        "aiosqlite, commit each": lambda folder: bench_aiosqlite(folder, few, workers),
    }

    def in_a_folder(variant: Callable[[Path], Coroutine[Any, Any, Figures]]) -> Figures:
        with measure.folder(parent, "bench-store-") as folder:
            with asyncio.Runner(loop_factory=UptimeLoop) as runner:  # as an engine does
                return runner.run(variant(folder))

    results = measure.in_turn(
        {name: partial(in_a_folder, variant) for name, variant in variants.items()}, rounds
    )
    return {
        name: measure.median_by(found, lambda figures: figures.tasks_per_s) for name, found in results.items()
    }


def main() -> None:
    """Runs everything and prints the table."""
    parser = measure.arguments("What durable checkpoints cost.")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=100)
    options = parser.parse_args()
    measure.end_on_signals()
    if not options.json:
        print(f"{measure.machine_line()}; {options.workers} at once, median of {options.rounds}\n")
    results = measure_all(options.tasks, options.workers, options.rounds, options.folder)
    first = results["store"]
    document = {
        name: {
            "tasks": found.tasks,
            "tasks_per_s": found.tasks_per_s,
            "ratio": found.tasks_per_s / first.tasks_per_s,
            "fsyncs_per_task": found.commits / found.tasks,
            "cpu_us_per_task": found.spent.cpu_s / found.tasks * 1e6,
            "written_bytes_per_task": found.spent.written_bytes / found.tasks,
            "p50_ms": measure.median(found.latencies_ms),
            "p99_ms": measure.percentile(found.latencies_ms, 0.99),
        }
        for name, found in results.items()
    }
    rows = [
        (
            name,
            f"{shown['tasks']}",
            f"{shown['tasks_per_s']:,.0f}",
            f"{shown['ratio']:.2f}",
            f"{shown['fsyncs_per_task']:.3f}",
            f"{shown['cpu_us_per_task']:.1f}",
            f"{shown['written_bytes_per_task']:,.0f}",
            f"{shown['p50_ms']:.2f}",
            f"{shown['p99_ms']:.2f}",
        )
        for name, shown in document.items()
    ]
    measure.show(
        ("", "tasks", "tasks/s", "ratio", "fsync/task", "CPU µs/task", "bytes/task", "p50 ms", "p99 ms"),
        rows,
        {"benchmark": "store", "variants": document},
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
