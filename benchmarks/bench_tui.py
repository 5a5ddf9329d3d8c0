"""What the terminal interface costs, measured through a pseudo-terminal of 120 × 40.

    python -m benchmarks.bench_tui [--servers 10000] [--keys 200] [--idle 20] [--live 20] [--rate 1000]
        [--tasks 100000] [--rounds 5] [--only PART ...] [--folder DIR] [--json]

`windlass ui` runs as a process of its own, keys are written to its terminal, and its bytes are read and put on a
screen by pyte, a terminal emulator; see `benchmarks.terminal`. Parts, one table each, in Markdown:

- `paint`: from the start of the process to the first frame with the dashboard (its panels and its keys), and to the
  frame with what was read of the workspace, beside `python -c pass` and a bare Textual application.
- `filter`: the inventory of `--servers` servers is filtered by names that are typed and deleted key by key. A key's
  time is from writing it to reading the bytes after which the filter's line shows it and the title counts the servers
  found. Memory is held by the process afterwards. Beside it the same rows in a `DataTable` (`peer_datatable`).
- `idle`: the dashboard of a small workspace with nothing going on for `--idle` seconds.
- `live`: a run of 1,000 servers that makes `--rate` events a second, on its run screen for `--live` seconds. The
  engine is the real one in a process of its own, only its executor answers from memory (`tui_load`); the interface
  reads what it stored, as it always does. The events told are those that were really stored in the time.
- `memory`: a stored run of `--tasks` tasks, half of them done, on its run screen.

CPU is user and system time of the interface's process (/proc/PID/stat) as a share of one core; bytes are those
written to the terminal; memory is resident. Linux only.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import bench_start, measure, tui_load
from benchmarks.terminal import Terminal, shows
from benchmarks.tui_filter import filtered
from benchmarks.tui_parts import DASHBOARD, TARGETS, UI, Table, environment

FIRST_FRAME = ("Needs you", "Recent", "Batches", "Servers", "keys")
STEP_SERVERS = 1000


# ---------------------------------------------------------------- first paint


def paint(rounds: int, parent: Path) -> Table:
    """The first frame, in turn with the least that Python and Textual take."""
    with measure.folder(parent, "bench-tui-") as folder:
        workspace = folder / "workspace"
        bench_start.make_workspace(workspace)
        told = environment(folder, workspace)

        def interface() -> tuple[float, float]:
            with Terminal(UI, told) as terminal:
                first = terminal.until(shows(*FIRST_FRAME))
                return first - terminal.begun, terminal.until(shows(DASHBOARD, "3 steps")) - terminal.begun

        def bare() -> tuple[float, float]:
            command = [sys.executable, "-c", bench_start.BARE_TEXTUAL]
            with Terminal(command, told) as terminal:
                return terminal.until(shows("one line of keys")) - terminal.begun, 0.0

        def nothing() -> tuple[float, float]:
            return bench_start.start([sys.executable, "-c", "pass"], told).wall_s, 0.0

        variants: dict[str, Callable[[], tuple[float, float]]] = {
            "`python -c pass`": nothing,
            "a bare Textual application": bare,
            "windlass, first frame": interface,
        }
        for variant in variants.values():  # compiled and read from the disk once
            variant()
        found = measure.in_turn(variants, rounds)
    times = {name: [first for first, _ in each] for name, each in found.items()}
    times["windlass, with its data"] = [data for _, data in found["windlass, first frame"]]
    bare_s = measure.median(times["a bare Textual application"])
    figures = {
        name: {
            "median_ms": measure.median(each) * 1000,
            "best_ms": min(each) * 1000,
            "ratio": measure.median(each) / bare_s,
        }
        for name, each in times.items()
    }
    rows = tuple(
        (
            name,
            f"{told['median_ms']:.0f}",
            f"{told['best_ms']:.0f}",
            f"{told['ratio']:.2f}",
            TARGETS.get(name, ""),
        )
        for name, told in figures.items()
    )
    headers = ("what", "median ms", "best ms", "beside bare Textual", "target")
    return Table("First paint", headers, rows, figures)


# ---------------------------------------------------------------- idle, and live


@dataclass(frozen=True, slots=True)
class Watched:
    """What an interface cost while it was looked at."""

    cpu_share: float
    bytes_per_s: float
    resident: int
    events_per_s: float = 0.0


def _watch(terminal: Terminal, seconds_s: float, database: Path) -> Watched:
    cpu_s, written, events = terminal.cpu_s(), terminal.bytes_read, _last_seq(database)
    terminal.watch(seconds_s)
    return Watched(
        (terminal.cpu_s() - cpu_s) / seconds_s,
        (terminal.bytes_read - written) / seconds_s,
        terminal.resident_bytes(),
        (_last_seq(database) - events) / seconds_s,
    )


def _last_seq(database: Path) -> int:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        found: int = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        return found


def _watched(title: str, found: Mapping[str, Watched]) -> Table:
    figures = {
        name: {
            "cpu_percent": one.cpu_share * 100,
            "kb_per_s": one.bytes_per_s / 1000,
            "events_per_s": one.events_per_s,
            "resident_mib": one.resident / 2**20,
        }
        for name, one in found.items()
    }
    rows = tuple(
        (
            name,
            f"{told['events_per_s']:,.0f}",
            f"{told['cpu_percent']:.2f}",
            f"{told['kb_per_s']:.2f}",
            f"{told['resident_mib']:.0f}",
            TARGETS.get(name, ""),
        )
        for name, told in figures.items()
    )
    headers = ("what", "events a second", "CPU % of a core", "kB/s written", "memory MiB", "target")
    return Table(title, headers, rows, figures)


def idle(seconds_s: float, settle_s: float, parent: Path) -> Table:
    """The dashboard with nothing going on."""
    with measure.folder(parent, "bench-tui-") as folder:
        workspace = folder / "workspace"
        bench_start.make_workspace(workspace)
        told = environment(folder, workspace)
        found = {}
        for name, options in (
            ("dashboard, idle", ()),
            ("dashboard, idle, low bandwidth", ("--low-bandwidth",)),
        ):
            with Terminal([*UI, *options], told) as terminal:
                terminal.until(shows(DASHBOARD, "3 steps"))
                terminal.watch(settle_s)
                found[name] = _watch(terminal, seconds_s, workspace / ".windlass" / "state.db")
    return _watched(f"Idle, {seconds_s:g} s", found)


@contextlib.contextmanager
def _engine(workspace: Path, rate: float, told: Mapping[str, str]) -> Iterator[int]:
    """An engine at work; gives the number of its run."""
    command = [sys.executable, "-m", "benchmarks.tui_load", str(workspace), f"{rate:g}"]
    with subprocess.Popen(
        command, env=told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def live(seconds_s: float, rate: float, settle_s: float, parent: Path) -> Table:
    """A run at work, on its run screen."""
    found = {}
    steps = int(rate / tui_load.EVENTS_A_TASK * (seconds_s + 30) / STEP_SERVERS) + 1
    for name, options in (("run, live", ()), ("run, live, low bandwidth", ("--low-bandwidth",))):
        with measure.folder(parent, "bench-tui-") as folder:
            workspace = folder / "workspace"
            tui_load.make_workspace(workspace, STEP_SERVERS, steps)
            told = environment(folder, workspace)
            with _engine(workspace, rate, told) as run, Terminal([*UI, *options], told) as terminal:
                terminal.until(shows(DASHBOARD, "Batches 1"))
                terminal.press(f":{run}\r")
                terminal.until(shows("step-000", "running", "· output"))
                terminal.watch(settle_s)
                found[name] = _watch(terminal, seconds_s, workspace / ".windlass" / "state.db")
                if not shows("live", "running")(terminal.lines()):
                    raise RuntimeError("the run is over:\n" + "\n".join(terminal.lines()))
    return _watched(f"A live run, {STEP_SERVERS} servers, {seconds_s:g} s", found)


# ---------------------------------------------------------------- the memory of a large run


def memory(tasks: int, settle_s: float, parent: Path) -> Table:
    """A large stored run on its run screen."""
    with measure.folder(parent, "bench-tui-") as folder:
        workspace = folder / "workspace"
        told = environment(folder, workspace)
        servers = min(1000, max(1, tasks // 4))
        subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.bench_resume", "--part", "make"),
                *("--workspace", str(workspace)),
                *("--servers", str(servers), "--steps", str(tasks // servers)),
            ],
            check=True,
            env=told,
        )
        with Terminal(UI, told) as terminal:
            terminal.until(shows("resume", "Batches 1"))
            terminal.watch(settle_s)
            before = terminal.resident_bytes()
            pressed = terminal.press(":1\r")
            opened_s = (
                terminal.until(
                    shows(
                        "runs ▸ 1 chains",
                        "· output",
                        f"{tasks // servers // 2 * servers}/{tasks // servers * servers}",
                    )
                )
                - pressed
            )
            terminal.watch(settle_s)
            after = terminal.resident_bytes()
    figures = {
        "dashboard": {"resident_mib": before / 2**20},
        "its run screen": {"resident_mib": after / 2**20, "opened_ms": opened_s * 1000},
    }
    rows = tuple(
        (name, f"{told['resident_mib']:.0f}", f"{told['opened_ms']:.0f}" if "opened_ms" in told else "")
        for name, told in figures.items()
    )
    title = f"A stored run of {servers * (tasks // servers):,} tasks"
    return Table(title, ("what", "memory MiB", "opened in ms"), rows, figures)


# ---------------------------------------------------------------- all of it


def main() -> None:
    """Runs the parts and prints their tables."""
    parser = measure.arguments("What the terminal interface costs.", rounds=5)
    parser.add_argument("--servers", type=int, default=10_000, help="how many the inventory has")
    parser.add_argument("--keys", type=int, default=200, help="how many keys of the filter, at least")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds")
    parser.add_argument("--live", type=float, default=20.0, help="seconds")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second")
    parser.add_argument("--tasks", type=int, default=100_000, help="of the run whose memory is measured")
    parser.add_argument("--settle", type=float, default=3.0, help="seconds of rest before each measurement")
    parser.add_argument("--only", action="append", metavar="PART", help="this part; may be given repeatedly")
    options = parser.parse_args()
    measure.end_on_signals()
    parent = options.folder
    parts: dict[str, Callable[[], Table]] = {
        "paint": lambda: paint(options.rounds, parent),
        "filter": lambda: filtered(options.servers, options.keys, options.settle, parent),
        "idle": lambda: idle(options.idle, options.settle, parent),
        "live": lambda: live(options.live, options.rate, options.settle, parent),
        "memory": lambda: memory(options.tasks, options.settle, parent),
    }
    chosen = options.only or list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: {', '.join(parts)}")
    if not options.json:
        print(measure.machine_line(), flush=True)
    found: dict[str, Any] = {}
    for name in chosen:
        table = parts[name]()
        found[name] = {"title": table.title, "variants": table.figures}
        if not options.json:
            print(f"\n{table.markdown()}", flush=True)
    if options.json:
        print(json.dumps({"machine": measure.machine(), "benchmark": "tui", "parts": found}, indent=2))


if __name__ == "__main__":
    main()
