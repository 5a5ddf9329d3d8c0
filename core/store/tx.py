"""What one transaction changes: lists of rows, statements and events, built on the event loop.

Building costs no database work. The writer gives events their sequence numbers and writes the changes so
that they mean what their order says: `many`, statements, output, then tasks and attempts, of which each
row's last change counts. Either all of it becomes durable or nothing.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from pydantic_core import to_json

from core.model.states import Asked, Purpose, RunState, Stream
from core.store.output import Piece
from core.store.records import NewRun, NewStep, NewTask

Parameters = Sequence[Any]

REGISTERED = "INSERT OR REPLACE INTO registered (run, idx, name, value, sensitive) VALUES (?, ?, ?, ?, ?)"
SERVER_FACTS = "INSERT OR REPLACE INTO server_facts (server, time, supervised, notes) VALUES (?, ?, ?, ?)"
OUTLET = (
    "INSERT OR REPLACE INTO outlets (name, seq, told, tries, failing_since, why) VALUES (?, ?, ?, ?, ?, ?)"
)
DEAD_LETTER = (
    "INSERT OR REPLACE INTO dead_letters (outlet, seq, time, tries, why, again) VALUES (?, ?, ?, ?, ?, 0)"
)
EMPTY_DATA: Mapping[str, Any] = {}


def encode(value: Any) -> str:
    """JSON as it is stored: compact, text as it is. Raises ValueError for what JSON cannot hold."""
    return to_json(value).decode()


@cache
def _update(table: str, columns: tuple[str, ...], where: str) -> str:
    """The SQL text of an update. Column names come from the callers' keywords, never from input."""
    return f"UPDATE {table} SET {', '.join(f'{column} = ?' for column in columns)} WHERE {where}"


class Tx:
    """One transaction in the making; used once."""

    __slots__ = ("attempts", "events", "many", "output_pieces", "statements", "tasks")

    def __init__(self) -> None:
        self.tasks: list[tuple[int, int, dict[str, Any]]] = []
        self.attempts: list[tuple[bool, tuple[int, int, str, int], tuple[Any, ...]]] = []
        self.events: list[tuple[Any, ...]] = []
        # Most transactions hold none of these.
        self.statements: tuple[tuple[str, Parameters], ...] = ()
        self.many: tuple[tuple[str, list[Parameters]], ...] = ()
        self.output_pieces: tuple[Piece, ...] = ()

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
        sql = _update("runs", tuple(columns), "number = ?")
        self.statements += ((sql, (*columns.values(), number)),)

    def task(self, run: int, index: int, **columns: Any) -> None:
        """Changes columns of a task."""
        self.tasks.append((run, index, columns))

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
        key = (run, index, purpose.value, attempt)
        self.attempts.append((False, key, (time.time(), digest, boot_id, folder)))

    def server_facts(self, server: str, *, supervised: bool, notes: Sequence[str]) -> None:
        """Keeps what a session learnt about a server, for the next plan."""
        self.statements += ((SERVER_FACTS, (server, time.time(), supervised, encode(list(notes)))),)

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
        self.attempts.append((True, (run, index, purpose.value, attempt), values))

    def attempt_goes_on(self, run: int, index: int, purpose: Purpose, attempt: int) -> None:
        """Takes back that an attempt was in doubt: it was found running, and has no outcome yet."""
        self.attempts.append((True, (run, index, purpose.value, attempt), (None, "", None, "", "", "")))

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
        self.output_pieces += (Piece(run, index, purpose, attempt, stream, start, data),)

    def registered(self, run: int, index: int, name: str, value: Mapping[str, Any], sensitive: bool) -> None:
        """Stores the result that a task registered."""
        self.statements += ((REGISTERED, (run, index, name, encode(value), sensitive)),)

    def hold(self, run: int, servers: Sequence[str]) -> None:
        """Lets a run hold servers while it is open."""
        sql = "INSERT OR IGNORE INTO holds (server, run) VALUES (?, ?)"
        self.many += ((sql, [(name, run) for name in servers]),)

    def release(self, run: int) -> None:
        """Gives back every server that a run holds."""
        self.statements += (("DELETE FROM holds WHERE run = ?", (run,)),)

    def key_of_run(self, run: int, key: str, request: str) -> None:
        """Keeps under which key a run was asked for, with the digest of the request."""
        sql = "INSERT INTO run_keys (key, run, request) VALUES (?, ?, ?)"
        self.statements += ((sql, (key, run, request)),)

    def outlet(
        self,
        name: str,
        seq: int,
        told: int,
        tries: int = 0,
        failing_since: float | None = None,
        why: str = "",
    ) -> None:
        """Keeps how far an outlet has been told, and how it fares."""
        self.statements += ((OUTLET, (name, seq, told, tries, failing_since, why)),)

    def dead_letter(self, outlet: str, seq: int, tries: int, why: str) -> None:
        """Puts an event aside that an outlet could not be told."""
        self.statements += ((DEAD_LETTER, (outlet, seq, time.time(), tries, why)),)

    def ask_again(self, outlet: str, seqs: Sequence[int]) -> None:
        """Lets events that were put aside be told again."""
        sql = "UPDATE dead_letters SET again = 1 WHERE outlet = ? AND seq = ?"
        self.many += ((sql, [(outlet, seq) for seq in seqs]),)

    def letter_told(self, outlet: str, seq: int) -> None:
        """Forgets an event that was put aside."""
        self.statements += (("DELETE FROM dead_letters WHERE outlet = ? AND seq = ?", (outlet, seq)),)

    def create_run(self, run: NewRun, steps: Sequence[NewStep], tasks: Sequence[NewTask]) -> None:
        """A new run with its snapshot, steps and tasks, all waiting."""
        self.many += (
            (
                "INSERT INTO runs (number, run_id, batch, path, state, asked, actor, created, tasks, servers, "
                "params, parent, environment, protection) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                        run.environment,
                        run.protection,
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
        )
