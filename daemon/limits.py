"""How much one caller may ask: a bucket of requests for each token, and of failures for each address.

A good token is never held up by the failures of others at its address.

Who comes in over the Unix socket has the account that owns the workspace and is not held up.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

RATE = 100.0
BURST = 500.0
FAILURES_RATE = 0.2
FAILURES_BURST = 20.0
KEPT = 10_000


class Buckets:
    """Buckets that fill at `rate` a second up to `burst`, by key; the longest unused ones are forgotten."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Takes one of the bucket; returns 0, or where it is empty after how many seconds it is not."""
        now = self._clock()
        left, at = self._left.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._rate
        self._left[key] = (left if wait_s else left - 1, now)
        if len(self._left) > KEPT:
            self._left.popitem(last=False)
        return wait_s


class Limits:
    """The buckets of one engine."""

    def __init__(self) -> None:
        self.requests = Buckets(RATE, BURST)
        self.failures = Buckets(FAILURES_RATE, FAILURES_BURST)
