"""A run with a few tasks, and the database seen from outside the store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from core.model import events
from core.model.ids import TaskKey
from core.store.records import NewRun, NewStep, NewTask
from core.store.store import Store
from core.store.tx import Tx

SERVERS = ("web-1", "web-2", "db-1")
STEPS = ("prepare", "deploy")


def run_rows(
    number: int = 1, *, steps: Sequence[str] = STEPS, servers: Sequence[str] = SERVERS, batch: str = "site"
) -> tuple[NewRun, list[NewStep], list[NewTask]]:
    """A run of every step on every server; tasks are numbered step by step."""
    run = NewRun(
        number=number,
        run_id=f"{number:032x}",
        batch=batch,
        path=f"batches/{batch}.yaml",
        actor="ada",
        created=1000.0 + number,
        params={"version": "1.2", "count": 3},
        servers=len(servers),
        parent=None,
        batch_text="steps: {}\n",
        digest="d" * 64,
        document={"format": 1, "servers": list(servers)},
    )
    new_steps = [
        NewStep(index, name, "run", f"does {name}", len(servers), index == 1)
        for index, name in enumerate(steps)
    ]
    keys = [TaskKey(step, server) for step in steps for server in servers]
    tasks = [NewTask(index, key.step, key.server, 3) for index, key in enumerate(keys)]
    return run, new_steps, tasks


async def new_run(store: Store, number: int = 1, **options: Any) -> None:
    """Commits the run of `run_rows`, with its event and its holds."""
    run, steps, tasks = run_rows(number, **options)
    tx = Tx()
    tx.create_run(run, steps, tasks)
    tx.hold(number, list(options.get("servers", SERVERS)))
    tx.event(events.RUN_CREATED, run=number, actor="ada", data={"number": number, "tasks": len(tasks)})
    await store.commit(tx)


def note(text: str, *, run: int | None = None) -> Tx:
    """A transaction with one event."""
    tx = Tx()
    tx.event(events.SERVER_NOTE, run=run, data={"message": text})
    return tx


def done(task: int, *, run: int = 1) -> Tx:
    """A task's end with its event."""
    tx = Tx()
    tx.task(run, task, state="done", ended=time.time())
    tx.event(events.TASK_STATE, run=run, data={"to": "done", "task": task})
    return tx


def query(path: Path, sql: str, *parameters: Any) -> list[Any]:
    """Asks the database through a connection of its own."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, parameters).fetchall()


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Another program holds the write lock: what is committed meanwhile gathers in the writer's queue."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")
