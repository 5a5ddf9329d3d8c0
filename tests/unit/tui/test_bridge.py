"""The bridge over a log that is replaced under it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

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


class Steady:
    """An engine whose events come one by one, each when it is asked for by `more`."""

    def __init__(self) -> None:
        self.more = asyncio.Event()

    async def follow(self, after: int, *, incarnation: str = "") -> AsyncIterator[Event]:
        for seq in range(1, 100):
            await self.more.wait()
            self.more.clear()
            yield Event(seq, events.RUN_STATE, 1, None, None, None, "engine", 0.0, {})


async def test_messages_come_less_often_once_events_come_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine, waits = Steady(), []
    sleeps: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def sleep(seconds_s: float) -> None:
        waits.append(seconds_s)
        woken = asyncio.Event()
        sleeps.put_nowait(woken)
        await woken.wait()

    async def another(*, before_it_wakes: bool) -> None:
        """The next event comes while the bridge rests, or only when it has nothing left to do."""
        woken = await sleeps.get()
        if not before_it_wakes:
            woken.set()
            await turns()
        engine.more.set()
        await turns()
        woken.set()

    async def turns() -> None:
        for _ in range(10):
            await real_sleep(0)

    real_sleep = asyncio.sleep
    monkeypatch.setattr("tui.bridge.asyncio.sleep", sleep)
    bridge = EventBridge(engine, lambda changes: None, interval_s=0.1)  # type: ignore[arg-type]
    following = asyncio.ensure_future(bridge.run(0))
    engine.more.set()
    async with asyncio.timeout(60):
        for _ in range(6):
            await another(before_it_wakes=True)
        await another(before_it_wakes=False)
        await sleeps.get()
    following.cancel()
    assert waits == pytest.approx([0.1, 0.1, 0.1, 0.3, 0.3, 0.3, 0.3, 0.1])
