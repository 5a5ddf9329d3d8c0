"""Serves an engine that ends with its command: others watch through its socket, and pause, cancel or decide.

It takes no work of others (`Served.takes_work`): whoever started it may end it at any moment. A command that is over
in a moment serves nobody, and pays nothing for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from core.engine.local import LocalEngine

AFTER_S = 1.0


@asynccontextmanager
async def served_beside(engine: LocalEngine, state_dir: Path, version: str) -> AsyncIterator[None]:
    """Serves the engine on the workspace's socket as long as the context is open, from its second second on."""
    over = asyncio.Event()
    serving = asyncio.ensure_future(_serve(engine, state_dir, version, over))
    try:
        yield
    finally:
        over.set()
        await asyncio.gather(serving, return_exceptions=True)


async def _serve(engine: LocalEngine, state_dir: Path, version: str, over: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), AFTER_S)
    if over.is_set():
        return
    # Half a second of imports: not in the way of what the engine does.
    server = await asyncio.to_thread(__import__, "daemon.server", fromlist=["serving"])
    from daemon.context import Served
    from daemon.sockets import bind, remove, socket_path

    path = socket_path(state_dir)
    served = Served(engine, version, lambda token: None, _stop, engine.announce, takes_work=False)
    try:
        async with server.serving(served, [bind(path)]):
            engine.announce(socket=str(path), background=False, version=version)
            await over.wait()
    finally:
        remove(path)


def _stop(drains: bool) -> None:
    """Ends the command as its terminal would: the first signal drains, a second one ends it at once."""
    for _ in range(1 if drains else 2):
        os.kill(os.getpid(), signal.SIGTERM)
