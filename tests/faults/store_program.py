"""Programs that the store's fault tests start, to be killed, frozen or starved: `python -m … COMMAND PATH`.

Each prints a line for what it was told is durable, after it was told.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from pathlib import Path

from core.store import database
from core.store.schema import MIGRATIONS, VERSION
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import done, new_run, note

TASKS = 3000
SECOND = (
    "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey'",
    "CREATE TABLE later (id INTEGER PRIMARY KEY)",
    "UPDATE runs SET colour = 'green'",
    "DROP TABLE registered",
)


async def write(path: Path) -> None:
    """Ends tasks as fast as it can, twenty at once, each with its event; prints each that is durable."""
    store = await Store.open(path)
    await new_run(store, servers=[f"server-{number}" for number in range(TASKS)], steps=["only"])
    todo = iter(range(TASKS))

    async def worker() -> None:
        for task in todo:
            await store.commit(done(task))
            print(task, flush=True)

    await asyncio.gather(*(worker() for _ in range(20)))


def migrate(path: Path, dies_before: int) -> None:
    """Migrates to the next version and is killed in the middle: before statement number `dies_before`."""
    statements = [*SECOND]
    if dies_before <= len(SECOND):
        statements.insert(dies_before, "SELECT die()")
    connect = database.connect

    def deadly(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
        return connection

    for name, value in {
        "MIGRATIONS": (*MIGRATIONS, ";".join(statements)),
        "VERSION": VERSION + 1,
        "connect": deadly,
    }.items():
        setattr(database, name, value)
    database.open_database(path).close()
    print("migrated", flush=True)


async def fill(folder: Path) -> None:
    """Fills its disk behind the store's back, then goes on committing; prints what became of it as JSON."""
    store = await Store.open(folder / "state.db")
    failures: list[str] = []
    store.on_failure = lambda error: failures.append(str(error))
    await new_run(store, servers=["a"], steps=["only"])
    with (folder / "filler").open("wb", buffering=0) as filler:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    filler.write(bytes(size))
            except OSError:
                pass
    durable, first_failure_at, error = 0, -1, ""
    for number in range(2000):
        tx = note("x" * 60_000)
        if number == 0:
            tx.task(1, 0, state="done")
        try:
            await store.commit(tx)
        except Exception as caught:
            error = f"{type(caught).__name__}: {caught}"
            break
        durable += 1
        await asyncio.sleep(0)
        if failures and first_failure_at < 0:
            first_failure_at = number
    try:
        await store.commit(note("later"))
        later = ""
    except Exception as caught:
        later = type(caught).__name__
    await store.close()
    (folder / "filler").unlink()
    again = await Store.open(folder / "state.db")
    stored = len(await again.reader.events(1, limit=100_000))
    (task,) = await again.reader.tasks(1)
    await again.close()
    told = {
        "durable": durable,
        "stored": stored,
        "task": task.state.value,
        "first_failure_at": first_failure_at,
        "failures": failures,
        "error": error,
        "later": later,
    }
    print(json.dumps(told), flush=True)


async def serve(path: Path) -> None:
    """Commits a note for each line that it reads, and prints what became of it."""
    store = await Store.open(path)
    store.on_failure = lambda error: print(f"failure {type(error).__name__}", flush=True)
    print(f"epoch {store.epoch}", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            await store.commit(note(line.strip()))
            print("durable", flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)
    await store.close()


def lock(path: Path) -> None:
    """Holds the write lock of the database until it is killed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('half', 'way')")
    print("locked", flush=True)
    sys.stdin.read()


async def empty(path: Path) -> None:
    """Makes a database with two runs."""
    store = await Store.open(path)
    await new_run(store, 1)
    await new_run(store, 2)
    tx = Tx()
    tx.registered(1, 0, "fact", {"exit": 0}, False)
    await store.commit(tx)
    await store.close()


def main() -> None:
    """Runs the command that was asked for."""
    command, path, rest = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    if command == "migrate":
        migrate(path, int(rest[0]))
    elif command == "lock":
        lock(path)
    else:
        asyncio.run({"write": write, "fill": fill, "serve": serve, "empty": empty}[command](path))


if __name__ == "__main__":
    main()
