"""What the parts of `bench_tui` share: how the interface is started, and a table of what was found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bench_start

UI = [*bench_start.WINDLASS, "ui"]
DASHBOARD = "Nothing needs you"
TARGETS = {
    "windlass, first frame": "< 600 ms",
    "windlass, filter": "p95 < 50 ms, < 90 MiB",
    "dashboard, idle": "< 1 %",
    "run, live": "< 10 %, < 20 kB/s",
    "run, live, low bandwidth": "< 10 %, < 4 kB/s",
}


@dataclass(frozen=True, slots=True)
class Table:
    """One part's result: rows to show, and figures by variant for programs."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: Mapping[str, Mapping[str, float]]

    def markdown(self) -> str:
        """To be read, and to be pasted into a document."""
        rules = ("---", *("---:" for _ in self.headers[1:]))
        lines = [self.headers, rules, *self.rows]
        return "\n".join((f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)))


def environment(folder: Path, workspace: Path) -> dict[str, str]:
    """What each program of a measurement gets: a terminal with all colours, and no settings of the person's own."""
    return {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "WINDLASS_WORKSPACE": str(workspace),
    }
