"""The work that `bench_tui` watches: a workspace of many servers, and an engine that makes events at a steady rate.

    python -m benchmarks.tui_load WORKSPACE EVENTS_A_SECOND

The engine is the real one in this process of its own, with its store, its checkpoints and its lease, as the engine
in the background is; the interface reads what it stored. Only the executor answers from memory: a task waits for its
turn, prints one line and ends well. So a task makes four events (it starts, it is handed over, it prints, it ends),
and turns come at a quarter of the rate asked for. Ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from benchmarks.bench_engine import OK, NoWork
from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import NO_TRACE, Answer, OutputSink, Trace, Work
from core.engine.open import open_engine
from core.model.ids import AttemptRef
from core.model.states import Stream
from providers.base import Server

ACTOR = "bench"
EVENTS_A_TASK = 4
AT_ONCE = 100
ROLES = ("db", "ldap", "mail", "proxy", "queue", "render", "web", "gpu")
REGIONS = ("ams", "fra", "hel", "lon", "nyc")


def fleet(count: int) -> list[str]:
    """Names of servers: `web-fra-0417`."""
    kinds = [f"{role}-{region}" for role in ROLES for region in REGIONS]
    return [f"{kinds[at % len(kinds)]}-{at // len(kinds):04}" for at in range(count)]


def make_workspace(path: Path, servers: int, steps: int) -> None:
    """A workspace of such servers, with a batch of `steps` steps on all of them."""
    (path / "servers").mkdir(parents=True)
    (path / "batches").mkdir()
    (path / "workspace.yaml").write_text("name: bench\nformat: 1\n")
    named = "".join(
        f"  {name}: {{address: 10.{at >> 16}.{at >> 8 & 255}.{at & 255}, groups: [{', '.join(name.split('-')[:2])}]}}\n"
        for at, name in enumerate(fleet(servers))
    )
    (path / "servers" / "static.yaml").write_text(f"provider: static\nservers:\n{named}")
    told = "".join(f"  step-{number:03}:\n    run: 'true'\n" for number in range(steps))
    (path / "batches" / "roll.yaml").write_text(
        f"strategy:\n  parallel: {AT_ONCE}\n  order: free\nsteps:\n{told}"
    )


class Turns:
    """Gives turns at a steady rate; who comes late catches up."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._given = 0
        self._begun = 0.0

    async def mine(self) -> None:
        """Waits for the next turn."""
        clock = asyncio.get_running_loop().time
        self._begun = self._begun or clock()
        self._given += 1
        if (ahead_s := self._begun + self._given / self._per_s - clock()) > 0:
            await asyncio.sleep(ahead_s)


class Paced(NoWork):
    """Prints a line when the turn comes, and ends well."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        await self._turns.mine()
        told = sink(Stream.STDOUT, 0, f"{ref.step} is done on {server.name}\n".encode())
        if told is not None:
            await told
        return OK


async def work(path: Path, events_per_s: float) -> None:
    """Runs the batch until standard input ends, then leaves it as it is."""
    turns = Turns(events_per_s / EVENTS_A_TASK)
    engine = await open_engine(
        path, actor=ACTOR, executor_factory=lambda _scope: Paced(turns), background=True
    )
    run = await engine.start(RunRequest(PlanRequest("roll"), ACTOR))
    print(run.number, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


def main() -> None:
    """Is the engine, and ends as one that is killed: nobody waits for the rest of the run."""
    asyncio.run(work(Path(sys.argv[1]), float(sys.argv[2])))


if __name__ == "__main__":
    main()
