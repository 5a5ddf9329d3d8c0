"""Whoever counts or traces what happens, fed with events as they become durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from core.engine.api import Engine
from core.model.events import Event
from daemon.log import LOGGER


class Observer(Protocol):
    """Sees every event once, in order, from when the engine began."""

    async def event(self, event: Event) -> None:
        """One event. What it raises is logged, and it sees no more."""
        ...

    async def close(self) -> None:
        """Lets go of what it has open."""
        ...


@asynccontextmanager
async def observed(engine: Engine, observers: Sequence[Observer]) -> AsyncIterator[None]:
    """Lets observers see an engine's events as long as the context is open."""
    after = (await engine.workspace()).last_seq
    tasks = [asyncio.ensure_future(_feed(engine, after, observer)) for observer in observers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for observer in observers:
            await observer.close()


async def _feed(engine: Engine, after: int, observer: Observer) -> None:
    try:
        async for event in engine.follow(after):
            await observer.event(event)
    except Exception:
        LOGGER.exception("%s sees no more events", type(observer).__name__)
