"""Output is bounded for each attempt and stream: head and tail kept, the middle counted and hashed."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.gaps import GapFinder
from core.model.ids import TaskKey
from core.model.states import Purpose, Stream
from core.store.output import HEAD_BYTES, TAIL_BYTES, OutputBudget, Piece
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import new_run, query

FIRST = TaskKey("prepare", "web-1")
PIECE = 16 * 1024


def piece_of(number: int, size: int = PIECE) -> bytes:
    """Some bytes that no other piece has."""
    return (f"{number:08d} ".encode() * (size // 9 + 1))[:size]


async def write(store: Store, start: int, data: bytes, *, attempt: int = 1) -> None:
    """Commits one piece of standard output of task 0."""
    tx = Tx()
    tx.output(1, 0, Purpose.RUN, attempt, Stream.STDOUT, start, data)
    await store.commit(tx)


def expected_hash(dropped: list[bytes]) -> str:
    """H(previous + chunk) over the dropped chunks, oldest first."""
    value = ""
    for data in dropped:
        value = hashlib.sha256(value.encode() + data).hexdigest()
    return value


async def test_what_fits_is_kept_whole(store: Store) -> None:
    await new_run(store)
    text = b"".join(piece_of(number) for number in range(32))
    assert len(text) == HEAD_BYTES + TAIL_BYTES
    for start in range(0, len(text), PIECE):
        await write(store, start, text[start : start + PIECE])
    page = await store.reader.output(1, FIRST)
    assert b"".join(chunk.data for chunk in page.chunks) == text
    assert page.summaries == ()


async def test_head_and_tail_are_kept_and_the_middle_is_counted_and_hashed(store: Store) -> None:
    await new_run(store)
    pieces = [piece_of(number) for number in range(100)]
    for number, data in enumerate(pieces):
        await write(store, number * PIECE, data)
    page = await store.reader.output(1, FIRST)
    head, tail = pieces[:16], pieces[-16:]
    assert b"".join(chunk.data for chunk in page.chunks) == b"".join(head + tail)
    gaps = [(before.end, after.start) for before, after in pairwise(page.chunks) if before.end != after.start]
    assert gaps == [(16 * PIECE, 84 * PIECE)], "the gap is where the middle was"
    (summary,) = page.summaries
    assert (summary.purpose, summary.attempt, summary.stream) == (Purpose.RUN, 1, Stream.STDOUT)
    assert summary.total_bytes == 100 * PIECE
    assert summary.dropped_bytes == 68 * PIECE
    assert summary.dropped_hash == expected_hash(pieces[16:84])


async def test_streams_and_attempts_are_bounded_apart(store: Store, database: Path) -> None:
    await new_run(store)
    for number in range(60):
        await write(store, number * PIECE, piece_of(number))
        if number < 20:
            await write(store, number * PIECE, piece_of(number), attempt=2)
    kept = dict(query(database, "SELECT attempt, sum(length(data)) FROM output GROUP BY attempt"))
    assert kept == {1: HEAD_BYTES + TAIL_BYTES, 2: 20 * PIECE}
    assert len((await store.reader.output(1, FIRST)).summaries) == 1


async def test_the_bounds_go_on_after_a_restart(database: Path) -> None:
    pieces = [piece_of(number) for number in range(90)]
    store = await Store.open(database)
    await new_run(store)
    for number, data in enumerate(pieces):
        if number in (10, 20, 40, 41):  # in the head, in the tail, while dropping
            await store.close()
            store = await Store.open(database)
        await write(store, number * PIECE, data)
    page = await store.reader.output(1, FIRST)
    assert b"".join(chunk.data for chunk in page.chunks) == b"".join(pieces[:16] + pieces[-16:])
    (summary,) = page.summaries
    assert summary.dropped_hash == expected_hash(pieces[16:74])
    assert (summary.total_bytes, summary.dropped_bytes) == (90 * PIECE, 58 * PIECE)
    await store.close()


async def test_a_transaction_that_was_rolled_back_counts_nothing(store: Store) -> None:
    await new_run(store)
    pieces = [piece_of(number) for number in range(60)]
    for number, data in enumerate(pieces):
        bad = Tx()
        bad.output(1, 0, Purpose.RUN, 1, Stream.STDOUT, number * PIECE, b"never" * 1000)
        bad.intent(99, 0, Purpose.RUN, 1, "digest", "boot")
        failing = store.commit(bad)
        await write(store, number * PIECE, data)
        assert failing.exception() is not None
    page = await store.reader.output(1, FIRST)
    assert b"".join(chunk.data for chunk in page.chunks) == b"".join(pieces[:16] + pieces[-16:])
    (summary,) = page.summaries
    assert summary.dropped_hash == expected_hash(pieces[16:44])


# ---------------------------------------------------------------- any sizes, any order of restarts


async def test_the_summary_tells_where_the_middle_was(store: Store) -> None:
    await new_run(store)
    for number in range(100):
        await write(store, number * PIECE, piece_of(number))
    page = await store.reader.output(1, FIRST)
    (summary,) = page.summaries
    assert summary.dropped_start == HEAD_BYTES
    assert summary.dropped_end - summary.dropped_start == summary.dropped_bytes
    finder = GapFinder()
    gaps = [gap for found in page.chunks if (gap := finder.before(found, page.summaries)) is not None]
    assert [(gap.start, gap.end, gap.not_kept, gap.lost) for gap in gaps] == [
        (summary.dropped_start, summary.dropped_end, summary.dropped_bytes, 0)
    ]


async def test_holes_are_told_from_the_middle_wherever_they_are(store: Store) -> None:
    """One in the head, one in what was dropped, one in the tail."""
    await new_run(store)
    start, lost = 0, {3: 1_000, 30: 20_000, 97: 300_000}
    for number in range(100):
        start += lost.get(number, 0)
        await write(store, start, piece_of(number))
        start += PIECE
    page = await store.reader.output(1, FIRST)
    (summary,) = page.summaries
    assert summary.total_bytes == start
    finder = GapFinder()
    gaps = [gap for found in page.chunks if (gap := finder.before(found, page.summaries)) is not None]
    assert [(gap.not_kept, gap.lost) for gap in gaps] == [
        (0, 1_000),
        (summary.dropped_bytes, 20_000),
        (0, 300_000),
    ]
    kept = sum(chunk.end - chunk.start for chunk in page.chunks)
    assert kept + summary.dropped_bytes + sum(lost.values()) == summary.total_bytes


async def test_one_who_follows_is_told_what_was_dropped_meanwhile(store: Store) -> None:
    await new_run(store)
    finder = GapFinder()
    for number in range(40):
        await write(store, number * PIECE, piece_of(number))
    page = await store.reader.output(1, FIRST)
    seen = [finder.before(found, page.summaries) for found in page.chunks]
    for number in range(40, 200):
        await write(store, number * PIECE, piece_of(number))
    page = await store.reader.output(1, FIRST, after=page.cursor)
    later = [gap for found in page.chunks if (gap := finder.before(found, page.summaries)) is not None]
    assert len([gap for gap in seen if gap]) == 1
    assert [(gap.start, gap.lost) for gap in later] == [(40 * PIECE, 0)]
    assert later[0].not_kept == page.chunks[0].start - 40 * PIECE


async def test_a_head_with_holes_is_known_again_after_a_restart(database: Path) -> None:
    store = await Store.open(database)
    await new_run(store)
    far = 50_000_000
    await write(store, 0, piece_of(0))
    await write(store, far, piece_of(1))
    await store.close()
    store = await Store.open(database)
    try:
        for number in range(2, 80):
            await write(store, far + (number - 1) * PIECE, piece_of(number))
        page = await store.reader.output(1, FIRST)
        assert [chunk.start for chunk in page.chunks[:2]] == [0, far]
        assert sum(chunk.end - chunk.start for chunk in page.chunks[:16]) == HEAD_BYTES
        starts = [chunk.start for chunk in page.chunks]
        assert starts == sorted(starts)
    finally:
        await store.close()


@contextmanager
def output_tables() -> Iterator[sqlite3.Connection]:
    """The two tables that output is written to, in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(
            "CREATE TABLE output (id INTEGER PRIMARY KEY, run, idx, purpose, attempt, stream, start, end, time, data)"
        )
        connection.execute(
            "CREATE TABLE output_dropped (run, idx, purpose, attempt, stream, total, dropped, hash, "
            "PRIMARY KEY (run, idx, purpose, attempt, stream)) WITHOUT ROWID"
        )
        yield connection


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), max_size=60),
    head=st.integers(1, 100),
    tail=st.integers(1, 100),
    forgets=st.sets(st.integers(0, 59)),
)
def test_every_byte_is_kept_or_counted(sizes: list[int], head: int, tail: int, forgets: set[int]) -> None:
    """Head and tail are what was printed; kept and dropped bytes add up; nothing grows past the bound."""
    budget = OutputBudget(head, tail)
    text = b""
    with output_tables() as connection:
        for number, size in enumerate(sizes):
            if number in forgets:
                budget.forget()
            tx = Tx()
            data = bytes((number * 7 + offset) % 251 for offset in range(size))
            tx.output(1, 0, Purpose.RUN, 1, Stream.STDOUT, len(text), data)
            text += data
            for piece in pieces_of(tx):
                budget.write(connection, piece)
            budget.flush(connection)
        rows = connection.execute("SELECT start, end, data FROM output ORDER BY id").fetchall()
        summary = connection.execute("SELECT total, dropped, hash FROM output_dropped").fetchone()
    total, dropped, chained = summary or (len(text), 0, "")
    for start, end, data in rows:
        assert text[start:end] == data
    kept = b"".join(data for _, _, data in rows)
    assert total == len(text)
    assert len(kept) + dropped == len(text)
    assert bool(dropped) == bool(chained)
    assert kept.startswith(text[:head])
    assert kept.endswith(text[max(head, len(text) - tail) :]) or len(text) <= head
    assert len(kept) <= head + tail + max(sizes, default=0)
    assert all(before[1] <= after[0] for before, after in pairwise(rows))


def pieces_of(tx: Any) -> list[Piece]:
    """The pieces of output in a transaction."""
    if hasattr(tx, "output_pieces"):
        return list(tx.output_pieces)
    return list(tx.operations)
