"""The event loop's clock: uptime that also counts while the machine sleeps.

Python's loops go by CLOCK_MONOTONIC, which stands still during a suspend: a laptop that slept through the night
would give a command that hangs the whole of its timeout again. Wall time is worse, it jumps. So every timeout of
an engine (`call_later`, `asyncio.timeout`, keepalives of SSH) goes by CLOCK_BOOTTIME here. The kernel's own wait
does not count a suspend either; it is cut into pieces of a second, so that after waking nothing overdue waits
longer than that.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import time
from typing import Any

WAIT_AT_MOST_S = 1.0

BUSY_AT_MOST_S = 0.005
"""How long a loop may go on without a wait before it rests."""

REST_S = 0.0002
"""Long enough for a thread on another processor to take over."""


def uptime_s() -> float:
    """Seconds since some fixed moment, sleep included; never jumps with the wall clock."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    # On macOS this clock, unlike time.monotonic(), goes on during sleep.
    return time.clock_gettime(time.CLOCK_MONOTONIC)


class _Selector(selectors.DefaultSelector):
    """Waits for a second at most where the loop would wait for a timer, and lets other threads run.

    A thread that waits for the interpreter asks for it after 5 ms without a sign of life. A loop that never
    waits gives the interpreter back with every turn and takes it again before the other has woken up: each
    time the 5 ms begin anew, and the thread that commits to the database may get nowhere for minutes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._rested = time.monotonic()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            if time.monotonic() - self._rested > BUSY_AT_MOST_S:
                time.sleep(REST_S)
                self._rested = time.monotonic()
            found: list[Any] = super().select(0)
            return found
        found = super().select(timeout if timeout is None else min(timeout, WAIT_AT_MOST_S))
        self._rested = time.monotonic()
        return found


class UptimeLoop(asyncio.SelectorEventLoop):
    """The event loop that an engine runs in."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        """The loop's clock."""
        return uptime_s()
