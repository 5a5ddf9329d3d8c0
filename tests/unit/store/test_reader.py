"""Every reader method gives back what was committed, while the writer goes on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from core.errors import StoreCorrupt, StoreNewer
from core.model import events
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Asked, Phase, Purpose, RunState, Stream, TaskState, UndoState
from core.model.views import OutputChunk
from core.store.reader import StoreReader
from core.store.records import OpenAttempt, StoredTask
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import SERVERS, done, new_run, note, query

FIRST = TaskKey("prepare", "web-1")


async def change(store: Store, **columns: Any) -> None:
    """Changes task 0 of run 1."""
    tx = Tx()
    tx.task(1, 0, **columns)
    await store.commit(tx)


async def test_a_run_reads_as_it_was_created(store: Store) -> None:
    await new_run(store)
    run = await store.reader.run(1)
    assert run is not None
    assert (run.number, run.run_id, run.batch, run.path) == (1, f"{1:032x}", "site", "batches/site.yaml")
    assert (run.state, run.asked, run.why, run.actor) == (RunState.RUNNING, Asked.RUN, "", "ada")
    assert (run.created, run.ended, run.parent) == (1001.0, None, None)
    assert (run.tasks, run.servers, run.counts) == (6, 3, {TaskState.WAITING: 6})
    assert run.undo_counts == {}
    assert run.params == {"version": "1.2", "count": 3}
    assert run.last_seq == 1
    assert await store.reader.run(2) is None


async def test_runs_are_listed_newest_first_and_filtered(store: Store) -> None:
    for number in range(1, 6):
        await new_run(store, number, batch="odd" if number % 2 else "even")
    tx = Tx()
    tx.run(3, state="done", ended=5.0)
    tx.run(4, state="paused", why="by ada", asked="pause")
    await store.commit(tx)

    async def numbers(**options: Any) -> list[int]:
        return [run.number for run in await store.reader.runs(**options)]

    assert await numbers() == [5, 4, 3, 2, 1]
    assert await numbers(limit=2) == [5, 4]
    assert await numbers(limit=2, before=4) == [3, 2]
    assert await numbers(batch="even") == [4, 2]
    assert await numbers(states=[RunState.DONE, RunState.PAUSED]) == [4, 3]
    assert await numbers(states=[RunState.RUNNING], batch="odd", before=5) == [1]
    paused = await store.reader.run(4)
    assert paused is not None and (paused.why, paused.asked) == ("by ada", Asked.PAUSE)


async def test_counts_by_state_and_undo(store: Store) -> None:
    await new_run(store)
    tx = Tx()
    for task, state in enumerate(["done", "done", "failed", "running"]):
        tx.task(1, task, state=state)
    tx.task(1, 0, undo="undone", started=10.0, ended=12.0)
    tx.task(1, 1, undo="undo_failed", started=9.0, ended=15.0)
    tx.task(1, 2, started=11.0, ended=13.0)
    await store.commit(tx)
    (run,) = await store.reader.runs()
    assert run.counts == {
        TaskState.DONE: 2,
        TaskState.FAILED: 1,
        TaskState.RUNNING: 1,
        TaskState.WAITING: 2,
    }
    assert run.undo_counts == {UndoState.UNDONE: 1, UndoState.FAILED: 1}
    prepare, deploy = await store.reader.steps(1)
    assert (prepare.index, prepare.name, prepare.kind, prepare.summary) == (
        0,
        "prepare",
        "run",
        "does prepare",
    )
    assert (prepare.tasks, prepare.irreversible, deploy.irreversible) == (3, False, True)
    assert prepare.counts == {TaskState.DONE: 2, TaskState.FAILED: 1}
    assert prepare.undo_counts == {UndoState.UNDONE: 1, UndoState.FAILED: 1}
    assert (prepare.started, prepare.ended) == (9.0, 15.0)
    assert deploy.counts == {TaskState.RUNNING: 1, TaskState.WAITING: 2}
    assert (deploy.started, deploy.ended) == (None, None)


async def test_the_snapshot_of_a_run(store: Store) -> None:
    await new_run(store)
    snapshot = await store.reader.snapshot(1)
    assert snapshot is not None
    assert (snapshot.batch_text, snapshot.file) == ("steps: {}\n", "batches/site.yaml")
    assert snapshot.digest == "d" * 64
    assert snapshot.document == {"format": 1, "servers": list(SERVERS)}
    assert await store.reader.snapshot(2) is None


async def test_a_task_in_full(store: Store) -> None:
    await new_run(store)
    waiting = await store.reader.task(1, FIRST)
    assert waiting is not None
    assert (waiting.index, waiting.key, waiting.state) == (0, FIRST, TaskState.WAITING)
    assert (waiting.phase, waiting.attempt, waiting.attempts) == (None, 0, 3)
    assert (waiting.exit_status, waiting.signal, waiting.started, waiting.ended) == (None, "", None, None)
    assert (waiting.undo, waiting.may_have_run) == (UndoState.NONE, False)
    await change(
        store,
        state="in_doubt",
        phase="verify",
        attempt=2,
        exit_status=143,
        signal="TERM",
        why="lost",
        evidence="none",
        started=1.5,
        ended=2.5,
        undo="undoing",
        undo_why="asked",
        may_have_run=True,
        decision="retry",
        decided_by="ada",
        last_line="ü\x00 end",
    )
    task = await store.reader.task(1, FIRST)
    assert task is not None
    assert (task.state, task.phase) == (TaskState.IN_DOUBT, Phase.VERIFY)
    assert (task.attempt, task.attempts, task.exit_status, task.signal) == (2, 3, 143, "TERM")
    assert (task.why, task.evidence, task.started, task.ended) == ("lost", "none", 1.5, 2.5)
    assert (task.undo, task.undo_why, task.may_have_run) == (UndoState.UNDOING, "asked", True)
    assert (task.decision, task.decided_by, task.last_line) == ("retry", "ada", "ü\x00 end")
    assert await store.reader.task(1, TaskKey("prepare", "nowhere")) is None


async def test_tasks_are_paged_and_filtered(store: Store) -> None:
    await new_run(store)
    tx = Tx()
    tx.task(1, 1, state="failed")
    tx.task(1, 4, state="done")
    await store.commit(tx)

    async def indexes(**options: Any) -> list[int]:
        return [task.index for task in await store.reader.tasks(1, **options)]

    assert await indexes() == [0, 1, 2, 3, 4, 5]
    assert await indexes(limit=2) == [0, 1]
    assert await indexes(after=1, limit=2) == [2, 3]
    assert await indexes(step="deploy") == [3, 4, 5]
    assert await indexes(states=[TaskState.FAILED, TaskState.DONE]) == [1, 4]
    assert await indexes(step="deploy", states=[TaskState.WAITING], after=3) == [5]
    assert await store.reader.tasks(2) == []


async def test_attempts_and_what_recovery_reads(store: Store) -> None:
    await new_run(store)
    tx = Tx()
    tx.intent(1, 0, Purpose.RUN, 1, "digest-1", "boot-1")
    tx.attempt_ended(1, 0, Purpose.RUN, 1, outcome="failed", exit_status=3, why="exit 3", evidence="status")
    tx.intent(1, 0, Purpose.RUN, 2, "digest-2", "boot-1")
    tx.task(1, 0, state="running", phase="run", attempt=2)
    tx.intent(1, 1, Purpose.RUN, 1, "digest-3", "")
    tx.attempt_ended(1, 1, Purpose.RUN, 1, outcome="not started", signal="", why="voided")
    tx.task(1, 1, attempt=1, attempts=5)
    tx.intent(1, 2, Purpose.RUN, 1, "digest-4", "")
    tx.attempt_ended(1, 2, Purpose.RUN, 1, outcome="ok", exit_status=0)
    tx.intent(1, 2, Purpose.UNDO, 1, "digest-5", "")
    tx.attempt_ended(1, 2, Purpose.UNDO, 1, outcome="failed", exit_status=1)
    tx.intent(1, 2, Purpose.UNDO, 2, "digest-6", "")
    tx.task(1, 2, state="done", attempt=1, exit_status=0, undo="undoing", may_have_run=True)
    before = time.time()
    await store.commit(tx)

    first, second = await store.reader.attempts(1, FIRST)
    assert (first.purpose, first.number, first.outcome, first.exit_status) == (Purpose.RUN, 1, "failed", 3)
    assert (first.why, first.evidence, first.digest, first.boot_id) == (
        "exit 3",
        "status",
        "digest-1",
        "boot-1",
    )
    assert first.ended is not None and before - 60 < first.intent <= first.ended <= time.time()
    assert (second.number, second.outcome, second.ended, second.exit_status) == (2, "", None, None)

    opened = await store.reader.open_attempts(1)
    assert [(entry.index, entry.purpose, entry.attempt) for entry in opened] == [
        (0, Purpose.RUN, 2),
        (2, Purpose.UNDO, 2),
    ]
    assert isinstance(opened[0], OpenAttempt)
    assert (opened[0].digest, opened[0].boot_id) == ("digest-2", "boot-1")

    states = await store.reader.states(1)
    assert [state.index for state in states] == list(range(6))
    assert all(isinstance(state, StoredTask) for state in states)
    assert (states[0].state, states[0].phase, states[0].attempt) == (TaskState.RUNNING, Phase.RUN, 2)
    assert [state.handed_over for state in states] == [True, False, True, False, False, False]
    assert [state.undo_attempt for state in states] == [0, 0, 2, 0, 0, 0]
    assert (states[1].attempt, states[1].attempts) == (1, 5)
    assert (states[2].undo, states[2].may_have_run, states[2].exit_status) == (UndoState.UNDOING, True, 0)


async def test_states_come_in_pages(store: Store) -> None:
    await new_run(store)
    whole = await store.reader.states(1)
    assert [task.index for task in whole] == list(range(6))
    first = await store.reader.states(1, limit=4)
    rest = await store.reader.states(1, after=first[-1].index, limit=4)
    assert first + rest == whole
    assert await store.reader.states(1, after=5) == []


async def test_an_attempt_can_be_opened_once_only(store: Store) -> None:
    await new_run(store)
    for fails in (False, True):
        tx = Tx()
        tx.intent(1, 0, Purpose.RUN, 1, "digest", "boot")
        outcome = (await asyncio.gather(store.commit(tx), return_exceptions=True))[0]
        assert isinstance(outcome, BaseException) is fails


async def test_what_a_run_keeps_for_itself(store: Store) -> None:
    await new_run(store)
    assert dict(await store.reader.run_columns(1)) == {"halted": 0, "undo_scope": None}
    tx = Tx()
    tx.run(1, halted=True, undo_scope='{"steps": []}')
    await store.commit(tx)
    assert dict(await store.reader.run_columns(1)) == {"halted": 1, "undo_scope": '{"steps": []}'}


async def test_registered_values(store: Store) -> None:
    await new_run(store)
    tx = Tx()
    tx.registered(1, 4, "fact", {"state": "done", "exit": 0, "output": "ü"}, False)
    tx.registered(1, 0, "fact", {"state": "failed", "exit": 1}, False)
    tx.registered(1, 0, "fact", {"state": "done", "exit": 0}, False)
    await store.commit(tx)
    assert await store.reader.registered(1) == [
        (0, "fact", {"state": "done", "exit": 0}),
        (4, "fact", {"state": "done", "exit": 0, "output": "ü"}),
    ]


async def test_holds(store: Store) -> None:
    await new_run(store, 1, servers=("a", "b"))
    assert await store.reader.holds() == {"a": 1, "b": 1}
    await new_run(store, 2, servers=("b", "c"))  # alongside
    assert await store.reader.holds() == {"a": 1, "b": 1, "c": 2}
    tx = Tx()
    tx.hold(1, ["a", "d"])  # what is held already is held on
    await store.commit(tx)
    assert await store.reader.holds() == {"a": 1, "b": 1, "c": 2, "d": 1}
    tx = Tx()
    tx.release(1)
    await store.commit(tx)
    assert await store.reader.holds() == {"b": 2, "c": 2}


async def test_events_are_paged_by_number_and_run(store: Store, database: Path) -> None:
    await new_run(store)
    tx = Tx()
    tx.event(
        events.TASK_STATE,
        run=1,
        step="prepare",
        server="web-1",
        attempt=2,
        actor="ada",
        data={"from": "running", "to": "done", "text": 'ü "\n'},
    )
    tx.event(events.ENGINE_OPENED, data={"epoch": 1})
    await store.commit(tx)
    created, state, opened = await store.reader.events(0)
    assert (state.seq, state.type, state.version) == (2, "task.state", 1)
    assert (state.run, state.step, state.server, state.attempt, state.actor) == (
        1,
        "prepare",
        "web-1",
        2,
        "ada",
    )
    assert state.data == {"from": "running", "to": "done", "text": 'ü "\n'}
    assert (opened.run, opened.step, opened.attempt, opened.actor) == (None, None, None, "engine")
    assert await store.reader.events(1) == [state, opened]
    assert await store.reader.events(0, limit=1) == [created]
    assert await store.reader.events(0, run=1) == [created, state]
    assert await store.reader.events(3) == []
    assert await store.reader.last_seq() == 3


async def test_the_log_holds_what_was_told(store: Store) -> None:
    told: list[Event] = []
    store.on_events = told.extend
    await new_run(store)
    await asyncio.gather(*(store.commit(done(task)) for task in range(6)))
    assert await store.reader.events(0) == told


async def test_numbers_and_identities_of_the_workspace(store: Store) -> None:
    assert await store.reader.next_run_number() == 1
    await new_run(store, 7)
    assert await store.reader.next_run_number() == 8
    assert await store.reader.incarnation() == store.incarnation
    assert len(store.incarnation) == 32


async def test_output_in_the_order_in_which_it_came(store: Store) -> None:
    await new_run(store)
    for purpose, attempt, stream, start, data in [
        (Purpose.RUN, 1, Stream.STDOUT, 0, b"one\n"),
        (Purpose.RUN, 1, Stream.STDERR, 0, b"oops\n"),
        (Purpose.RUN, 1, Stream.STDOUT, 4, b"two\n"),
        (Purpose.RUN, 2, Stream.STDOUT, 0, b"again\x00\xff\n"),
        (Purpose.CHECK, 1, Stream.STDOUT, 10, b"after a gap"),
    ]:
        tx = Tx()
        tx.output(1, 0, purpose, attempt, stream, start, data)
        await store.commit(tx)
    page = await store.reader.output(1, FIRST)
    assert [(chunk.start, chunk.end, chunk.data) for chunk in page.chunks] == [
        (0, 4, b"one\n"),
        (0, 5, b"oops\n"),
        (4, 8, b"two\n"),
        (0, 8, b"again\x00\xff\n"),
        (10, 21, b"after a gap"),
    ]
    assert isinstance(page.chunks[0], OutputChunk)
    assert not page.more and page.summaries == ()

    async def texts(**options: Any) -> list[bytes]:
        return [chunk.data for chunk in (await store.reader.output(1, FIRST, **options)).chunks]

    assert await texts(stream=Stream.STDERR) == [b"oops\n"]
    assert await texts(attempt=2) == [b"again\x00\xff\n"]
    assert await texts(purpose=Purpose.RUN, stream=Stream.STDOUT, attempt=1) == [b"one\n", b"two\n"]
    assert await texts(purpose=Purpose.CHECK) == [b"after a gap"]
    other = await store.reader.output(1, TaskKey("deploy", "web-1"))
    assert other.chunks == ()
    assert (await store.reader.output(1, TaskKey("no", "where"))).chunks == ()


async def test_output_is_followed_by_a_cursor(store: Store) -> None:
    await new_run(store)
    cursor, seen = 0, []
    for number in range(7):
        tx = Tx()
        tx.output(1, 0, Purpose.RUN, 1, Stream.STDOUT, number * 10, b"0123456789")
        await store.commit(tx)
        if number % 2:
            page = await store.reader.output(1, FIRST, after=cursor)
            cursor = page.cursor
            seen += [chunk.start for chunk in page.chunks]
    page = await store.reader.output(1, FIRST, after=cursor)
    seen += [chunk.start for chunk in page.chunks]
    assert seen == [0, 10, 20, 30, 40, 50, 60]
    empty = await store.reader.output(1, FIRST, after=page.cursor)
    assert (empty.chunks, empty.cursor) == ((), page.cursor)


async def test_output_is_paged_by_bytes(store: Store) -> None:
    await new_run(store)
    for number in range(6):
        tx = Tx()
        tx.output(1, 0, Purpose.RUN, 1, Stream.STDOUT, number * 10, b"0123456789")
        await store.commit(tx)
    page = await store.reader.output(1, FIRST, limit_bytes=25)
    assert [chunk.start for chunk in page.chunks] == [0, 10] and page.more
    page = await store.reader.output(1, FIRST, limit_bytes=25, after=page.cursor)
    assert [chunk.start for chunk in page.chunks] == [20, 30] and page.more
    page = await store.reader.output(1, FIRST, limit_bytes=1, after=page.cursor)
    assert [chunk.start for chunk in page.chunks] == [40] and page.more, "a page is never empty"
    tail = await store.reader.output(1, FIRST, tail_bytes=25)
    assert [chunk.start for chunk in tail.chunks] == [40, 50]
    following = await store.reader.output(1, FIRST, after=tail.cursor)
    assert following.chunks == ()


async def test_a_missing_database_reads_as_empty_and_is_not_made(database: Path) -> None:
    reader = await StoreReader.open(database)
    assert await reader.runs() == []
    assert await reader.run(1) is None
    assert await reader.tasks(1) == []
    assert await reader.states(1) == []
    assert await reader.events(0) == []
    assert await reader.holds() == {}
    assert (await reader.last_seq(), await reader.next_run_number()) == (0, 1)
    assert await reader.incarnation() == ""
    assert not database.parent.exists()
    # It is found once its owner has made it.
    store = await Store.open(database)
    await new_run(store)
    assert [run.number for run in await reader.runs()] == [1]
    await reader.close()
    await store.close()


async def test_reading_while_the_writer_writes(store: Store, database: Path) -> None:
    reader = await StoreReader.open(database)
    await new_run(store)
    writing = True

    async def write() -> None:
        nonlocal writing
        for _ in range(100):
            await asyncio.gather(*(store.commit(done(task)) for task in range(6)))
        writing = False

    writer = asyncio.ensure_future(write())
    after, looks = 1, 0
    while writing:
        page = await reader.events(after)
        assert [event.seq for event in page] == list(range(after + 1, after + 1 + len(page))), "no gap"
        after += len(page)
        looks += 1
    await writer
    after += len(await reader.events(after))
    assert after == 601
    assert looks > 5
    await reader.close()


async def test_a_reader_never_blocks_the_writer(store: Store, database: Path) -> None:
    await new_run(store)
    reader = await StoreReader.open(database)
    connection = await reader._connect()
    assert connection is not None
    async with connection.execute("BEGIN"), connection.execute("SELECT count(*) FROM tasks") as cursor:
        assert await cursor.fetchone() == (6,)
        await asyncio.wait_for(store.commit(done(0)), 60)  # inside somebody's long read
        assert query(database, "SELECT count(*) FROM tasks WHERE state = 'done'") == [(1,)]
    await connection.execute("COMMIT")
    await reader.close()


async def test_a_reader_changes_nothing(store: Store, database: Path) -> None:
    reader = await StoreReader.open(database)
    connection = await reader._connect()
    assert connection is not None
    with pytest.raises(Exception, match="readonly"):
        await connection.execute("DELETE FROM meta")
    await reader.close()


async def test_a_newer_database_is_not_read(store: Store, database: Path) -> None:
    await store.commit(note("a"))
    await store.close()
    import sqlite3

    connection = sqlite3.connect(database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreNewer, match="99"):
        await StoreReader.open(database)


async def test_what_is_no_database_is_not_read(database: Path) -> None:
    database.parent.mkdir()
    database.write_bytes(b"this is no database, " * 100)
    with pytest.raises(StoreCorrupt, match="not a database"):
        await StoreReader.open(database)
