"""How many tasks go through the whole engine in a second.

    python -m benchmarks.bench_engine [--chains 100] [--length 100] [--rounds 3] [--folder DIR] [--json]

`--chains` chains of `--length` tasks that do nothing: each step runs on one server for each chain and
needs the step before it on the same server. The plan, the store with durable checkpoints
(synchronous=FULL), the scheduler, the runner, the event bus and one follower are the real ones; only the
executor answers from memory. Counted is from the start of the run (its plan included) to the end that
the follower sees. Rows of the table:

- `engine`: as described; `engine, planned`: the same without the time that plan and creation took.
- `durable bound`: the transactions that such a run needs at least (an intent, an outcome and their events
  for each task) handed to the bare store, 100 at once.
- `dbos`: the same graph as workflows of dbos on SQLite, one for each chain with one step for each task
  (`pip install --require-hashes -r requirements/bench.txt`; left out where it is not installed). It does
  fewer tasks; figures are for one task.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks import bench_store, measure
from benchmarks.measure import Meter, Spent
from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import (
    NO_TRACE,
    Answer,
    Ended,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    ServerFacts,
    StopAnswer,
    Stopped,
    Trace,
    Work,
)
from core.engine.open import open_engine
from core.model.events import RUN_STATE
from core.model.ids import AttemptRef
from core.model.states import RunState, Stream
from providers.base import Server

ACTOR = "bench"
DBOS_SHARE = 20
"""dbos does this much fewer tasks."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one variant did."""

    tasks: int
    spent: Spent
    events: int = 0
    commits: int = 0

    @property
    def tasks_per_s(self) -> float:
        return self.tasks / self.spent.wall_s


class NoWork:
    """An executor whose commands end well at once; it gives the loop one turn, as a real one would."""

    async def open(self, server: Server) -> ServerFacts:
        return FACTS

    def at_hand(self, server: Server) -> ServerFacts | None:
        return FACTS

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        await asyncio.sleep(0)
        return OK

    async def attach(
        self,
        server: Server,
        ref: AttemptRef,
        work: Work,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace = NO_TRACE,
        found: Found | None = None,
    ) -> Answer:
        return InDoubt("nothing is kept")

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        return InDoubt("nothing is kept")

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        return Stopped()

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        return None

    async def close(self, *, over: bool = False) -> None:
        return None


FACTS = ServerFacts(boot_id="boot-1")
OK = Ended(0)


def make_workspace(path: Path, servers: int, steps: int) -> None:
    """A workspace with a batch of `steps` steps, a chain on each of `servers` servers."""
    (path / "servers").mkdir(parents=True)
    (path / "batches").mkdir()
    (path / "workspace.yaml").write_text("name: bench\nformat: 1\n")
    named = "".join(f"  server-{number:05}: {{address: 127.0.0.1}}\n" for number in range(servers))
    (path / "servers" / "static.yaml").write_text(f"provider: static\nservers:\n{named}")
    chain = "".join(f"  step-{number:05}:\n    run: 'true'\n" for number in range(steps))
    (path / "batches" / "chains.yaml").write_text(
        f"strategy:\n  parallel: {servers}\n  order: free\nsteps:\n{chain}"
    )


async def run_engine(folder: Path, chains: int, length: int) -> tuple[Figures, Figures]:
    """The whole engine: with its plan, and from the first task on."""
    path = folder / "workspace"
    make_workspace(path, chains, length)
    engine = await open_engine(path, actor=ACTOR, executor_factory=lambda _workspace: NoWork())
    try:
        after = (await engine.workspace()).last_seq
        seen = 0

        async def follow(run: int) -> None:
            nonlocal seen
            async for event in engine.follow(after, run=run):
                seen += 1
                if event.type == RUN_STATE and not RunState(event.data["to"]).open:
                    return

        gc.collect()
        whole = Meter()
        run = await engine.start(RunRequest(PlanRequest("chains"), ACTOR))
        planned = Meter()
        await follow(run.number)
        spent, spent_planned = whole.stop(), planned.stop()
        ended = await engine.wait(run.number)
        if ended.state is not RunState.DONE or ended.counts[next(iter(ended.counts))] != chains * length:
            raise AssertionError(f"the run ended {ended.state.value}: {ended.counts}")
        commits = engine._store.commits
    finally:
        await engine.close()
    tasks = chains * length
    return Figures(tasks, spent, seen, commits), Figures(tasks, spent_planned, seen, commits)


