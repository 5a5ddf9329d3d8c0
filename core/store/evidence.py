"""Reading what an attempt left in the store: where its record is, and how much of its output is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence

from core.model.states import Purpose, RunState, Stream
from core.store.reader import StoreReader
from core.store.records import KnownServer, OpenAttempt

ATTEMPT = "WHERE run = ? AND idx = ? AND purpose = ? AND attempt = ?"


async def find_attempt(
    reader: StoreReader, run: int, index: int, purpose: Purpose, attempt: int
) -> OpenAttempt | None:
    """The intent of an attempt, None where there is none."""
    rows = await reader.rows(
        f"SELECT intent, digest, boot_id, folder, outcome FROM attempts {ATTEMPT}",
        [run, index, purpose.value, attempt],
    )
    return OpenAttempt(index, purpose, attempt, *rows[0]) if rows else None


async def other_handed_over(reader: StoreReader, run: int, index: int, attempt: int) -> bool:
    """Whether another attempt of a task's command was handed over and not voided."""
    rows = await reader.rows(
        "SELECT 1 FROM attempts WHERE run = ? AND idx = ? AND purpose = ? AND attempt != ? "
        "AND outcome != 'not started' LIMIT 1",
        [run, index, Purpose.RUN.value, attempt],
    )
    return bool(rows)


async def output_ends(
    reader: StoreReader, run: int, index: int, purpose: Purpose, attempt: int
) -> dict[Stream, int]:
    """Up to which raw offset each stream of an attempt is stored."""
    ends = dict.fromkeys(Stream, 0)
    for table, column in (("output", "end"), ("output_dropped", "total")):
        for stream, end in await reader.rows(
            f"SELECT stream, max({column}) FROM {table} {ATTEMPT} GROUP BY stream",
            [run, index, purpose.value, attempt],
        ):
            ends[Stream(stream)] = max(ends[Stream(stream)], end)
    return ends


async def output_head(
    reader: StoreReader, run: int, index: int, purpose: Purpose, attempt: int, size: int
) -> bytes:
    """The first bytes of standard output, as far as they are stored without a gap."""
    head = bytearray()
    for start, data in await reader.rows(
        f"SELECT start, data FROM output {ATTEMPT} AND stream = ? AND start < ? ORDER BY start",
        [run, index, purpose.value, attempt, Stream.STDOUT.value, size],
    ):
        if start != len(head):
            break
        head += data
    return bytes(head[:size])


async def known_servers(reader: StoreReader, names: Sequence[str]) -> dict[str, KnownServer]:
    """What the last session with each of these servers learnt."""
    wanted = set(names)
    rows = await reader.rows("SELECT server, time, supervised, notes FROM server_facts", [])
    return {
        name: KnownServer(name, time, bool(supervised), tuple(json.loads(notes)))
        for name, time, supervised, notes in rows
        if name in wanted
    }


async def folders_over(reader: StoreReader, folders: Sequence[str]) -> set[str]:
    """Which of these folders on a server are of runs of this workspace that are over.

    Known by their whole name, marker included: a copy of a workspace shares the ids of its runs with its
    original, never the folders.
    """
    over = {state.value for state in RunState if not state.open}
    found = set()
    for folder in folders:
        rows = await reader.rows(
            "SELECT r.state FROM runs r JOIN attempts a ON a.run = r.number "
            "WHERE r.run_id = ? AND a.folder = ? LIMIT 1",
            [folder.rpartition("/run-")[2].partition(".")[0], folder],
        )
        if rows and rows[0][0] in over:
            found.add(folder)
    return found
