"""Slow followers are told to read the log again; nobody waits for them."""

from __future__ import annotations

import pytest

from core.engine.bus import Bus, BusClosed, Lagged
from core.model.events import Event


def events(first: int, count: int) -> list[Event]:
    return [Event(seq, "x", None, None, None, None, "me", 0.0) for seq in range(first, first + count)]


async def test_a_subscriber_that_keeps_up_gets_every_event() -> None:
    bus = Bus()
    with bus.subscribe(bound=10) as subscription:
        bus.publish(events(1, 3))
        bus.publish(events(4, 2))
        assert [event.seq for event in await subscription.next_batch()] == [1, 2, 3, 4, 5]


async def test_a_slow_subscriber_loses_its_queue_and_is_told_once() -> None:
    bus = Bus()
    with bus.subscribe(bound=10) as slow, bus.subscribe(bound=100) as quick:
        for first in range(1, 31, 5):
            bus.publish(events(first, 5))
        with pytest.raises(Lagged):
            await slow.next_batch()
        bus.publish(events(31, 2))
        assert [event.seq for event in await slow.next_batch()] == [31, 32]
        assert len(await quick.next_batch()) == 32


async def test_the_end_comes_after_what_is_queued() -> None:
    bus = Bus()
    with bus.subscribe() as subscription:
        bus.publish(events(1, 1))
        bus.close()
        assert len(await subscription.next_batch()) == 1
        with pytest.raises(BusClosed):
            await subscription.next_batch()