async def run_bound(folder: Path, tasks: int, workers: int) -> Figures:
    """The same checkpoints through the store alone."""
    found = await bench_store.bench_store(folder, tasks, workers)
    return Figures(tasks, found.spent, 2 * tasks, found.commits)


def run_dbos(folder: Path, chains: int, length: int) -> Figures:
    """The same graph in dbos, in a process of its own."""
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.peer_dbos", str(folder), str(chains), str(length)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    ).stdout
    wall_s, cpu_s, written = output.split()[-3:]
    return Figures(chains * length, Spent(float(wall_s), float(cpu_s), int(written)))


def measure_all(chains: int, length: int, rounds: int, parent: Path) -> dict[str, Figures]:
    """Every variant in turn; the median round of each by speed."""
    results: dict[str, list[Figures]] = {}
    for _ in range(rounds):
        with measure.folder(parent, "bench-engine-") as folder:
            whole, planned = asyncio.run(run_engine(folder, chains, length))
        results.setdefault("engine", []).append(whole)
        results.setdefault("engine, planned", []).append(planned)
        with measure.folder(parent, "bench-engine-") as folder:
            bound = asyncio.run(run_bound(folder, chains * length, chains))
        results.setdefault("durable bound", []).append(bound)
        if importlib.util.find_spec("dbos") is not None:
            with measure.folder(parent, "bench-engine-") as folder:
                fewer = max(1, length // DBOS_SHARE)
                results.setdefault("dbos", []).append(run_dbos(folder, chains, fewer))
    return {
        name: measure.median_by(found, lambda figures: figures.tasks_per_s) for name, found in results.items()
    }


def main() -> None:
    """Runs everything and prints the table."""
    parser = measure.arguments("How many tasks go through the whole engine in a second.")
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--length", type=int, default=100)
    options = parser.parse_args()
    measure.end_on_signals()
    if not options.json:
        print(
            f"{measure.machine_line()}; {options.chains} chains of {options.length}, "
            f"median of {options.rounds}\n"
        )
    results = measure_all(options.chains, options.length, options.rounds, options.folder)
    first = results["engine"]
    rows = [
        (
            name,
            f"{found.tasks}",
            f"{found.tasks_per_s:,.0f}",
            f"{found.tasks_per_s / first.tasks_per_s:.2f}",
            f"{found.spent.cpu_s / found.tasks * 1e6:.0f}",
            f"{found.events / found.tasks:.1f}" if found.events else "-",
            f"{found.commits / found.tasks:.3f}" if found.commits else "-",
            f"{found.spent.written_bytes / found.tasks:,.0f}",
        )
        for name, found in results.items()
    ]
    document = {
        "benchmark": "engine",
        "variants": {
            name: {
                "tasks": found.tasks,
                "tasks_per_s": found.tasks_per_s,
                "ratio": found.tasks_per_s / first.tasks_per_s,
                "cpu_us_per_task": found.spent.cpu_s / found.tasks * 1e6,
                "events": found.events,
                "commits": found.commits,
                "written_bytes_per_task": found.spent.written_bytes / found.tasks,
            }
            for name, found in results.items()
        },
    }
    notes = [] if "dbos" in results else ["\ndbos is left out: it is not installed (requirements/bench.txt)."]
    measure.show(
        ("", "tasks", "tasks/s", "ratio", "CPU µs/task", "events/task", "fsync/task", "bytes/task"),
        rows,
        document,
        as_json=options.json,
        notes=notes,
    )


if __name__ == "__main__":
    main()
