"""The brake between servers that print and the disk: what waits is bounded, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from core.model.states import Purpose, Stream
from core.store.backlog import HIGH_BYTES, Backlog
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import new_run

PIECE = b"x" * 65536


async def settled(*futures: asyncio.Future[None]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
    await asyncio.sleep(0)


async def test_room_ends_above_the_upper_mark_and_returns_at_the_lower_one() -> None:
    backlog = Backlog(high_bytes=100, low_bytes=40)
    loop = asyncio.get_running_loop()
    written = [loop.create_future() for _ in range(3)]
    for future in written:
        assert backlog.room() is None
        backlog.add(40, future)
    waits = [backlog.room(), backlog.room()]
    assert waits[0] is not None and waits[1] is not None and waits[0] is not waits[1]
    await settled(written[0])
    assert backlog.bytes == 80
    assert not waits[0].done(), "80 is above the lower mark: stop and go in turn would cost more"
    await settled(written[1])
    assert waits[0].done() and waits[1].done()
    assert backlog.room() is None


async def test_what_was_not_stored_counts_no_more_either() -> None:
    backlog = Backlog(high_bytes=10, low_bytes=0)
    written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    backlog.add(40, written)
    wait = backlog.room()
    assert wait is not None
    written.set_exception(OSError("the disk is full"))
    await asyncio.wait_for(wait, 20)
    assert isinstance(written.exception(), OSError)


async def test_one_who_gives_up_waiting_harms_nobody() -> None:
    backlog = Backlog(high_bytes=10, low_bytes=0)
    written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    backlog.add(40, written)
    first, second = backlog.room(), backlog.room()
    assert first is not None and second is not None
    first.cancel()
    await settled(written)
    await asyncio.wait_for(second, 20)


def output(run: int, number: int) -> Tx:
    tx = Tx()
    tx.output(run, 0, Purpose.RUN, 1, Stream.STDOUT, number * len(PIECE), PIECE)
    return tx


async def test_a_store_that_is_behind_says_so_and_catches_up(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "state.db")
    try:
        await new_run(store)
        assert store.room() is None
        count = 2 * HIGH_BYTES // len(PIECE)
        for number in range(count):
            store.post(output(1, number))
        wait = store.room()
        assert wait is not None
        await asyncio.wait_for(wait, 60)
        await store.flush()
        assert store.room() is None
    finally:
        await store.close()


async def test_output_that_cannot_be_stored_is_reported_and_nobody_waits(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "state.db")
    failures: list[BaseException] = []
    store.on_failure = failures.append
    try:
        for number in range(2 * HIGH_BYTES // len(PIECE)):
            store.post(output(99, number))  # there is no such run
        wait = store.room()
        if wait is not None:
            await asyncio.wait_for(wait, 60)
        await store.flush()
        await asyncio.sleep(0)
        assert failures
    finally:
        await store.close()
