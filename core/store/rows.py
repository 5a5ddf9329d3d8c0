"""Many small changes as few statements: what the writer executes of a group of transactions.

A statement costs more than the row it changes: Python hands the interpreter over for each one and, where
the event loop is busy, waits to get it back. So the changes of a group are gathered by table, several
changes of one row become one, and rows go to SQLite many at a time.

Gathering keeps the meaning of the order in which the changes came. Within one table no row is changed by
two statements, and tables are written parents first; whatever is not gathered (new runs, holds) flushes what
was gathered before it. Output belongs to tasks alone, which are there before it, and is gathered by itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

Row = Sequence[Any]

ROWS_AT_MOST = 256
"""Rows in one statement; a number above FEW_ROWS is cut into powers of two, so that few SQL texts exist."""
FEW_ROWS = 8
UPDATE_FROM = sqlite3.sqlite_version_info >= (3, 33)
"""Whether SQLite knows UPDATE ... FROM; without it, rows are updated one by one."""

EVENT_COLUMNS = ("seq", "type", "run", "step", "server", "attempt", "actor", "time", "data")
INTENT_COLUMNS = ("run", "idx", "purpose", "attempt", "intent", "digest", "boot_id", "folder")
ATTEMPT_KEY = ("run", "idx", "purpose", "attempt")
ENDED_COLUMNS = ("ended", "outcome", "exit_status", "signal", "why", "evidence")
TASK_KEY = ("run", "idx")


class Gathered:
    """Changes of tasks and attempts that wait to be written."""

    __slots__ = ("_ends", "_intents", "_tasks")

    def __init__(self) -> None:
        self._tasks: dict[tuple[int, int], dict[str, Any]] = {}
        self._intents: dict[Row, Row] = {}
        self._ends: dict[Row, Row] = {}

    def add(self, connection: sqlite3.Connection, tasks: Sequence[Any], attempts: Sequence[Any]) -> None:
        """Takes the changes of one transaction.

        `tasks` are (run, index, columns); `attempts` are (ended, key, values), with the values of an end
        or of an intent.
        """
        for run, index, columns in tasks:
            known = self._tasks.get((run, index))
            if known is None:
                self._tasks[run, index] = columns
            else:
                self._tasks[run, index] = {**known, **columns}
        for ended, key, values in attempts:
            if ended:
                self._ends[key] = values
                continue
            if key in self._intents or key in self._ends:  # the database decides what this means
                self.write(connection)
            self._intents[key] = values

    def write(self, connection: sqlite3.Connection) -> None:
        """Executes everything gathered; nothing is left. Raises sqlite3.Error."""
        if self._tasks:
            by_columns: dict[tuple[str, ...], list[Row]] = {}
            for key, columns in self._tasks.items():
                by_columns.setdefault(tuple(columns), []).append((*key, *columns.values()))
            self._tasks = {}
            for names, rows in by_columns.items():
                update(connection, "tasks", TASK_KEY, names, rows)
        if self._intents:
            rows = [(*key, *values) for key, values in self._intents.items()]
            self._intents = {}
            insert(connection, "attempts", INTENT_COLUMNS, rows)
        if self._ends:
            rows = [(*key, *values) for key, values in self._ends.items()]
            self._ends = {}
            update(connection, "attempts", ATTEMPT_KEY, ENDED_COLUMNS, rows)


def insert(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Inserts rows, each with the values of `columns` in their order."""
    for part in _parts(rows):
        connection.execute(_insert_sql(table, columns, len(part)), list(chain.from_iterable(part)))


def update(
    connection: sqlite3.Connection,
    table: str,
    key: tuple[str, ...],
    columns: tuple[str, ...],
    rows: Sequence[Row],
) -> None:
    """Updates rows, each given as its key and the new values of `columns`; no key may come twice."""
    if not UPDATE_FROM:
        turned = [(*row[len(key) :], *row[: len(key)]) for row in rows]
        connection.executemany(_update_one_sql(table, key, columns), turned)
        return
    for part in _parts(rows):
        connection.execute(_update_sql(table, key, columns, len(part)), list(chain.from_iterable(part)))


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in order, in parts of which each has a few or a power of two of them."""
    start, left = 0, len(rows)
    while left:
        size = left if left <= FEW_ROWS else min(ROWS_AT_MOST, 1 << (left.bit_length() - 1))
        yield rows[start : start + size]
        start += size
        left -= size


# The names in the texts below come from this package and from the keywords of its callers, never from input.


@cache
def _insert_sql(table: str, columns: tuple[str, ...], rows: int) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {_marks(len(columns), rows)}"


@cache
def _update_sql(table: str, key: tuple[str, ...], columns: tuple[str, ...], rows: int) -> str:
    changed = ", ".join(f"{name} = new.column{len(key) + at}" for at, name in enumerate(columns, 1))
    found = " AND ".join(f"{table}.{name} = new.column{at}" for at, name in enumerate(key, 1))
    return f"UPDATE {table} SET {changed} FROM (VALUES {_marks(len(key) + len(columns), rows)}) new WHERE {found}"


@cache
def _update_one_sql(table: str, key: tuple[str, ...], columns: tuple[str, ...]) -> str:
    changed = ", ".join(f"{name} = ?" for name in columns)
    return f"UPDATE {table} SET {changed} WHERE {' AND '.join(f'{name} = ?' for name in key)}"


def _marks(width: int, rows: int) -> str:
    row = f"({', '.join('?' * width)})"
    return ", ".join([row] * rows)
