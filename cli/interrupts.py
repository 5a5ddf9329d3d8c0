"""Ctrl-C, SIGTERM and SIGHUP while a run is followed: the first asks, the second insists.

The first sets `first`; the second sets `second`, and cancels the work where nobody has taken the first into
account yet (`heeded`). Without this block Python's own handling holds.
"""

from __future__ import annotations

import asyncio
import signal
from types import TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Signal handling for the time of a `with` block inside a running loop."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.name = ""
        self.heeded = False
        self._main: asyncio.Task[object] | None = None
        self._taken: list[signal.Signals] = []

    def __enter__(self) -> Interrupts:
        self._main = asyncio.current_task()
        loop = asyncio.get_running_loop()
        # One that was ignored from the start (nohup, a background job of a script) stays ignored.
        self._taken = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._taken:
            loop.add_signal_handler(number, self._arrived, number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        for number in self._taken:
            loop.remove_signal_handler(number)

    def _arrived(self, number: signal.Signals) -> None:
        self.name = "Ctrl-C" if number is signal.SIGINT else number.name
        if not self.first.is_set():
            self.first.set()
            return
        self.second.set()
        if not self.heeded and self._main is not None:
            self._main.cancel()
