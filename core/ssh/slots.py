"""How many sessions may be open at once on one connection (MaxSessions), as far as it is known.

Waiters are served in order. The limit starts as an assumption and is lowered when the server refuses.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """Counts sessions against a limit. Every `take` that returns is matched by one `free`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._failure: BaseException | None = None

    @property
    def full(self) -> bool:
        """Whether whoever asks now would have to wait."""
        return self.used >= self.limit or bool(self._waiting)

    @property
    def wanted(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    async def take(self, wait_s: float) -> None:
        """Waits for a free slot. Raises TimeoutError after `wait_s` seconds, or what `fail` was given."""
        if self._failure is not None:
            raise self._failure
        if self.used < self.limit and not self._waiting:
            self.used += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(wait_s):
                await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.free()
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def free(self) -> None:
        """Gives a slot back."""
        self.used -= 1
        self._wake()

    def lower(self, limit: int) -> None:
        """Remembers that the server allows no more than `limit`."""
        self.limit = max(1, min(self.limit, limit))

    def fail(self, error: BaseException) -> None:
        """Nobody gets a slot any more: every waiter raises `error`."""
        self._failure = error
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def _wake(self) -> None:
        while self._waiting and self.used < self.limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.used += 1
                waiter.set_result(None)
