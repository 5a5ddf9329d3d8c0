"""An engine on a small disk that fills up while it works: `python -m tests.faults.full_disk_program FOLDER`.

FOLDER is a small disk of its own. Four commands are in flight when the disk is filled to its last byte; they end,
with output. Then space is freed and the run is resumed. Prints what was seen as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from core.engine.api import Engine, PlanRequest, RunRequest
from core.errors import WindlassError
from core.model.ids import AttemptRef
from core.model.states import TaskState
from core.store.reserve import RESERVE_BYTES
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply

SERVERS = ("a", "b", "c", "d")
BATCH = """
steps:
  one: {run: one}
  two: {run: two}
  three: {run: three}
"""


def fill(folder: Path) -> Path:
    """Leaves not one byte free."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass
    return path


async def refused(engine: Engine) -> str:
    """What somebody is told who starts a run now."""
    try:
        await engine.start(RunRequest(PlanRequest("work"), ACTOR, alongside=True))
    except WindlassError as error:
        return f"{type(error).__name__} {error.exit_status}: {error}"
    return "it was started"


async def work(folder: Path) -> dict[str, Any]:
    """The whole story."""
    seen: dict[str, Any] = {}
    lab = Lab(folder / "lab", servers=SERVERS)
    lab.batch(BATCH)
    go_on = asyncio.Event()

    def rule(ref: AttemptRef, _: object) -> Reply | None:
        # More output than fits into what SQLite has at hand already.
        return Reply(output=b"x" * 200_000, until=go_on) if ref.step == "two" else None

    lab.memory.rule = rule
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest("work"), ACTOR))
        for server in SERVERS:
            async for event in engine.follow(0, run=run.number):
                if event.type == "task.intent" and (event.step, event.server) == ("two", server):
                    break
        filler = fill(folder)
        go_on.set()
        info = await engine.wait(run.number)
        seen["run"], seen["why"] = info.state.value, info.why
        seen["tasks"] = await lab.states(engine)
        seen["started"] = sorted({line.split("@")[0] for line in lab.memory.effects})
        seen["reserve"] = (lab.path / ".windlass" / "reserve").exists()
        seen["refused"] = await refused(engine)
        seen["notices"] = list((await engine.workspace()).notices)
        # The same engine goes on once there is room again.
        with filler.open("r+b") as file:
            file.truncate(filler.stat().st_size - 2 * RESERVE_BYTES)
        await engine.resume(run.number, actor=ACTOR)
        await until(engine, run.number, "three@a", TaskState.DONE)
        await engine.wait(run.number)
        seen["at_last"] = await lab.states(engine)
        seen["reserve_again"] = (lab.path / ".windlass" / "reserve").stat().st_size
        seen["effects"] = len(lab.memory.effects)
    # The next engine opens on a disk that is full but for the reserve.
    fill(folder)
    async with lab.engine() as engine:
        seen["refused_by_the_next"] = await refused(engine)
        seen["next_notices"] = list((await engine.workspace()).notices)
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(work(Path(sys.argv[1])))))
