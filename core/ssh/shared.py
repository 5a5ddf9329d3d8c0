"""One attempt that several ask for at once: it runs once, and ends when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """A task with any number of waiters. A waiter that is cancelled leaves; the last one takes the task along."""

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._task = asyncio.ensure_future(work)
        self._task.add_done_callback(_look)
        self._waiters = 0

    @property
    def done(self) -> bool:
        """Whether the attempt has ended, well or not."""
        return self._task.done()

    @property
    def value(self) -> T | None:
        """The result where there is one yet."""
        if self._task.done() and not self._task.cancelled() and self._task.exception() is None:
            return self._task.result()
        return None

    async def wait(self) -> T:
        """The attempt's result or error."""
        self._waiters += 1
        try:
            return await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._waiters == 1:
                self._task.cancel()
            raise
        finally:
            self._waiters -= 1

    async def cancel(self) -> None:
        """Ends the attempt; never raises."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


def _look(task: asyncio.Task[Any]) -> None:
    """Takes note of the error of an attempt that nobody waits for, so that it is not reported as lost."""
    if not task.cancelled():
        task.exception()
