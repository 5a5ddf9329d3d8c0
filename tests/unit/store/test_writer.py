"""The writer: group commit, order, atomicity, isolation of a faulty transaction, fencing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.errors import Fenced, StoreError
from core.model import events
from core.model.events import Event
from core.model.states import Purpose, Stream
from core.store import database as database_module
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import done, new_run, note, query, write_lock


class Followed:
    """Collects what the store tells."""

    def __init__(self, store: Store) -> None:
        self.events: list[Event] = []
        self.groups = 0
        self.failures: list[BaseException] = []
        store.on_events = self._events
        store.on_failure = self.failures.append

    def _events(self, batch: Sequence[Event]) -> None:
        self.events += batch
        self.groups += 1

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.events]

    @property
    def messages(self) -> list[str]:
        return [event.data["message"] for event in self.events]


def faulty(text: str = "faulty") -> Tx:
    """A transaction that breaks a constraint: an attempt of a task that does not exist."""
    tx = note(text)
    tx.intent(99, 0, Purpose.RUN, 1, "digest", "boot")
    return tx


async def test_what_waits_together_shares_one_commit(store: Store, database: Path) -> None:
    followed = Followed(store)
    before = store.commits
    with write_lock(database):
        waiting = [store.commit(note(str(number))) for number in range(200)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    # One may have been on its way when the lock was met; all others go together.
    assert store.commits - before <= 2
    assert followed.messages == [str(number) for number in range(200)]
    assert query(database, "SELECT count(*) FROM events") == [(200,)]


async def test_events_are_numbered_in_commit_order_and_told_once(store: Store, database: Path) -> None:
    followed = Followed(store)
    futures = []
    for number in range(50):
        if number % 3 == 0:
            store.post(note(str(number)))
        else:
            futures.append(store.commit(note(str(number))))
    await asyncio.gather(*futures)
    await store.flush()
    assert followed.seqs == list(range(1, 51))
    assert followed.messages == [str(number) for number in range(50)]
    assert store.last_seq == 50
    stored = query(database, "SELECT seq, json_extract(data, '$.message') FROM events ORDER BY seq")
    assert stored == [(number + 1, str(number)) for number in range(50)]


async def test_what_an_event_tells_is_durable_when_it_is_told(store: Store, database: Path) -> None:
    await new_run(store)
    seen: list[tuple[int, str]] = []

    def look(batch: Sequence[Event]) -> None:
        for event in batch:
            task = event.data["task"]
            ((state,),) = query(database, "SELECT state FROM tasks WHERE run = 1 AND idx = ?", task)
            seen.append((task, state))

    store.on_events = look
    await asyncio.gather(*(store.commit(done(task)) for task in range(6)))
    assert sorted(seen) == [(task, "done") for task in range(6)]


async def test_a_faulty_transaction_fails_alone(store: Store, database: Path) -> None:
    followed = Followed(store)
    with write_lock(database):
        good = [store.commit(note("first"))]
        await asyncio.sleep(0)
        good += [store.commit(note(str(number))) for number in range(5)]
        bad = store.commit(faulty())
        good += [store.commit(note(str(number))) for number in range(5, 10)]
        await asyncio.sleep(0)
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await bad
    await asyncio.gather(*good)
    assert followed.messages == ["first", *map(str, range(10))]
    assert followed.seqs == list(range(1, 12)), "a transaction that was rolled back burns no number"
    assert followed.failures == []
    stored = query(database, "SELECT json_extract(data, '$.message') FROM events ORDER BY seq")
    assert [text for (text,) in stored] == followed.messages


async def test_all_of_a_transaction_or_nothing_of_it(store: Store, database: Path) -> None:
    await new_run(store)
    tx = done(0)
    tx.task(1, 1, state="running")
    tx.output(1, 0, Purpose.RUN, 1, Stream.STDOUT, 0, b"printed")
    tx.registered(1, 0, "fact", {"exit": 0}, False)
    tx.release(1)
    tx.intent(99, 0, Purpose.RUN, 1, "digest", "boot")
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await store.commit(tx)
    assert query(database, "SELECT DISTINCT state FROM tasks") == [("waiting",)]
    assert query(database, "SELECT count(*) FROM events") == [(1,)]
    for table in ("output", "registered", "attempts"):
        assert query(database, f"SELECT count(*) FROM {table}") == [(0,)]
    assert query(database, "SELECT count(*) FROM holds") == [(3,)]


async def test_data_that_cannot_be_stored_fails_its_transaction_only(store: Store) -> None:
    followed = Followed(store)
    bad = Tx()
    bad.event(events.SERVER_NOTE, data={"message": object()})
    first, second, third = store.commit(note("a")), store.commit(bad), store.commit(note("b"))
    await first
    with pytest.raises(StoreError, match="unknown type"):
        await second
    await third
    assert followed.messages == ["a", "b"]


async def test_a_posted_transaction_that_fails_is_told(store: Store) -> None:
    followed = Followed(store)
    store.post(faulty())
    await store.commit(note("after"))
    assert len(followed.failures) == 1
    assert "FOREIGN KEY" in str(followed.failures[0])
    assert followed.messages == ["after"]


async def test_rows_of_one_task_are_written_in_order(store: Store, database: Path) -> None:
    await new_run(store)
    with write_lock(database):
        futures = [store.commit(note("first"))]
        await asyncio.sleep(0)
        for round_ in range(1, 4):
            for task in range(6):
                tx = Tx()
                tx.task(1, task, state="running", attempt=round_)
                tx.intent(1, task, Purpose.RUN, round_, "digest", "boot")
                futures.append(store.commit(tx))
                tx = Tx()
                tx.attempt_ended(1, task, Purpose.RUN, round_, outcome=f"end {round_}", exit_status=round_)
                tx.task(1, task, state="failed", why=f"end {round_}")
                futures.append(store.commit(tx))
        await asyncio.sleep(0)
    await asyncio.gather(*futures)
    assert query(database, "SELECT state, attempt, why FROM tasks") == [("failed", 3, "end 3")] * 6
    assert query(database, "SELECT idx, attempt, outcome FROM attempts ORDER BY idx, attempt") == [
        (task, number, f"end {number}") for task in range(6) for number in (1, 2, 3)
    ]


async def test_a_newer_owner_fences_the_older_one(store: Store, database: Path) -> None:
    followed = Followed(store)
    await store.commit(note("mine"))
    newer = await Store.open(database)
    try:
        assert newer.epoch == store.epoch + 1
        store.post(note("never 1"))
        late = [store.commit(note("never 2")), store.commit(note("never 3"))]
        outcomes = await asyncio.gather(*late, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Fenced, Fenced]
        with pytest.raises(Fenced, match=r"taken over"):
            await store.commit(note("never 4"))
        await asyncio.sleep(0)
        assert [type(failure) for failure in followed.failures] == [Fenced], "told once"
        await newer.commit(note("theirs"))
        stored = query(database, "SELECT json_extract(data, '$.message') FROM events ORDER BY seq")
        assert stored == [("mine",), ("theirs",)], "not one more write"
        assert followed.messages == ["mine"]
    finally:
        await newer.close()


async def test_numbers_go_on_after_a_restart(database: Path) -> None:
    first = await Store.open(database)
    await first.commit(note("a"))
    await first.close()
    second = await Store.open(database)
    try:
        followed = Followed(second)
        assert second.last_seq == 1
        assert second.incarnation == first.incarnation
        await second.commit(note("b"))
        assert followed.seqs == [2]
    finally:
        await second.close()


async def test_closing_commits_what_was_posted(database: Path) -> None:
    store = await Store.open(database)
    for number in range(500):
        store.post(note(str(number)))
    await store.close()
    assert query(database, "SELECT count(*) FROM events") == [(500,)]
    with pytest.raises(StoreError, match="closed"):
        await store.commit(note("late"))


async def test_a_waiter_that_gives_up_disturbs_nobody(store: Store, database: Path) -> None:
    with write_lock(database):
        given_up, kept = store.commit(note("a")), store.commit(note("b"))
        await asyncio.sleep(0)
        given_up.cancel()
    await kept
    assert query(database, "SELECT count(*) FROM events") == [(2,)], "what was handed over is committed"


async def test_a_short_lock_of_another_program_is_waited_for(store: Store, database: Path) -> None:
    with write_lock(database):
        future = store.commit(note("waits"))
        for _ in range(20):  # the event loop goes on meanwhile
            await asyncio.sleep(0.005)
        assert not future.done()
    await future


async def test_a_long_lock_of_another_program_is_an_error_in_time(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (database_module, *_users_of_the_timeout()):
        monkeypatch.setattr(module, "BUSY_TIMEOUT_S", 0.2)
    store = await Store.open(database)
    followed = Followed(store)
    try:
        with write_lock(database):
            with pytest.raises(StoreError, match="locked by another program"):
                await store.commit(note("never"))
        assert len(followed.failures) == 1
    finally:
        await store.close()


def _users_of_the_timeout() -> list[object]:
    from core.store import writer

    return [writer] if hasattr(writer, "BUSY_TIMEOUT_S") else []


async def test_sqlite_is_asked_for_durability(store: Store) -> None:
    # Asked on the writer's own connection: both settings belong to a connection, not to the file.
    connection: sqlite3.Connection = store._writer._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
