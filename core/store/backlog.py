"""How much output waits to be written: the brake between servers that print and a disk that keeps up or not.

A command may print faster than its output can be stored. What has been handed over and is not durable yet is
counted here; above `high_bytes` there is no room, and whoever reads from a server stops until `low_bytes`
are reached. So memory is bounded whatever is printed: the rest waits on the server, in its pipes.

Invariants: every byte that was added is taken off once, when its transaction ended, well or not; whoever waits
is woken then, so nobody waits for a store that takes nothing more. For the event loop's thread only.
"""

from __future__ import annotations

import asyncio

HIGH_BYTES = 8 * 1024 * 1024
LOW_BYTES = 4 * 1024 * 1024


class Backlog:
    """Counts output on its way to the disk."""

    def __init__(self, *, high_bytes: int = HIGH_BYTES, low_bytes: int = LOW_BYTES) -> None:
        self.bytes = 0
        self._high_bytes = high_bytes
        self._low_bytes = low_bytes
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, size: int, written: asyncio.Future[None]) -> None:
        """`size` bytes were handed over; `written` is done when they are stored or lost."""
        self.bytes += size
        written.add_done_callback(lambda _: self._take_off(size))

    def room(self) -> asyncio.Future[None] | None:
        """None where there is room. Else a future of the caller's own that is done when there is again."""
        if self.bytes <= self._high_bytes:
            return None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def _take_off(self, size: int) -> None:
        self.bytes -= size
        if self.bytes > self._low_bytes:
            return
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
