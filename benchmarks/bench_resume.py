"""How soon a large run goes on after its engine ended.

    python -m benchmarks.bench_resume [--servers 1000] [--steps 100] [--rounds 3] [--folder DIR] [--json]

A run of `--servers` × `--steps` tasks, the first half of its steps done, is left as a killed engine leaves
it. Each round is a process of its own that opens the workspace and resumes the run, as `windlass runs
resume` does, with an executor that answers from memory. Measured are the times to: the workspace opened
(which settles what was in flight), the run read back, the first command handed over; and the most memory
that the process held, beside what it held once everything was imported. The last row is the least that
reading the rows takes: `SELECT` of all tasks into Python tuples in a bare process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks import measure

ACTOR = "bench"
PARTS = ("core.engine.catalogue", "core.engine.local_work", "core.engine.recovery", "core.ssh.options")


def make_run(path: Path, servers: int, steps: int) -> None:
    """A workspace with a run of which half is done and the next tasks were in flight."""
    asyncio.run(_make_run(path, servers, steps))
    with closing(sqlite3.connect(path / ".windlass" / "state.db", isolation_level=None)) as connection:
        half = servers * (steps // 2)
        done = (
            "state = 'done', started = 1, ended = 2, attempt = 1, exit_status = 0, evidence = 'exit status'"
        )
        connection.execute("BEGIN")
        connection.execute(f"UPDATE tasks SET {done} WHERE idx < ?", [half])
        connection.execute(
            "INSERT INTO attempts (run, idx, purpose, attempt, intent, digest, boot_id, ended, outcome, "
            "exit_status) SELECT run, idx, 'run', 1, 1, ?, 'boot-1', 2, 'ok', 0 FROM tasks WHERE idx < ?",
            ["0" * 64, half],
        )
        connection.execute(
            "INSERT INTO events (type, run, step, server, attempt, actor, time, data) "
            'SELECT \'task.state\', run, step, server, 1, \'engine\', 2, \'{"from":"running","to":"done"}\' '
            "FROM tasks WHERE idx < ?",
            [half],
        )
        connection.execute("UPDATE runs SET state = 'running'")
        connection.execute("COMMIT")


async def _make_run(path: Path, servers: int, steps: int) -> None:
    from benchmarks.bench_engine import NoWork, make_workspace
    from core.engine.api import PlanRequest, RunRequest
    from core.engine.executor import ServerFacts
    from core.engine.open import open_engine
    from providers.base import Server

    class Never(NoWork):
        def at_hand(self, server: Server) -> ServerFacts | None:
            return None

        async def open(self, server: Server) -> ServerFacts:
            await asyncio.Event().wait()
            raise AssertionError

    make_workspace(path, servers, steps)
    engine = await open_engine(path, actor=ACTOR, executor_factory=lambda _workspace: Never())
    await engine.start(RunRequest(PlanRequest("chains"), ACTOR))
    await engine.close()


async def resume(path: Path) -> dict[str, float]:
    """Resumes the run until its first command is handed over, then ends. Times in seconds from the start."""
    from benchmarks.bench_engine import OK, NoWork
    from core.engine.executor import NO_TRACE, Answer, OutputSink, Trace, Work
    from core.engine.open import open_engine
    from core.model.ids import AttemptRef
    from providers.base import Server

    for module in PARTS:  # imports are not what is measured
        importlib.import_module(module)
    first = asyncio.Event()
    times: dict[str, float] = {"imported_bytes": measure.peak_bytes()}
    begun = time.perf_counter()

    class First(NoWork):
        async def start(
            self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
        ) -> Answer:
            if not first.is_set():
                times["first_s"] = time.perf_counter() - begun
                first.set()
            return OK

    engine = await open_engine(path, actor=ACTOR, executor_factory=lambda _workspace: First())
    times["opened_s"] = time.perf_counter() - begun
    await engine.resume(1, actor=ACTOR)
    times["resumed_s"] = time.perf_counter() - begun
    await first.wait()
    times["peak_bytes"] = measure.peak_bytes()
    times["cpu_s"] = time.process_time()
    with contextlib.suppress(Exception):
        await engine.close()
    return times


def read_bare(path: Path) -> dict[str, float]:
    """The least: every task's row in memory."""
    begun, imported = time.perf_counter(), measure.peak_bytes()
    with closing(sqlite3.connect(path / ".windlass" / "state.db")) as connection:
        rows = connection.execute("SELECT * FROM tasks ORDER BY idx").fetchall()
    return {
        "first_s": time.perf_counter() - begun,
        "peak_bytes": measure.peak_bytes(),
        "imported_bytes": imported,
        "rows": len(rows),
    }


def in_a_process(what: str, path: Path) -> dict[str, float]:
    """One measurement in a process of its own, on a copy of the workspace."""
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_resume", "--part", what, "--workspace", str(path)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ).stdout
    found: dict[str, float] = json.loads(output)
    return found


def measure_all(servers: int, steps: int, rounds: int, parent: Path) -> dict[str, Mapping[str, float]]:
    """Resume and the bare read in turn; the median of each by time."""
    with measure.folder(parent, "bench-resume-") as folder:
        original = folder / "original"
        subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.bench_resume", "--part", "make", "--workspace"),
                *(str(original), "--servers", str(servers), "--steps", str(steps)),
            ],
            check=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )

        def once(what: str) -> dict[str, float]:
            copy = folder / "copy"
            subprocess.run(["cp", "-a", str(original), str(copy)], check=True)
            try:
                return in_a_process(what, copy)
            finally:
                subprocess.run(["rm", "-rf", str(copy)], check=True)

        results = measure.in_turn(
            {"resume": lambda: once("resume"), "bare read": lambda: once("bare")}, rounds
        )
    return {name: measure.median_by(found, lambda part: part["first_s"]) for name, found in results.items()}


def main() -> None:
    """Runs everything and prints the table, or one part of it for the parent process."""
    parser = measure.arguments("How soon a large run goes on after its engine ended.")
    parser.add_argument("--servers", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--part", choices=["make", "resume", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--workspace", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "make":
        make_run(options.workspace, options.servers, options.steps)
        return
    if options.part is not None:
        part = (
            asyncio.run(resume(options.workspace))
            if options.part == "resume"
            else read_bare(options.workspace)
        )
        print(json.dumps(part))
        return
    measure.end_on_signals()
    tasks = options.servers * options.steps
    if not options.json:
        print(
            f"{measure.machine_line()}; {options.steps} steps on {options.servers} servers, "
            f"half done, median of {options.rounds}\n"
        )
    results = measure_all(options.servers, options.steps, options.rounds, options.folder)
    rows = [_row(name, found, tasks) for name, found in results.items()]
    document: dict[str, Any] = {"benchmark": "resume", "tasks": tasks, "variants": results}
    measure.show(
        ("", "opened s", "resumed s", "first command s", "peak MiB", "grown MiB", "bytes/task"),
        rows,
        document,
        as_json=options.json,
    )


def _row(name: str, found: Mapping[str, float], tasks: int) -> tuple[str, ...]:
    grown = found["peak_bytes"] - found["imported_bytes"]
    return (
        name,
        *(f"{found[key]:.2f}" if key in found else "-" for key in ("opened_s", "resumed_s", "first_s")),
        f"{found['peak_bytes'] / 2**20:.0f}",
        f"{grown / 2**20:.0f}",
        f"{grown / tasks:.0f}",
    )


if __name__ == "__main__":
    main()
