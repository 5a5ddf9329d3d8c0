"""The bridge over a log that is replaced under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

from core.errors import CursorGone
from core.model import events
from core.model.events import Event
from tui.bridge import Changes, EventBridge


class Restored:
    """An engine whose database is another incarnation than the follower's cursor says."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []

    async def workspace(self) -> SimpleNamespace:
        return SimpleNamespace(last_seq=7, incarnation="new")

    async def follow(self, after: int, *, incarnation: str = "") -> AsyncIterator[Event]:
        self.asked.append((after, incarnation))
        if incarnation != "new":
            raise CursorGone("gone")
        yield Event(8, events.RUN_STATE, 1, None, None, None, "engine", 0.0, {})


async def test_f56_after_a_restore_everything_counts_as_changed_and_it_goes_on() -> None:
    seen: list[Changes] = []
    engine = Restored()
    bridge = EventBridge(engine, seen.append, interval_s=0)  # type: ignore[arg-type]
    async with asyncio.timeout(60):
        assert await bridge.run(40, "old") == "the engine has ended"
    assert engine.asked == [(40, "old"), (7, "new")]
    assert any(changes.many and changes.servers for changes in seen)
    assert seen[-1].seq == 8
