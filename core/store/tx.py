"""What one transaction changes: a list of statements and of events, built on the event loop.

Building costs no database work. The writer gives events their sequence numbers and executes the
statements in the order in which they were put in; either all of it becomes durable or nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from core.model.states import Asked, Purpose, RunState, Stream
from core.store.output import Piece
from core.store.records import NewRun, NewStep, NewTask

Parameters = Sequence[Any]

INTENT = (
    "INSERT INTO attempts (run, idx, purpose, attempt, intent, digest, boot_id, folder) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
ATTEMPT_ENDED = (
    "UPDATE attempts SET ended = ?, outcome = ?, exit_status = ?, signal = ?, why = ?, evidence = ? "
    "WHERE run = ? AND idx = ? AND purpose = ? AND attempt = ?"
)
REGISTERED = "INSERT OR REPLACE INTO registered (run, idx, name, value, sensitive) VALUES (?, ?, ?, ?, ?)"
SERVER_FACTS = "INSERT OR REPLACE INTO server_facts (server, time, supervised, notes) VALUES (?, ?, ?, ?)"
EMPTY_DATA: Mapping[str, Any] = {}


def encode(value: Any) -> str:
    """JSON as it is stored: compact, text as it is."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@cache
def _update(table: str, columns: tuple[str, ...], where: str) -> str:
    """The SQL text of an update. Column names come from the callers' keywords, never from input."""
    return f"UPDATE {table} SET {', '.join(f'{column} = ?' for column in columns)} WHERE {where}"


class Tx:
    """One transaction in the making; used once."""

    __slots__ = ("events", "many", "output_pieces", "statements")

    def __init__(self) -> None:
        self.statements: list[tuple[str, Parameters]] = []
        self.many: list[tuple[str, list[Parameters]]] = []
        self.events: list[tuple[Any, ...]] = []
        self.output_pieces: list[Piece] = []

    def event(
        self,
        type_: str,
        *,
        run: int | None = None,
        step: str | None = None,
        server: str | None = None,
        attempt: int | None = None,
        actor: str = "engine",
        data: Mapping[str, Any] = EMPTY_DATA,
    ) -> None:
        """An event; its sequence number and time are given when it is committed."""
        self.events.append((type_, run, step, server, attempt, actor, data))

    def run(self, number: int, **columns: Any) -> None:
        """Changes columns of a run."""
        self.statements.append((_update("runs", tuple(columns), "number = ?"), (*columns.values(), number)))

    def task(self, run: int, index: int, **columns: Any) -> None:
        """Changes columns of a task."""
        sql = _update("tasks", tuple(columns), "run = ? AND idx = ?")
        self.statements.append((sql, (*columns.values(), run, index)))

    def intent(
        self,
        run: int,
        index: int,
        purpose: Purpose,
        attempt: int,
        digest: str,
        boot_id: str,
        folder: str = "",
    ) -> None:
        """Records that an attempt is about to be handed over, and where its record will be."""
        self.statements.append(
            (INTENT, (run, index, purpose.value, attempt, time.time(), digest, boot_id, folder))
        )

    def server_facts(self, server: str, *, supervised: bool, notes: Sequence[str]) -> None:
        """Keeps what a session learnt about a server, for the next plan."""
        self.statements.append((SERVER_FACTS, (server, time.time(), supervised, encode(list(notes)))))

    def attempt_ended(
        self,
        run: int,
        index: int,
        purpose: Purpose,
        attempt: int,
        *,
        outcome: str,
        exit_status: int | None = None,
        signal: str = "",
        why: str = "",
        evidence: str = "",
    ) -> None:
        """Records how an attempt ended."""
        values = (time.time(), outcome, exit_status, signal, why, evidence)
        self.statements.append((ATTEMPT_ENDED, (*values, run, index, purpose.value, attempt)))

    def output(
        self,
        run: int,
        index: int,
        purpose: Purpose,
        attempt: int,
        stream: Stream,
        start: int,
        data: bytes,
    ) -> None:
        """Stores a piece of output, within what is kept for each attempt and stream."""
        self.output_pieces.append(Piece(run, index, purpose, attempt, stream, start, data))

    def registered(self, run: int, index: int, name: str, value: Mapping[str, Any], sensitive: bool) -> None:
        """Stores the result that a task registered."""
        self.statements.append((REGISTERED, (run, index, name, encode(value), sensitive)))

    def hold(self, run: int, servers: Sequence[str]) -> None:
        """Lets a run hold servers while it is open."""
        self.many.append(
            ("INSERT OR IGNORE INTO holds (server, run) VALUES (?, ?)", [(name, run) for name in servers])
        )

    def release(self, run: int) -> None:
        """Gives back every server that a run holds."""
        self.statements.append(("DELETE FROM holds WHERE run = ?", (run,)))

    def create_run(self, run: NewRun, steps: Sequence[NewStep], tasks: Sequence[NewTask]) -> None:
        """A new run with its snapshot, steps and tasks, all waiting."""
        self.many += [
            (
                "INSERT INTO runs (number, run_id, batch, path, state, asked, actor, created, tasks, servers, "
                "params, parent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        run.number,
                        run.run_id,
                        run.batch,
                        run.path,
                        RunState.RUNNING.value,
                        Asked.RUN.value,
                        run.actor,
                        run.created,
                        len(tasks),
                        run.servers,
                        encode(dict(run.params)),
                        run.parent,
                    )
                ],
            ),
            (
                "INSERT INTO snapshots (run, batch_text, file, digest, document) VALUES (?, ?, ?, ?, ?)",
                [(run.number, run.batch_text, run.path, run.digest, encode(dict(run.document)))],
            ),
            (
                "INSERT INTO steps (run, idx, name, kind, summary, tasks, irreversible) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(run.number, s.index, s.name, s.kind, s.summary, s.tasks, s.irreversible) for s in steps],
            ),
            (
                "INSERT INTO tasks (run, idx, step, server, attempts) VALUES (?, ?, ?, ?, ?)",
                [(run.number, t.index, t.step, t.server, t.attempts) for t in tasks],
            ),
        ]
