"""The filter of the inventory, key by key: see `bench_tui`."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import bench_start, measure, tui_load
from benchmarks.terminal import Terminal, shows
from benchmarks.tui_parts import DASHBOARD, TARGETS, UI, Table, environment

COUNTED = re.compile(r"Servers\s+([\d,]+)\s+of\s+([\d,]+)")
FILTER_QUIET_S = 10.0
"""So long it may take until the title counts what is expected."""
CLEAR = "\x15"  # ctrl+u
DELETE = "\x7f"


def words_to_type(names: Sequence[str], keys: int) -> list[str]:
    """Names to look for, so many that typing and deleting them takes that many keys."""
    dice = random.Random(7)
    words: list[str] = []
    while sum(2 * len(word) - 1 for word in words) < keys:
        words.append(dice.choice(names)[:-1])
    return words


def all_listed(rows: Sequence[Sequence[str]], lines: Sequence[str]) -> bool:
    """Whether the inventory shows servers and counts all of them."""
    counted = re.compile(rf"Servers\s+({len(rows)}|{len(rows):,})\b")
    names = {row[0] for row in rows}
    return any(map(counted.search, lines)) and any(word in names for line in lines for word in line.split())


class Filter:
    """The filter line of an inventory in a terminal. `rows` are the texts that it looks through.

    A filter may look at more than that: what the title says then is learned, and counts from the next time on.
    """

    def __init__(self, terminal: Terminal, rows: Sequence[Sequence[str]]) -> None:
        self._terminal = terminal
        self._rows = rows
        self._dice = random.Random(11)
        self._typed = ""
        self._learned: dict[str, int] = {}
        self.times_ms: list[float] = []

    def type(self, word: str) -> None:
        """Types a word and deletes it again but for its first letter, key by key, then clears the line."""
        for end in (*range(1, len(word) + 1), *range(len(word) - 1, 0, -1)):
            last = word[end - 1] if len(self._typed) < end else DELETE
            self._typed = word[:end]
            self._press(last)
            if end == len(word):
                self._check(word)
        self._terminal.press(CLEAR)
        self._typed = ""
        self._terminal.until(partial(all_listed, self._rows))
        self._terminal.watch(0.2)

    def _press(self, key: str) -> None:
        # Not in step with the interface's own timers.
        self._terminal.watch(self._dice.uniform(0.02, 0.08))
        expected = self._learned.get(self._typed, self._count(self._typed))
        pressed = self._terminal.press(key)
        at = self._terminal.first(lambda lines: self._counted(lines) == expected, quiet_s=FILTER_QUIET_S)
        if at is not None:
            self.times_ms.append((at - pressed) * 1000)
            return
        counted = self._counted(self._terminal.lines())
        if counted is None or self._typed in self._learned:
            raise RuntimeError(f"{self._typed!r} is not shown:\n" + "\n".join(self._terminal.lines()))
        self._learned[self._typed] = counted

    def _count(self, find: str) -> int:
        return sum(any(find in text for text in row) for row in self._rows)

    def _counted(self, lines: Sequence[str]) -> int | None:
        """How many servers the title counts as found; None where the filter's line shows something else."""
        found = COUNTED.search("\n".join(lines))
        shown = re.compile(rf"(^|[^\w-]){re.escape(self._typed)}\s")
        if found is None or not any(shown.search(line[:40]) for line in lines[:8]):
            return None
        return int(found[1].replace(",", ""))

    def _check(self, word: str) -> None:
        """What is found is on the screen, and the title counts as many as there are of that name."""
        lines = self._terminal.lines()
        named = sum(word in row[0] for row in self._rows)
        if self._counted(lines) != named or sum(word in line for line in lines) < 2:
            raise RuntimeError(f"{named} servers like {word!r} are not shown:\n" + "\n".join(lines))


def filtered(servers: int, keys: int, settle_s: float, parent: Path) -> Table:
    """The inventory, and the same rows in a DataTable."""
    with measure.folder(parent, "bench-tui-") as folder:
        workspace = folder / "workspace"
        tui_load.make_workspace(workspace, servers, 1)
        told = environment(folder, workspace)
        listed = subprocess.run(
            [*bench_start.WINDLASS, "servers", "list", "--json"],
            env=told, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        each = [json.loads(line) for line in listed.splitlines()]
        rows = [
            (one["server"], one["provider"], one["state"], one["address"], *one["groups"])
            for one in each
            if one["type"] == "server"
        ]
        table = folder / "rows.json"
        table.write_text(json.dumps([[*row[:4], " ".join(row[4:]), ""] for row in rows]))
        words = words_to_type([row[0] for row in rows], keys)
        ours = _filter(UI, told, rows, words, opened=":servers\r", settle_s=settle_s)
        peer = _filter(
            [sys.executable, "-m", "benchmarks.peer_datatable", str(table)],
            told,
            rows,
            words,
            opened="",
            settle_s=settle_s,
        )
    found = {"windlass, filter": ours, "the same rows in a `DataTable`": peer}
    figures = {
        name: {
            "keys": len(times_ms),
            "p50_ms": measure.percentile(times_ms, 0.5),
            "p95_ms": measure.percentile(times_ms, 0.95),
            "max_ms": max(times_ms),
            "opened_ms": opened_s * 1000,
            "resident_mib": resident / 2**20,
            "ratio_p95": measure.percentile(times_ms, 0.95) / measure.percentile(ours[0], 0.95),
        }
        for name, (times_ms, opened_s, resident) in found.items()
    }
    rows_shown = tuple(
        (
            name,
            *(f"{told[key]:.1f}" for key in ("p50_ms", "p95_ms", "max_ms")),
            f"{told['ratio_p95']:.1f}",
            f"{told['opened_ms']:.0f}",
            f"{told['resident_mib']:.0f}",
            TARGETS.get(name, ""),
        )
        for name, told in figures.items()
    )
    headers = ("what", "p50 ms", "p95 ms", "max ms", "p95, ratio", "opened in ms", "memory MiB", "target")
    title = f"A key of the filter, {len(rows):,} servers, {len(ours[0])} keys"
    return Table(title, headers, rows_shown, figures)


def _filter(
    command: Sequence[str],
    told: Mapping[str, str],
    rows: Sequence[Sequence[str]],
    words: Sequence[str],
    *,
    opened: str,
    settle_s: float,
) -> tuple[list[float], float, int]:
    """Milliseconds of each key, seconds until the inventory was there, bytes of memory afterwards."""
    with Terminal(command, told) as terminal:
        begun = terminal.begun
        if opened:
            terminal.until(shows(DASHBOARD))
            terminal.watch(settle_s)
            begun = terminal.press(opened)
        at = terminal.until(partial(all_listed, rows))
        terminal.watch(settle_s)
        terminal.press("/")
        terminal.watch(0.5)
        field = Filter(terminal, rows)
        for word in words:
            field.type(word)
        return field.times_ms, at - begun, terminal.resident_bytes()
