"""What is stored of those who are told of events: how far each has been told, and what was put aside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.model.events import Event
from core.model.views import DeadLetter
from core.store.reader import StoreReader

EVENT = "e.seq, e.type, e.run, e.step, e.server, e.attempt, e.actor, e.time, e.data, e.version"


@dataclass(frozen=True, slots=True)
class Told:
    """How far an outlet has been told: every event up to `seq` was told, put aside, or not for it."""

    seq: int
    told: int = 0
    tries: int = 0
    failing_since: float | None = None
    why: str = ""


async def outlets_told(reader: StoreReader) -> Mapping[str, Told]:
    """Every outlet that ever was."""
    rows = await reader.rows("SELECT name, seq, told, tries, failing_since, why FROM outlets", [])
    return {row[0]: Told(row[1], row[2], row[3], row[4], row[5]) for row in rows}


async def count_owed(reader: StoreReader, after: int, types: Sequence[str]) -> int:
    """How many events of these types (a trailing * stands for any) lie behind a sequence number."""
    fits = " OR ".join("type GLOB ?" for _ in types)
    rows = await reader.rows(f"SELECT count(*) FROM events WHERE seq > ? AND ({fits})", [after, *types])
    return int(rows[0][0])


async def dead_letters(
    reader: StoreReader, outlet: str = "", *, again: bool = False, limit: int = 1000
) -> Sequence[DeadLetter]:
    """Events that were put aside, by outlet and in order; with `again` those that are to be told once more."""
    where = "(? = '' OR d.outlet = ?) AND (? = 0 OR d.again = 1)"
    rows = await reader.rows(
        f"SELECT d.outlet, d.time, d.tries, d.why, d.again, {EVENT} FROM dead_letters d JOIN events e USING (seq) "
        f"WHERE {where} ORDER BY d.outlet, d.seq LIMIT ?",
        [outlet, outlet, int(again), limit],
    )
    return [
        DeadLetter(
            row[0],
            Event(
                row[5],
                row[6],
                row[7],
                row[8],
                row[9],
                row[10],
                row[11],
                row[12],
                json.loads(row[13]),
                row[14],
            ),
            row[1],
            row[2],
            row[3],
            bool(row[4]),
        )
        for row in rows
    ]


async def count_dead(reader: StoreReader) -> Mapping[str, int]:
    """How many events were put aside, by outlet."""
    rows = await reader.rows("SELECT outlet, count(*) FROM dead_letters GROUP BY outlet", [])
    return {row[0]: row[1] for row in rows}


async def dead_seqs(reader: StoreReader, outlet: str) -> set[int]:
    """The numbers of all events that an outlet could not be told."""
    return {row[0] for row in await reader.rows("SELECT seq FROM dead_letters WHERE outlet = ?", [outlet])}
