"""Gathered rows mean what one statement after the other would have meant."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.model.states import Purpose
from core.store import rows as rows_module
from core.store.rows import FEW_ROWS, Gathered, _parts, insert
from core.store.schema import MIGRATIONS
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import new_run, query, run_rows

INTENT = "INSERT INTO attempts (run, idx, purpose, attempt, intent, digest, boot_id, folder) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
TASKS = 40


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(a_database()) as opened:
        yield opened


def a_database() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("PRAGMA foreign_keys = ON")
    for migration in MIGRATIONS:
        made.executescript(migration)
    made.execute(
        "INSERT INTO runs (number, run_id, batch, path, state, asked, actor, created, tasks, servers, params) "
        "VALUES (1, 'x', 'b', '', 'running', 'run', 'me', 0, ?, 1, '{}')",
        [TASKS],
    )
    made.executemany(
        "INSERT INTO tasks (run, idx, step, server, attempts) VALUES (1, ?, 's', 'a', 1)",
        [(index,) for index in range(TASKS)],
    )
    return made


def one_by_one(connection: sqlite3.Connection, tx: Tx) -> None:
    """What the changes mean: each a statement of its own, in their order."""
    for run, index, columns in tx.tasks:
        names = ", ".join(f"{name} = ?" for name in columns)
        connection.execute(
            f"UPDATE tasks SET {names} WHERE run = ? AND idx = ?", [*columns.values(), run, index]
        )
    for ended, key, values in tx.attempts:
        if not ended:
            connection.execute(INTENT, [*key, *values])
        else:
            connection.execute(
                "UPDATE attempts SET ended = ?, outcome = ?, exit_status = ?, signal = ?, why = ?, evidence = ? "
                "WHERE run = ? AND idx = ? AND purpose = ? AND attempt = ?",
                [*values, *key],
            )


def content(connection: sqlite3.Connection) -> list[Any]:
    return [
        *connection.execute("SELECT * FROM tasks ORDER BY run, idx"),
        *connection.execute("SELECT * FROM attempts ORDER BY run, idx, purpose, attempt"),
    ]


@pytest.mark.parametrize("update_from", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_random_changes_end_where_single_statements_do(
    seed: int, update_from: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "UPDATE_FROM", update_from)
    source = random.Random(seed)
    plain, gathered = a_database(), a_database()
    attempts = dict.fromkeys(range(TASKS), 0)
    with closing(plain), closing(gathered):
        for _ in range(3):
            group = Gathered()
            for _ in range(source.randrange(1, 120)):
                tx, task = Tx(), source.randrange(TASKS)
                for _ in range(source.randrange(3)):
                    names = source.sample(["state", "why", "evidence", "exit_status", "phase", "started"], 2)
                    tx.task(1, task, **{name: source.choice([None, 7, "x"]) or "y" for name in names})
                if source.random() < 0.5:
                    attempts[task] += 1
                    tx.intent(1, task, Purpose.RUN, attempts[task], "digest", "boot")
                elif attempts[task]:
                    tx.attempt_ended(1, task, Purpose.RUN, attempts[task], outcome=source.choice("abc"))
                one_by_one(plain, tx)
                group.add(gathered, tx.tasks, tx.attempts)
            group.write(gathered)
        assert content(gathered) == content(plain)


def test_an_attempt_that_is_there_already_is_refused(connection: sqlite3.Connection) -> None:
    tx = Tx()
    tx.intent(1, 0, Purpose.RUN, 1, "digest", "boot")
    tx.intent(1, 0, Purpose.RUN, 1, "digest", "boot")
    group = Gathered()
    with pytest.raises(sqlite3.IntegrityError):
        group.add(connection, tx.tasks, tx.attempts)
        group.write(connection)


def test_an_intent_of_an_unknown_task_is_refused(connection: sqlite3.Connection) -> None:
    tx = Tx()
    tx.intent(1, TASKS, Purpose.RUN, 1, "digest", "boot")
    group = Gathered()
    group.add(connection, tx.tasks, tx.attempts)
    with pytest.raises(sqlite3.IntegrityError):
        group.write(connection)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 255, 256, 257, 1000])
def test_rows_are_cut_into_parts_that_hold_all_of_them_in_order(count: int) -> None:
    parts = list(_parts([(number,) for number in range(count)]))
    assert [row for part in parts for row in part] == [(number,) for number in range(count)]
    assert {len(part) for part in parts} <= {*range(1, FEW_ROWS + 1), *(1 << power for power in range(9))}


def test_nothing_to_insert_is_no_statement(connection: sqlite3.Connection) -> None:
    insert(connection, "events", rows_module.EVENT_COLUMNS, [])


async def test_a_run_and_changes_of_it_may_share_a_group(store: Store, database: Path) -> None:
    waiting = []
    for number in (1, 2):
        tx = Tx()
        tx.create_run(*run_rows(number))
        waiting.append(store.commit(tx))
        for task in range(3):
            tx = Tx()
            tx.task(number, task, state="running", started=1.0)
            tx.intent(number, task, Purpose.RUN, 1, "digest", "boot")
            tx.run(number, why=f"task {task}")
            tx.task(number, task, state="done", ended=2.0)
            waiting.append(store.commit(tx))
    for future in waiting:
        await future
    done = (
        "SELECT run, count(*) FROM tasks WHERE state = 'done' AND started = 1.0 AND ended = 2.0 GROUP BY run"
    )
    assert query(database, done) == [(1, 3), (2, 3)]
    assert query(database, "SELECT number, why FROM runs") == [(1, "task 2"), (2, "task 2")]


async def test_the_last_of_several_changes_of_a_task_counts(store: Store, database: Path) -> None:
    await new_run(store)
    for state in ("running", "waiting", "running", "done"):
        tx = Tx()
        tx.task(1, 0, state=state, why=f"now {state}")
        if state == "done":
            tx.task(1, 0, exit_status=0)
        store.post(tx)
    await store.flush()
    found = query(database, "SELECT state, why, exit_status FROM tasks WHERE run = 1 AND idx = 0")
    assert found == [("done", "now done", 0)]
