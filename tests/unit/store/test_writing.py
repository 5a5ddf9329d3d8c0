"""The writer: grouped, atomic, fenced; and what a database must be to be opened at all."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.engine.lease import Lease, read_owner
from core.errors import Fenced, StoreCorrupt, StoreError, StoreNewer, WorkspaceOwned
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Purpose, Stream, TaskState
from core.store.output import HEAD_BYTES, TAIL_BYTES
from core.store.reader import StoreReader
from core.store.records import NewRun, NewStep, NewTask
from core.store.schema import VERSION
from core.store.store import Store
from core.store.tx import Tx

REPOSITORY = Path(__file__).parents[3]
KEY = TaskKey("one", "a")


def new_run(number: int = 1, tasks: int = 2) -> Tx:
    tx = Tx()
    tx.create_run(
        NewRun(
            number,
            f"{number:032x}",
            "work",
            "work.yaml",
            "me",
            1.0,
            {},
            tasks,
            None,
            "steps: {}",
            "d",
            {"format": 1},
        ),
        [NewStep(0, "one", "run", "x", tasks, irreversible=True)],
        [NewTask(index, "one", chr(97 + index), 1) for index in range(tasks)],
    )
    return tx


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "state.db")
    yield opened
    await opened.close()


async def test_changes_and_their_events_are_durable_together_and_in_order(store: Store) -> None:
    heard: list[Event] = []
    store.on_events = heard.extend
    await store.commit(new_run())
    waits = []
    for number in range(50):
        tx = Tx()
        tx.task(1, 0, why=str(number))
        tx.event("task.phase", run=1, step="one", server="a", data={"number": number})
        waits.append(store.commit(tx))
    await asyncio.gather(*waits)
    assert [event.seq for event in heard] == list(range(1, 51))
    assert [event.data["number"] for event in await store.reader.events(0)] == list(range(50))
    task = await store.reader.task(1, KEY)
    assert task is not None
    assert task.why == "49"
    assert store.last_seq == 50


async def test_many_waiting_commits_share_a_transaction(store: Store) -> None:
    await store.commit(new_run())
    before = store.commits
    waits = [store.commit(tx) for tx in (Tx() for _ in range(500))]
    await asyncio.gather(*waits)
    assert store.commits - before < 100


async def test_a_faulty_transaction_fails_alone_and_burns_no_number(store: Store) -> None:
    await store.commit(new_run())
    bad, good = Tx(), Tx()
    bad.intent(1, 99, Purpose.RUN, 1, "d", "")
    bad.event("task.intent", run=1)
    good.task(1, 0, state=TaskState.DONE.value)
    good.event("task.state", run=1)
    failing, passing = store.commit(bad), store.commit(good)
    with pytest.raises(StoreError):
        await failing
    await passing
    assert [(event.seq, event.type) for event in await store.reader.events(0)] == [(1, "task.state")]


async def test_f13_an_overtaken_owner_writes_nothing_more(store: Store, tmp_path: Path) -> None:
    await store.commit(new_run())
    failures: list[BaseException] = []
    store.on_failure = failures.append
    second = await Store.open(tmp_path / "state.db")
    try:
        assert second.epoch == store.epoch + 1
        tx = Tx()
        tx.task(1, 0, state=TaskState.DONE.value)
        with pytest.raises(Fenced):
            await store.commit(tx)
        with pytest.raises(Fenced):
            await store.commit(Tx())
        task = await second.reader.task(1, KEY)
        assert task is not None
        assert task.state is TaskState.WAITING
        assert len(failures) == 1
        assert isinstance(failures[0], Fenced)
    finally:
        await second.close()


async def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreNewer, match=f"version {VERSION + 1}"):
        await Store.open(path)
    with pytest.raises(StoreNewer):
        await StoreReader.open(path)
    assert path.read_bytes() == before


async def test_f10_a_corrupt_database_is_refused_with_the_newest_good_backup(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await Store.open(path)
    await store.commit(new_run(tasks=200))
    await store.close()
    backup = tmp_path / "state.db.backup-v1-20260101-000000"
    backup.write_bytes(path.read_bytes())
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 8] = os.urandom(4096 * 7)
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="damaged") as caught:
        await Store.open(path)
    assert str(backup) in caught.value.hint
    assert path.read_bytes() == bytes(content)


async def test_reading_an_absent_database_makes_none(tmp_path: Path) -> None:
    reader = await StoreReader.open(tmp_path / "state.db")
    assert await reader.runs() == []
    assert await reader.last_seq() == 0
    await reader.close()
    assert list(tmp_path.iterdir()) == []


async def test_state_is_private(store: Store, tmp_path: Path) -> None:
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


async def test_f17_output_keeps_head_and_tail_and_counts_the_middle(store: Store) -> None:
    await store.commit(new_run())
    piece, pieces = 64 * 1024, 40
    for number in range(pieces):
        tx = Tx()
        tx.output(1, 0, Purpose.RUN, 1, Stream.STDOUT, number * piece, bytes([number]) * piece)
        store.post(tx)
    await store.flush()
    page = await store.reader.output(1, KEY, limit_bytes=10 * piece * pieces)
    kept = sum(len(chunk.data) for chunk in page.chunks)
    (summary,) = page.summaries
    assert kept + summary.dropped_bytes == summary.total_bytes == piece * pieces
    assert kept <= HEAD_BYTES + TAIL_BYTES + piece
    assert page.chunks[0].start == 0
    assert page.chunks[-1].end == piece * pieces
    assert page.chunks[-1].data == bytes([pieces - 1]) * piece
    assert len(summary.dropped_hash) == 64


KILLED = """
import asyncio, sys
from pathlib import Path
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.test_writing import new_run

async def main():
    store = await Store.open(Path(sys.argv[1]))
    await store.commit(new_run())
    number = 0
    while True:
        number += 1
        tx = Tx()
        tx.event("task.state", run=1, data={"number": number})
        await store.commit(tx)
        print(number, flush=True)

asyncio.run(main())
"""


def test_f04_every_acknowledged_commit_is_there_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = 0
        while told < 200:
            told = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        for line in process.stdout:
            told = int(line)

    async def stored() -> int:
        store = await Store.open(path)
        try:
            return int((await store.reader.events(0, limit=100_000))[-1].data["number"])
        finally:
            await store.close()

    assert asyncio.run(stored()) >= told


def test_f12_the_lease_names_its_owner_and_a_dead_owner_frees_itself(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from core.engine.lease import Lease;"
        "lease = Lease.acquire(Path(sys.argv[1])); print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        owner = read_owner(tmp_path)
        assert owner is not None
        assert owner.pid == process.pid
        with pytest.raises(WorkspaceOwned, match=f"pid {process.pid}"):
            Lease.acquire(tmp_path)
        os.kill(process.pid, signal.SIGKILL)
    assert read_owner(tmp_path) is None
    lease = Lease.acquire(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
    try:
        lease.release()
        Lease.acquire(tmp_path).release()
    finally:
        child.kill()
        child.wait()
