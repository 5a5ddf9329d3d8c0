"""From the log to whoever follows it: bounded queues that the engine never waits for.

The bus is only a faster way to what the log already holds. A subscriber that does not keep up loses
its queue, is told so, and reads the log from its own last sequence number.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from core.model.events import Event

QUEUE_EVENTS = 4096


class Lagged(Exception):
    """The subscriber was too slow: its queue was dropped, and it must read the log again."""


class BusClosed(Exception):
    """The engine has ended; no event will follow."""


class Subscription:
    """One follower's queue. Used as a context manager so that it is always taken off the bus."""

    def __init__(self, bus: Bus, bound: int) -> None:
        self._bus = bus
        self._bound = bound
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._lagged = False
        self._closed = False

    def __enter__(self) -> Subscription:
        self._bus.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._bus.remove(self)

    def offer(self, events: Sequence[Event]) -> None:
        """Takes events without waiting; a full queue is dropped whole."""
        if not self._lagged:
            if len(self._events) + len(events) > self._bound:
                self._events.clear()
                self._lagged = True
            else:
                self._events.extend(events)
        self._arrived.set()

    def end(self) -> None:
        """Says that nothing follows; what is queued can still be read."""
        self._closed = True
        self._arrived.set()

    async def next_batch(self) -> list[Event]:
        """Everything queued, waiting for at least one event. Raises Lagged or BusClosed."""
        while True:
            if self._lagged:
                self._lagged = False
                raise Lagged
            if self._events:
                batch = list(self._events)
                self._events.clear()
                return batch
            if self._closed:
                raise BusClosed
            self._arrived.clear()
            await self._arrived.wait()


class Bus:
    """Hands committed events to every subscription, in order."""

    def __init__(self) -> None:
        self._subscriptions: list[Subscription] = []
        self._closed = False

    def subscribe(self, bound: int = QUEUE_EVENTS) -> Subscription:
        """A new queue; it receives what is published while it is entered."""
        return Subscription(self, bound)

    def add(self, subscription: Subscription) -> None:
        """Starts handing events to a subscription."""
        self._subscriptions.append(subscription)
        if self._closed:
            subscription.end()

    def remove(self, subscription: Subscription) -> None:
        """Stops handing events to a subscription."""
        self._subscriptions.remove(subscription)

    def publish(self, events: Sequence[Event]) -> None:
        """Hands durable events on; never waits, never fails."""
        for subscription in self._subscriptions:
            subscription.offer(events)

    def close(self) -> None:
        """Ends every subscription after what it has queued."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.end()
