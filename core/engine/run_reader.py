"""What faces read to show one run. An engine is one such reader, of the present; `core.engine.past` is another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Purpose, Stream, TaskState
from core.model.views import AttemptInfo, Explanation, OutputPage, RunInfo, StepInfo, TaskInfo


class RunReader(Protocol):
    """What can be read of a run. The methods are those of `Engine`."""

    async def run(self, run: int) -> RunInfo:
        """See Engine.run."""
        ...

    async def steps(self, run: int) -> Sequence[StepInfo]:
        """See Engine.steps."""
        ...

    async def tasks(
        self,
        run: int,
        *,
        step: str = "",
        states: Sequence[TaskState] = (),
        after: int = -1,
        limit: int = 1000,
    ) -> Sequence[TaskInfo]:
        """See Engine.tasks."""
        ...

    async def task(self, run: int, task: TaskKey) -> TaskInfo:
        """See Engine.task."""
        ...

    async def attempts(self, run: int, task: TaskKey) -> Sequence[AttemptInfo]:
        """See Engine.attempts."""
        ...

    async def output(
        self,
        run: int,
        task: TaskKey,
        *,
        purpose: Purpose | None = None,
        attempt: int | None = None,
        stream: Stream | None = None,
        tail_bytes: int | None = None,
        after: int = 0,
    ) -> OutputPage:
        """See Engine.output."""
        ...

    async def acts(self, run: int, *, limit: int = 200) -> Sequence[Event]:
        """See Engine.acts."""
        ...

    async def explain(self, run: int, task: TaskKey) -> Explanation:
        """See Engine.explain."""
        ...
