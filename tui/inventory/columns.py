"""The columns that the inventory can show: their widths, what stands in them, and how they are ordered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.model.views import ServerInfo
from tui.inventory.reaching import Reached
from tui.look import Look
from tui.paint import Span, Spans
from tui.rows import server_sign
from tui.widgets.table import Column

Cell = Callable[[ServerInfo, Reached, Look], Span]
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class InventoryColumn:
    """`order` gives what a server is sorted by; `group` what it is grouped by, None where that makes no sense."""

    id: str
    told: str
    column: Column
    cell: Cell
    order: Callable[[ServerInfo, Reached], Any]
    group: Callable[[ServerInfo], str] | None = None


def natural(text: str) -> tuple[tuple[int, int | str], ...]:
    """A text as people order it: web-2 before web-10."""
    return tuple(
        (0, int(part)) if part.isdecimal() and part.isascii() else (1, part)
        for part in _DIGITS.split(text.lower())
        if part
    )


def address(server: ServerInfo) -> str:
    """Where it is reached, as ssh is told: "ada@10.0.0.7:22"."""
    host = f"[{server.address}]" if ":" in server.address else server.address
    return f"{server.user}@{host}:{server.port}" if server.user else host


def _labels(server: ServerInfo) -> str:
    return " ".join(f"{key}={value}" for key, value in sorted(server.labels.items()))


def _last(server: ServerInfo) -> int:
    return server.last_run or 0


def _run(number: int | None, role: str) -> Span:
    return (f"run {number}", role) if number is not None else ("", "")


ALL: Sequence[InventoryColumn] = (
    InventoryColumn(
        "name",
        "Its name; always shown",
        Column("name", 18),
        lambda server, reached, look: (look.text(server.name), ""),
        lambda server, reached: natural(server.name),
    ),
    InventoryColumn(
        "provider",
        "Who lists it",
        Column("provider", 9, min_table=70),
        lambda server, reached, look: (look.text(server.provider), "muted"),
        lambda server, reached: server.provider,
        lambda server: server.provider,
    ),
    InventoryColumn(
        "state",
        "What its provider says of it",
        Column("state", 10),
        lambda server, reached, look: look.signed(server_sign(server.state)),
        lambda server, reached: server.state,
        lambda server: server.state,
    ),
    InventoryColumn(
        "reach",
        "Whether it answered (r asks)",
        Column("reach", 11),
        lambda server, reached, look: reached.span(look),
        lambda server, reached: reached.order,
    ),
    InventoryColumn(
        "address",
        "Where it is reached",
        Column("address", 24, min_table=90),
        lambda server, reached, look: (look.text(address(server)), "muted"),
        lambda server, reached: natural(server.address),
    ),
    InventoryColumn(
        "user",
        "Who logs in there",
        Column("user", 10),
        lambda server, reached, look: (look.text(server.user), "muted"),
        lambda server, reached: server.user,
        lambda server: server.user,
    ),
    InventoryColumn(
        "groups",
        "The groups it is in",
        Column("groups"),
        lambda server, reached, look: (look.text(" ".join(server.groups)), ""),
        lambda server, reached: server.groups,
        lambda server: " ".join(server.groups),
    ),
    InventoryColumn(
        "labels",
        "Its labels",
        Column("labels"),
        lambda server, reached, look: (look.text(_labels(server)), "muted"),
        lambda server, reached: _labels(server),
        _labels,
    ),
    InventoryColumn(
        "last",
        "The newest run on it",
        Column("last run", 9),
        lambda server, reached, look: _run(server.last_run, "muted"),
        lambda server, reached: -_last(server),
    ),
    InventoryColumn(
        "held",
        "The open run that holds it",
        Column("held by", 8),
        lambda server, reached, look: _run(server.held_by, "accent"),
        lambda server, reached: -(server.held_by or 0),
        lambda server: f"held by run {server.held_by}" if server.held_by is not None else "free",
    ),
    InventoryColumn(
        "source",
        "Where it is written down",
        Column("from", 24, min_table=110),
        lambda server, reached, look: (look.text(server.source), "muted"),
        lambda server, reached: natural(server.source),
        lambda server: server.source.rpartition(":")[0] or server.source,
    ),
    InventoryColumn(
        "note",
        "What is noted of it",
        Column("note", 24, min_table=110),
        lambda server, reached, look: (look.text(server.note), "warning"),
        lambda server, reached: (not server.note, server.note),
        lambda server: server.note,
    ),
)
BY_ID: Mapping[str, InventoryColumn] = {column.id: column for column in ALL}
AT_FIRST = ("name", "provider", "state", "reach", "address", "groups", "held")


def cells(shown: Sequence[str], server: ServerInfo, reached: Reached, look: Look) -> list[Spans]:
    """The cells of the columns that are shown."""
    return [[BY_ID[each].cell(server, reached, look)] for each in shown]
