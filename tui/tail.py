"""Feeds an output pane from the engine or the past: the tail of a task first, then what comes after it."""

from __future__ import annotations

from core.engine.run_reader import RunReader
from core.model.ids import TaskKey
from core.model.states import TaskState
from core.model.views import TaskInfo
from tui.paint import Spans
from tui.widgets.output import OutputPane

TAIL_BYTES = 64 * 1024
MAX_PAGES_IN_ONE_GO = 32
"""A task that prints without end must not keep the screen from drawing."""


class Tail:
    """Which task a pane shows, and how far. Not for two callers at once: the screen that owns it is one."""

    def __init__(self, source: RunReader, pane: OutputPane, *, tail_bytes: int = TAIL_BYTES) -> None:
        self._source = source
        self._pane = pane
        self._tail_bytes = tail_bytes
        self._shown: tuple[int, TaskKey] | None = None
        self._cursor = 0

    async def show(self, run: int, task: TaskInfo) -> None:
        """Shows a task's output, or what came since. Raises WindlassError."""
        if self._shown != (run, task.key):
            page = await self._source.output(run, task.key, tail_bytes=self._tail_bytes)
            self._shown = (run, task.key)
            self._pane.clear(why_empty(task))
            self._pane.set_follow(True)
        else:
            page = await self._source.output(run, task.key, after=self._cursor)
        self._pane.set_empty(why_empty(task))
        for _ in range(MAX_PAGES_IN_ONE_GO):
            self._pane.add(page.chunks, page.summaries)
            self._cursor = max(self._cursor, page.cursor)
            if not page.more or not page.chunks:
                break
            page = await self._source.output(run, task.key, after=self._cursor)


def why_empty(task: TaskInfo) -> list[Spans]:
    """What stands in the pane while a task has printed nothing."""
    match task.state:
        case TaskState.WAITING:
            told = "It has not started: its output will appear here."
        case TaskState.RUNNING:
            told = "It runs and has printed nothing yet."
        case TaskState.BLOCKED | TaskState.SKIPPED | TaskState.UNREACHABLE:
            told = "It never ran: there is no output."
        case _:
            told = "It printed nothing."
    return [[(told, "muted")]]
