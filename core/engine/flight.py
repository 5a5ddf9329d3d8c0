"""A task in flight: what can be interrupted, and how what it started is stopped.

A stop is asked once, with its reason. The executor's `start` normally returns by itself when the
process group is gone; where it does not, the flight's coroutine is cancelled and the stop's own answer
says what is certain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from core.engine.executor import (
    Answer,
    Executor,
    NotStarted,
    ServerFacts,
    StopAnswer,
    Stopped,
    StopUnconfirmed,
    Unreachable,
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
    """One task in flight on one server.

    `in_vain` counts attempts that never started; `handed` are the attempts whose records may go once the
    task's end is durable; `late_s` is how long a timeout was overdue when it could be acted on.
    """

    task: int
    server: Server
    executor: Executor
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    stop_reason: StopReason | None = None
    stop_answer: StopAnswer | None = None
    cancelled: bool = False
    late_s: float = 0.0
    in_vain: int = 0
    handed: list[AttemptRef] = field(default_factory=list)
    _alarm: asyncio.TimerHandle | None = None
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
        self, ref: AttemptRef, following: Coroutine[Any, Any, Answer], timeout_s: float | None
    ) -> Answer | None:
        """Awaits `following`, which runs an attempt to its end; stops it after `timeout_s`.

        None where it was stopped and its end was not told by the executor. Afterwards `stop_reason` and
        `stop_answer` say whether and how it was stopped.
        """
        self.stop_reason = self.stop_answer = None
        self.late_s = 0.0
        if self.cancelled:
            following.close()
            return NotStarted("cancelled before it was handed over")
        return await self._await(ref, asyncio.ensure_future(following), timeout_s)

    async def follow_again(self, ref: AttemptRef, following: Coroutine[Any, Any, Answer]) -> Answer | None:
        """Like `hand_over`, for an attempt that an earlier engine handed over: `found` starts its time."""
        self.stop_reason = self.stop_answer = None
        self.late_s = 0.0
        return await self._await(ref, asyncio.ensure_future(following), None)

    def found(self, elapsed_s: float | None, timeout_s: float | None) -> None:
        """What is followed again runs, since `elapsed_s`: its time goes on, or is over already."""
        if self.cancelled:
            self.stop(StopReason.CANCEL)
        elif timeout_s is not None:
            left_s = timeout_s - (elapsed_s or 0.0)
            self.late_s = max(0.0, -left_s)
            self._alarm = self._call_stop(left_s)

    async def _await(
        self, ref: AttemptRef, following: asyncio.Task[Answer], timeout_s: float | None
    ) -> Answer | None:
        self._ref, self._following = ref, following
        if timeout_s is not None:
            self._alarm = self._call_stop(timeout_s)
        try:
            answer = await following
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if self.stop_answer is None or (current is not None and current.cancelling()):
                following.cancel()
                raise
            answer = None
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            self._ref = self._following = self._alarm = None
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

    def _call_stop(self, after_s: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(0.0, after_s), self.stop, StopReason.TIMEOUT)

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
