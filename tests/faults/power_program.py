"""A whole engine at work, every event printed as it is told: `python -m tests.faults.power_program FOLDER`.

The servers are in memory, so that it runs as fast as checkpoints become durable; every third command fails once and is
tried again.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import Ended, Work
from core.model.ids import AttemptRef
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply

SERVERS = tuple(f"s{number:02}" for number in range(40))
STEPS = 12


def rule(ref: AttemptRef, _: Work) -> Reply | None:
    """Prints something, and fails at times."""
    fails = ref.attempt == 1 and (int(ref.step[4:]) + int(ref.server[1:])) % 3 == 0
    return Reply(Ended(1) if fails else Ended(0), output=b"some output\n" * 20)


async def work(folder: Path) -> None:
    """Runs the batch to its end."""
    lab = Lab(folder, servers=SERVERS)
    steps = "\n".join(
        f"  step{number}: {{run: work, needs: [{f'{{step: step{number - 1}, scope: server}}' if number else ''}], "
        f"retries: {{attempts: 3, delay: 1ms}}}}"
        for number in range(STEPS)
    )
    lab.batch(f"steps:\n{steps}\n")
    lab.memory.rule = rule
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest("work"), ACTOR))
        async for event in engine.follow(0, run=run.number):
            told = {"seq": event.seq, "type": event.type, "step": event.step, "server": event.server}
            print(json.dumps({**told, "to": event.data.get("to")}), flush=True)
            if event.type == "run.state" and event.data.get("to") == "done":
                return


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
