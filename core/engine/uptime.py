"""Time that goes on while the machine sleeps and never jumps when its clock is set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOOK_EVERY_S = 5.0


def now_s() -> float:
    """Seconds since this machine started, sleep included where the system can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock) if clock is not None else time.monotonic()


class Alarm:
    """Calls back once, `seconds` from now by `now_s`; the event loop's own clock stands still in a sleep."""

    def __init__(self, seconds: float, callback: Callable[[], None]) -> None:
        self._ends_at = now_s() + seconds
        self._callback = callback
        self._handle: asyncio.Handle | None = None
        self._look()

    def cancel(self) -> None:
        """It will not call any more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        left_s = self._ends_at - now_s()
        loop = asyncio.get_running_loop()
        if left_s <= 0:
            self._handle = loop.call_soon(self._callback)
        else:
            self._handle = loop.call_later(min(left_s, LOOK_EVERY_S), self._look)
