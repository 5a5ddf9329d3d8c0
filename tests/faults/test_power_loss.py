"""Row 7: the power goes. Simulated: the database and its WAL, copied at random moments of a run and opened.

The engine is stopped for the instant of each copy, so that the files are those of one moment. What this cannot show
is a disk that loses what it said was synced, or bytes that were written and not synced yet.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from core.store.store import Store
from tests.faults.power_program import SERVERS, STEPS
from tests.support.program import WAIT_S

COPIES = 12


async def test_f07_power_loss_every_outcome_that_an_event_announced_is_there(
    tmp_path: Path, repository: Path
) -> None:
    chance = random.Random()
    moments = sorted(chance.sample(range(20, len(SERVERS) * STEPS * 4), COPIES))
    state = tmp_path / "lab" / ".windlass"
    told: list[dict[str, Any]] = []
    copies: list[tuple[Path, int]] = []
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.power_program", str(tmp_path / "lab")],
        cwd=repository,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        watchdog = threading.Timer(4 * WAIT_S, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                told.append(json.loads(line))
                if moments and len(told) >= moments[0]:
                    moments.pop(0)
                    process.send_signal(signal.SIGSTOP)
                    folder = tmp_path / f"copy-{len(copies)}"
                    folder.mkdir()
                    for suffix in ("", "-wal"):
                        shutil.copy(state / f"state.db{suffix}", folder)
                    copies.append((folder / "state.db", told[-1]["seq"]))
                    process.send_signal(signal.SIGCONT)
        finally:
            watchdog.cancel()
            process.kill()
    assert told[-1]["to"] == "done", "it ran to its end"
    assert len(copies) == COPIES
    for path, seq in copies:
        await _look(path, [event for event in told if event["seq"] <= seq])


async def _look(path: Path, announced: list[dict[str, Any]]) -> None:
    store = await Store.open(path)
    try:
        stored = {event.seq: event for event in await store.reader.events(0, limit=1_000_000)}
        for event in announced:
            assert stored[event["seq"]].type == event["type"]
        ended = {
            (event["step"], event["server"])
            for event in announced
            if event["type"] == "task.state" and event["to"] == "done"
        }
        rows = {
            (task.step, task.server)
            for task in await store.reader.tasks(1, limit=100_000)
            if task.state.value == "done"
        }
        assert ended <= rows, "announced, and lost"
        # And a change never stands without its event, nor an event without its change.
        events = {
            (event.step, event.server)
            for event in stored.values()
            if event.type == "task.state" and event.data.get("to") == "done"
        }
        assert rows == events
    finally:
        await store.close()
