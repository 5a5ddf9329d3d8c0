"""An event loop that is never idle leaves room for the thread that commits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time

from core.clock import UptimeLoop

STATEMENTS = 100


def test_a_thread_gets_on_beside_a_loop_that_never_waits() -> None:
    """Each statement takes the interpreter back once; without a rest of the loop that may take minutes."""
    done = threading.Event()

    def commit() -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        for _ in range(STATEMENTS):
            connection.execute("SELECT 1")
        connection.close()
        done.set()

    async def be_busy() -> int:
        turns = 0
        ends = time.monotonic() + 30
        threading.Thread(target=commit, daemon=True).start()
        while not done.is_set() and time.monotonic() < ends:
            until = time.perf_counter() + 0.001
            while time.perf_counter() < until:
                pass
            turns += 1
            await asyncio.sleep(0)
        return turns

    with asyncio.Runner(loop_factory=UptimeLoop) as runner:
        turns = runner.run(be_busy())
    assert done.is_set(), f"not {STATEMENTS} statements in {turns} turns of the loop"
