"""Whether servers answer: each is asked for its host key, which neither logs in nor trusts anything.

At most `AT_ONCE` are asked at a time; what they answered is kept as long as the screen, with when it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from core.errors import ServersUnreachable, WindlassError
from themes.signs import Sign
from tui import words
from tui.look import Look
from tui.paint import Span

AT_ONCE = 16
ANSWERS = Sign("✓", "+", "answers", "success")
SILENT = Sign("⌁", "~", "no answer", "error")
ASKED = Sign("○", ".", "asked", "muted")


@dataclass(frozen=True, slots=True)
class Reached:
    """What is known: `sign` None means never asked; `took_s` how long the answer took; `why` there was none."""

    sign: Sign | None = None
    took_s: float = 0.0
    at: float = 0.0
    why: str = ""

    @property
    def order(self) -> tuple[int, float]:
        """Silent ones first, then the slowest, then those that were never asked."""
        rank = {SILENT: 0, ANSWERS: 1, ASKED: 2, None: 3}[self.sign]
        return rank, -self.took_s

    def span(self, look: Look) -> Span:
        """As a cell: "✓ 12ms"."""
        if self.sign is None:
            return "", ""
        if self.sign is ANSWERS:
            return f"{look.mark(ANSWERS)} {words.milliseconds(self.took_s)}", "success"
        return look.signed(self.sign)

    def sentence(self, now: float) -> str:
        """As a line of what is known of one server."""
        if self.sign is None:
            return "not asked yet"
        if self.sign is ASKED:
            return "asked, no answer yet"
        when = words.ago(self.at, now)
        if self.sign is ANSWERS:
            return f"answered after {words.milliseconds(self.took_s)}, {when}"
        return f"{self.why}, {when}"


NEVER = Reached()


class Reaching:
    """Asks servers, and keeps what they answered. `ask` returns how many seconds an answer took; `changed` is called
    with the name after each one.
    """

    def __init__(
        self,
        ask: Callable[[str], Awaitable[float]],
        clock: Callable[[], float],
        changed: Callable[[str], None],
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._changed = changed
        self._known: dict[str, Reached] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def of(self, server: str) -> Reached:
        """What is known of one server."""
        return self._known.get(server, NEVER)

    @property
    def open(self) -> int:
        """How many were asked and have not answered."""
        return sum(reached.sign is ASKED for reached in self._known.values())

    async def ask(self, servers: Iterable[str]) -> None:
        """Asks servers; returns once each has answered or was given up. Those that are being asked are left out.

        Whoever has not answered when this is stopped is known as before. Raises WindlassError where nobody can be
        asked.
        """
        before = {name: self.of(name) for name in servers if self.of(name).sign is not ASKED}
        for name in before:
            self._note(name, Reached(ASKED))
        waiting = iter(before)
        trouble: WindlassError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, len(before))):
                    group.create_task(self._each(waiting))
        except* WindlassError as errors:
            (trouble, *_) = _leaves(errors)
        finally:
            for name, was in before.items():
                if self.of(name).sign is ASKED:
                    self._note(name, was)
        if trouble is not None:
            raise trouble

    async def _each(self, waiting: Iterable[str]) -> None:
        for name in waiting:
            async with self._turns:
                began = time.monotonic()
                try:
                    took_s = await self._ask(name)
                except ServersUnreachable as error:
                    why = error.message.removeprefix(f"{name} cannot be reached: ")
                    self._note(name, Reached(SILENT, time.monotonic() - began, self._clock(), why))
                else:
                    self._note(name, Reached(ANSWERS, took_s, self._clock()))

    def _note(self, name: str, reached: Reached) -> None:
        if reached is NEVER:
            self._known.pop(name, None)
        else:
            self._known[name] = reached
        self._changed(name)


def _leaves(errors: BaseExceptionGroup[WindlassError]) -> Iterator[WindlassError]:
    for error in errors.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
