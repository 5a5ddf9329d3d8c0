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


class Section:
    """A part of a task that another one may end: what is awaited in it is cancelled, the task goes on behind it.

    As `asyncio.timeout` does it, so that it costs no task of its own.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._left = False

    def __enter__(self) -> Section:
        self._task = asyncio.current_task()
        self._cancelling = self._task.cancelling() if self._task is not None else 0
        return self

    def leave(self) -> None:
        """Ends the section; harmless where it has ended."""
        if self._task is not None and not self._left:
            self._left = True
            self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> bool:
        task, self._task = self._task, None
        if not self._left or task is None:
            return False
        return task.uncancel() <= self._cancelling and kind is asyncio.CancelledError


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
    _opening: Section | None = None
    _ref: AttemptRef | None = None
    _following: Section | None = None
    _landed: asyncio.Event | None = None
    _stopping: asyncio.Task[None] | None = None

    async def open(self) -> ServerFacts:
        """A session with the server. Raises Unreachable, also as soon as the flight is cancelled: connecting
        may take long, and nothing has been handed over yet.
        """
        facts = self.executor.at_hand(self.server)
        if facts is not None:
            return facts
        with Section() as self._opening:
            return await self.executor.open(self.server)
        raise Unreachable("cancelled while it was being connected")

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
        return await self._await(ref, following, timeout_s)

    async def follow_again(self, ref: AttemptRef, following: Coroutine[Any, Any, Answer]) -> Answer | None:
        """Like `hand_over`, for an attempt that an earlier engine handed over: `found` starts its time."""
        self.stop_reason = self.stop_answer = None
        self.late_s = 0.0
        return await self._await(ref, following, None)

    def found(self, elapsed_s: float | None, timeout_s: float | None) -> None:
        """What is followed again runs, since `elapsed_s`: its time goes on, or is over already."""
        if self.cancelled:
            self.stop(StopReason.CANCEL)
        elif timeout_s is not None:
            left_s = timeout_s - (elapsed_s or 0.0)
            self.late_s = max(0.0, -left_s)
            self._alarm = self._call_stop(left_s)

    async def _await(
        self, ref: AttemptRef, following: Coroutine[Any, Any, Answer], timeout_s: float | None
    ) -> Answer | None:
        answer = None
        self._ref = ref
        if timeout_s is not None:
            self._alarm = self._call_stop(timeout_s)
        try:
            with Section() as self._following:
                answer = await following
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            self._ref = self._alarm = None
            if self._landed is not None:
                self._landed.set()
        if self._stopping is not None:
            await self._stopping
            self._stopping = self._landed = None
        return answer

    def stop(self, reason: StopReason) -> None:
        """Begins to end what is in flight; harmless where nothing is, or a stop is under way."""
        if self._ref is None or self._stopping is not None:
            return
        self.stop_reason = reason
        self._landed = asyncio.Event()
        self._stopping = asyncio.ensure_future(self._stop(self._ref))

    def cancel(self) -> None:
        """Stops what is in flight and wakes the flight from any pause; it will start nothing more."""
        self.cancelled = True
        if self._opening is not None:
            self._opening.leave()
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
        following, landed = self._following, self._landed
        self.stop_answer = await self.executor.stop(self.server, ref, STOP_GRACE_S)
        if landed is None or following is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_AFTER_STOP_S):
                await landed.wait()
        following.leave()


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
