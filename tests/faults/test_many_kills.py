"""A run whose engine is killed again and again, at any moment, until it has come to its end all the same."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from tests.support.program import Program, kill

STEPS = 40
KILLS = 40
RUN = "strategy: {order: free}\nsteps:\n" + "".join(
    f"  s{number}:\n"
    f'    run: echo "$WINDLASS_STEP $WINDLASS_ATTEMPT" >> effects; sleep 0.{number % 4}\n'
    f'    undo: ":"\n'
    for number in range(STEPS)
)


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_attempt_runs_twice_and_no_task_is_lost(program: Program, seed: int) -> None:
    moments = random.Random(seed)
    with program.process("run", program.batch(RUN)) as process:
        program.until_event(lambda event: event["type"] == "task.intent")
        kill(process)
    killed = 1
    while killed < KILLS:
        with program.process("runs", "resume", "--in-doubt", "retry") as process:
            time.sleep(moments.uniform(0.3, 2.0))  # any moment from its start-up on is as good as another
            if process.poll() is not None:
                break
            kill(process)
        killed += 1
    program.call("runs", "resume", "--in-doubt", "retry", status=None)  # 2 where a kill met its very end
    assert killed > 3, "it ended before it could be killed: give it more to do"

    assert set(program.states().values()) == {"done"}
    decided = Counter(
        (event["server"], event["step"]) for event in program.events() if event.get("decision") == "retry"
    )
    for server in program.servers:
        ran = program.lines(server, "effects")
        assert len(ran) == len(set(ran)), "an attempt ran twice"
        attempts = Counter(line.split()[0] for line in ran)
        assert attempts.keys() == {f"s{number}" for number in range(STEPS)}, "a task is lost"
        for step, count in attempts.items():
            assert count <= 1 + decided[server, step], "a task ran again and nobody had said so"
