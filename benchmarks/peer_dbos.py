"""The graph of `bench_engine` in dbos on SQLite: a workflow for each chain, a step for each task.

    python -m benchmarks.peer_dbos FOLDER CHAINS LENGTH

Prints wall seconds, CPU seconds and bytes written, from the start of the workflows to the end of all of them.
All chains are under way at once, as in the benchmark. Run in a process of its own: dbos is global.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from dbos import DBOS, DBOSConfig

from benchmarks.measure import Meter


@DBOS.step()
async def nothing() -> int:
    """A task that does nothing, but gives the loop one turn."""
    await asyncio.sleep(0)
    return 0


@DBOS.workflow()
async def chain(length: int) -> int:
    """One chain."""
    for _ in range(length):
        await nothing()
    return length


async def run(chains: int, length: int) -> None:
    """Every chain at once; what is measured is printed."""
    handles = [await DBOS.start_workflow_async(chain, 1)]  # the first one makes threads and connections
    await handles[0].get_result()
    meter = Meter()
    handles = [await DBOS.start_workflow_async(chain, length) for _ in range(chains)]
    done = await asyncio.gather(*(handle.get_result() for handle in handles))
    spent = meter.stop()
    if sum(done) != chains * length:
        raise AssertionError(f"{sum(done)} of {chains * length} tasks ended")
    print(spent.wall_s, spent.cpu_s, spent.written_bytes)


def main() -> None:
    """Runs the chains of the command line."""
    logging.disable(logging.WARNING)
    folder, chains, length = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{folder / 'dbos.sqlite'}",
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        asyncio.run(run(chains, length))
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
