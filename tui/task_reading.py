"""Keeping the table of a step's tasks current: a few by name, a page whole, of many the rows on the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from core.engine.run_reader import RunReader
from core.model.ids import TaskKey
from core.model.states import FAILING
from core.model.views import RunInfo, TaskInfo
from tui.actions import count, is_executing
from tui.bridge import Changes
from tui.widgets.table import VirtualTable

PAGE = 1000
"""Tasks read in one go."""
NAMED_TASKS = 8
"""Up to so many changed tasks are read one by one, beyond that by page."""
FULL_READ_EVERY_S = 2.0
"""A step with more tasks than a page is read whole at most so often; the rows on the screen are always current."""


class TaskReading:
    """Reads the tasks of one step at a time. `step` is the one whose tasks stand in the table."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._read_at = 0.0
        self._stale = False
        self.step = ""

    @property
    def late(self) -> bool:
        """True where rows beside the screen are old, and may be read again by now."""
        return self._stale and time.monotonic() - self._read_at >= FULL_READ_EVERY_S

    async def all(self, source: RunReader, step: str) -> list[TaskInfo]:
        """Every task of a step, page by page."""
        found: list[TaskInfo] = []
        after = -1
        while True:
            page = await source.tasks(self._number, step=step, after=after, limit=PAGE)
            found += page
            if len(page) < PAGE:
                break
            after = page[-1].index
            await asyncio.sleep(0)
        self._read_at = time.monotonic()
        self._stale = False
        return found

    async def some(
        self, source: RunReader, step: str, changes: Changes, table: VirtualTable[TaskInfo]
    ) -> bool:
        """Reads what the changes name into the table; False where all of it is to be read instead."""
        if self.step != step or not table.items:
            return False
        named = {
            key.server
            for run, key in changes.tasks | changes.outputs
            if run == self._number and key.step == step
        }
        if not changes.many and len(named) <= NAMED_TASKS:
            for server in sorted(named):
                table.update_item(await source.task(self._number, TaskKey(step, server)))
            return True
        if len(table.items) <= PAGE:
            return False
        first, last = table.visible_range()
        if last > first:
            after = table.items[first].index - 1
            for task in await source.tasks(self._number, step=step, after=after, limit=last - first):
                table.update_item(task)
        self._stale = True
        return not self.late


async def failing_tasks(source: RunReader, run: RunInfo) -> Sequence[TaskInfo]:
    """What a retry would open again, at most a page of it; none while the run executes."""
    if is_executing(run) or not count(run, *FAILING):
        return ()
    return await source.tasks(run.number, states=tuple(FAILING), limit=PAGE)
