"""A task in flight: what can be interrupted, and how what it started is stopped.

A stop is asked once, with its reason. The executor's `start` normally returns by itself when the
process group is gone; where it does not, the flight's coroutine is cancelled and the stop's own answer
says what is certain.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from enum import StrEnum

from core.engine.executor import (
    Answer,
    Executor,
    NotStarted,
    OutputSink,
    ServerFacts,
    StopAnswer,
    Stopped,
    StopUnconfirmed,
    Unreachable,
    Work,
)
from core.model.ids import AttemptRef
from providers.base import Server

STOP_GRACE_S = 5.0
FOLLOW_AFTER_STOP_S = 3.0


class StopReason(StrEnum):
    """Why we stopped something."""

    TIMEOUT = "timed out"
    CANCEL = "stopped by us"


class Interrupted(Exception):
    """A pause in the flight (back-off, waiting) was cut short."""


@dataclass(slots=True)
class Flight:
    """One task in flight on one server."""

    task: int
    server: Server
    executor: Executor
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    stop_reason: StopReason | None = None
    stop_answer: StopAnswer | None = None
    cancelled: bool = False
    _opening: asyncio.Task[ServerFacts] | None = None
    _ref: AttemptRef | None = None
    _following: asyncio.Task[Answer] | None = None
    _stopping: asyncio.Task[None] | None = None

    async def open(self) -> ServerFacts:
        """A session with the server. Raises Unreachable, also as soon as the flight is cancelled: connecting
        may take long, and nothing has been handed over yet.
        """
        opening = self._opening = asyncio.ensure_future(self.executor.open(self.server))
        try:
            return await opening
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if not self.cancelled or (current is not None and current.cancelling()):
                opening.cancel()
                raise
            raise Unreachable("cancelled while it was being connected") from None
        finally:
            self._opening = None

    async def hand_over(
        self, ref: AttemptRef, work: Work, sink: OutputSink, timeout_s: float | None
    ) -> Answer | None:
        """Runs work to its end. None where it was stopped and its end was not told by the executor.

        Afterwards `stop_reason` and `stop_answer` say whether and how it was stopped.
        """
        self.stop_reason = self.stop_answer = None
        if self.cancelled:
            return NotStarted("cancelled before it was handed over")
        self._ref = ref
        following = asyncio.ensure_future(self.executor.start(self.server, ref, work, sink))
        self._following = following
        timer = None
        if timeout_s is not None:
            timer = asyncio.get_running_loop().call_later(timeout_s, self.stop, StopReason.TIMEOUT)
        try:
            answer = await following
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self.stop_answer is None or (current is not None and current.cancelling()):
                following.cancel()
                raise
            answer = None
        finally:
            if timer is not None:
                timer.cancel()
            self._ref = self._following = None
        if self._stopping is not None:
            await self._stopping
            self._stopping = None
        return answer

    def stop(self, reason: StopReason) -> None:
        """Begins to end what is in flight; harmless where nothing is, or a stop is under way."""
        if self._ref is None or self._stopping is not None:
            return
        self.stop_reason = reason
        self._stopping = asyncio.ensure_future(self._stop(self._ref))

    def cancel(self) -> None:
        """Stops what is in flight and wakes the flight from any pause; it will start nothing more."""
        self.cancelled = True
        if self._opening is not None:
            self._opening.cancel()
        self.stop(StopReason.CANCEL)
        self.interrupted.set()

    def interrupt(self) -> None:
        """Wakes the flight from a pause between attempts; what runs goes on."""
        self.interrupted.set()

    async def pause(self, seconds: float) -> None:
        """Waits between attempts. Raises Interrupted when woken early."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.interrupted.wait()
        if self.interrupted.is_set():
            raise Interrupted

    async def _stop(self, ref: AttemptRef) -> None:
        following = self._following
        self.stop_answer = await self.executor.stop(self.server, ref, STOP_GRACE_S)
        if following is not None and not following.done():
            await asyncio.wait([following], timeout=FOLLOW_AFTER_STOP_S)
            following.cancel()


def stop_words(answer: StopAnswer | None) -> str:
    """How a stop went, for a person."""
    match answer:
        case Stopped(evidence):
            return f"confirmed: {evidence}" if evidence else "confirmed"
        case StopUnconfirmed(evidence, pids):
            left = f", processes left: {', '.join(map(str, pids))}" if pids else ""
            return f"unconfirmed: {evidence}{left}"
        case None:
            return "not needed"
