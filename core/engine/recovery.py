"""Reads a run back from the store, and settles what an ended engine left behind.

A task with an intent and no outcome is in doubt: nobody can know whether its command ran. What has no
side effect (checks, waits) is simply run again; a command that ended well and was not verified goes on
with its verification. Nothing is started here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from core.engine.blobs import Blobs
from core.engine.book import INTERRUPTED, Book, TaskRecord
from core.engine.contexts import Contexts
from core.engine.executor import Executor
from core.engine.handover import RunInputs
from core.engine.run import Run
from core.engine.snapshot import Snapshot
from core.errors import NotFound
from core.model.states import Asked, Phase, Purpose, RunState, TaskState, UndoState
from core.secrets.use import RunSecrets
from core.store.store import Store
from core.store.tx import Tx


def make_inputs(snapshot: Snapshot, blobs: Blobs, number: int, run_id: str, secrets: RunSecrets) -> RunInputs:
    """What the tasks of a run are made from."""
    batch = snapshot.loaded.batch
    contexts = Contexts(
        params=snapshot.params,
        servers=snapshot.servers.values(),
        users=snapshot.users,
        number=number,
        run_id=run_id,
        batch=batch.name,
        config=snapshot.config,
        environment=snapshot.environment,
        env=snapshot.env,
    )
    return RunInputs(batch, dict(snapshot.servers), contexts, dict(snapshot.files), blobs, secrets)


def make_secrets(snapshot: Snapshot, blobs: Blobs, variables: Mapping[str, str] | None = None) -> RunSecrets:
    """The secrets of a run, not read yet; `variables` as `RunSecrets` has them."""
    return RunSecrets(blobs.workspace, snapshot.secrets, snapshot.secret_files, variables)


async def load_run(
    store: Store,
    number: int,
    blobs: Blobs,
    make_executor: Callable[[str], Executor],
    variables: Mapping[str, str] | None = None,
) -> Run:
    """One stored run, as its rows say; `variables` as `RunSecrets` has them. Raises NotFound, StoreNewer."""
    info = await store.reader.run(number)
    stored = await store.reader.snapshot(number)
    if info is None or stored is None:
        raise NotFound(
            f"there is no run {number}", hint="`windlass runs list` shows the runs of this workspace"
        )
    snapshot = Snapshot.from_document(stored.batch_text, stored.file, stored.document)
    row = await store.reader.run_columns(number)
    records = await _records(store, number)
    book = Book(
        number,
        info.run_id,
        snapshot.graph(),
        store,
        records,
        state=info.state,
        asked=info.asked,
        halted=bool(row["halted"]),
        why=info.why,
        undo_scope=json.loads(row["undo_scope"]) if row["undo_scope"] else None,
    )
    secrets = make_secrets(snapshot, blobs, variables)
    inputs = make_inputs(snapshot, blobs, number, info.run_id, secrets)
    for index, name, value in await store.reader.registered(number):
        inputs.contexts.register(book.graph.key(index).server, name, value)
    return Run(book, snapshot, inputs, partial(make_executor, info.run_id))


async def _records(store: Store, number: int) -> list[TaskRecord]:
    """Every task of a run, read page by page: rows and records of a large run are never all here together."""
    records: list[TaskRecord] = []
    while page := await store.reader.states(number, after=len(records) - 1):
        records += [
            TaskRecord(
                state=stored.state,
                attempt=stored.attempt,
                budget=stored.attempts,
                undo=stored.undo,
                undo_attempt=stored.undo_attempt,
                handed_over=stored.handed_over,
                may_have_run=stored.may_have_run,
                when_holds=stored.when_holds,
                started=stored.state is TaskState.RUNNING,
                verify_exit=stored.exit_status if stored.phase is Phase.VERIFY else None,
            )
            for stored in page
        ]
    return records


async def settle(run: Run, store: Store) -> None:
    """Puts what was in flight when the last engine ended where it belongs; durable on return.

    The run then waits: for a person where something is in doubt, else to be resumed.
    """
    book = run.book
    batch = run.snapshot.loaded.batch
    tx = Tx()
    opened = {(entry.index, entry.purpose): entry for entry in await store.reader.open_attempts(book.number)}
    for task, record in enumerate(book.tasks):
        if record.undo is UndoState.UNDOING:
            _settle_undo(tx, book, task, opened)
        if record.state is not TaskState.RUNNING:
            continue
        step = batch.steps[book.graph.key(task).step]
        entry = opened.get((task, Purpose.RUN))
        if entry is None:
            # The phase stays with a command that is yet to be verified: every later engine must know.
            book.move(
                tx,
                task,
                TaskState.WAITING,
                phase=Phase.VERIFY if record.verify_exit is not None else None,
                why="interrupted; it goes on when the run is resumed",
            )
        elif not step.changes_something:
            tx.attempt_ended(
                book.number,
                task,
                Purpose.RUN,
                entry.attempt,
                outcome="not started",
                why="the engine ended while it waited; waiting changes nothing",
            )
            record.handed_over = False
            book.move(
                tx,
                task,
                TaskState.WAITING,
                why="interrupted while waiting; it is probed again",
                data={"interrupted": True},
            )
        else:
            tx.attempt_ended(
                book.number,
                task,
                Purpose.RUN,
                entry.attempt,
                outcome="in doubt",
                why="the engine ended while it was in flight",
            )
            book.move(
                tx,
                task,
                TaskState.IN_DOUBT,
                why="the engine ended after its intent and before its outcome; a resume asks its server",
                data={"interrupted": True},
            )
    doubts = len(run.in_doubt())
    if book.asked is Asked.CANCEL and not doubts:
        run.cancel_rest(tx)
    elif doubts:
        _move(tx, book, RunState.WAITING, f"{doubts} task{'s' if doubts > 1 else ''} in doubt")
    else:
        _move(tx, book, RunState.PAUSED, INTERRUPTED)
    await book.commit(tx)


def _settle_undo(tx: Tx, book: Book, task: int, opened: dict[tuple[int, Purpose], Any]) -> None:
    entry = opened.get((task, Purpose.UNDO))
    if entry is None:
        book.undo(tx, task, UndoState.PENDING, why="interrupted")
        return
    tx.attempt_ended(
        book.number,
        task,
        Purpose.UNDO,
        entry.attempt,
        outcome="in doubt",
        why="the engine ended while it was in flight",
    )
    book.undo(
        tx, task, UndoState.IN_DOUBT, why="the engine ended while the undo ran; a resume asks its server"
    )


def _move(tx: Tx, book: Book, state: RunState, why: str) -> None:
    if book.state is not state or book.why != why:
        book.run_state(tx, state, why=why)
