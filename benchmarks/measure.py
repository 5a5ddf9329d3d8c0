"""What the benchmarks share: measuring in turn, a folder that never stays behind, tables and JSON.

A benchmark compares variants of the same work within one run: they take turns, `rounds` times, and the
median of each is shown, so that a busy machine slows all of them alike. Read the ratios; the absolute
figures hold for the machine described above them and no other.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Figure = TypeVar("Figure")

# ---------------------------------------------------------------- the machine


def machine() -> dict[str, Any]:
    """What the figures were measured on, without names of hosts, people or paths."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def machine_line() -> str:
    """The machine in one line."""
    known = machine()
    return (
        f"{known['system']}, {known['cpus']} CPUs ({known['processor']}), Python {known['python']}, "
        f"SQLite {known['sqlite']}, load {known['load'][0]:.1f} at the start"
    )


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.machine()


# ---------------------------------------------------------------- measuring


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work cost. CPU time is of the whole process, its threads included."""

    wall_s: float
    cpu_s: float
    written_bytes: int


class Meter:
    """Measures from its making to `stop`."""

    def __init__(self) -> None:
        self._written = written_bytes()
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> Spent:
        """What was spent since."""
        wall_s, cpu_s = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Spent(wall_s, cpu_s, written_bytes() - self._written)


def written_bytes() -> int:
    """Bytes that this process has handed to the kernel by write calls (Linux, else 0)."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError:
        return 0
    return int(dict(line.split(": ") for line in lines)["wchar"])


def peak_bytes() -> int:
    """The most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_turn(variants: dict[str, Callable[[], Figure]], rounds: int) -> dict[str, list[Figure]]:
    """Every variant once, then all of them again, `rounds` times."""
    results: dict[str, list[Figure]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, variant in variants.items():
            results[name].append(variant())
    return results


def median_by(found: Sequence[Figure], key: Callable[[Figure], float]) -> Figure:
    """The one in the middle (the upper one of an even number)."""
    return sorted(found, key=key)[len(found) // 2]


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


# ---------------------------------------------------------------- a folder that goes


REMOVER = "import shutil, sys; sys.stdin.read(); shutil.rmtree(sys.argv[1], ignore_errors=True)"


@contextlib.contextmanager
def folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A new folder that goes at the end, however this process ends: a child waits for its end, whether by
    itself or by a kill, and removes the folder.
    """
    made = Path(tempfile.mkdtemp(dir=parent, prefix=prefix))
    remover = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", REMOVER, str(made)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if remover.stdin is not None:
            remover.stdin.close()
        remover.wait()


def end_on_signals() -> None:
    """Lets a polite kill end the program like any exit, so that nothing it started stays behind."""

    def leave(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


# ---------------------------------------------------------------- showing


def arguments(description: str, *, rounds: int = 3) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="how often the variants take turns")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where files are made: a real disk")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of a table")
    return parser


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned text: the first column to the left, figures to the right."""
    widths = [max(len(line[column]) for line in (headers, *rows)) for column in range(len(headers))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in (headers, *rows)
    )


def show(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    document: dict[str, Any],
    *,
    as_json: bool,
    notes: Sequence[str] = (),
) -> None:
    """Prints the result: a table under the machine's line, or one JSON document."""
    if as_json:
        print(json.dumps({"machine": machine(), **document}, indent=2))
        return
    print(table(headers, rows))
    for note in notes:
        print(note)
