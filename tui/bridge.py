"""The bridge from the engine's events to the screens: many events, one small frozen message about every 100 ms, and
every 300 ms once they come without a pause.

A message says what changed, not what it changed to: screens read that from the engine. Invariants: the set of
changes that waits is bounded whatever the rate; a screen that is slow merges messages and misses nothing; the
follower never runs so long that the interface can't draw.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from textual.message import Message

from core.engine.api import Engine
from core.errors import CursorGone, WindlassError
from core.model import events as kinds
from core.model.events import Event
from core.model.ids import TaskKey

INTERVAL_S = 0.1
STEADY_AFTER = 4
"""After so many messages one right after the other the next ones come less often: nobody reads faster."""
STEADY_TIMES = 3.0
MAX_NAMED_TASKS = 512
"""Beyond so many changed tasks they are no longer named: a screen reads its tasks again."""

_EVENTS_IN_ONE_GO = 200


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since the last message. `many` means: more tasks than are named."""

    runs: frozenset[int] = frozenset()
    tasks: frozenset[tuple[int, TaskKey]] = frozenset()
    outputs: frozenset[tuple[int, TaskKey]] = frozenset()
    many: bool = False
    servers: bool = False
    seq: int = 0

    def __bool__(self) -> bool:
        return bool(self.runs or self.tasks or self.outputs or self.many or self.servers)

    def merged(self, later: Changes) -> Changes:
        """Both together, bounded."""
        tasks = self.tasks | later.tasks
        outputs = self.outputs | later.outputs
        many = self.many or later.many or len(tasks) > MAX_NAMED_TASKS or len(outputs) > MAX_NAMED_TASKS
        return Changes(
            runs=self.runs | later.runs,
            tasks=frozenset() if many else tasks,
            outputs=frozenset() if many else outputs,
            many=many,
            servers=self.servers or later.servers,
            seq=max(self.seq, later.seq),
        )

    def touches(self, run: int) -> bool:
        """True where the run, or a task of it, changed."""
        return run in self.runs or self.many


EVERYTHING = Changes(many=True, servers=True)


@dataclass
class EngineChanged(Message):
    """Something changed; posted to every screen that shows live things."""

    changes: Changes


class EventBridge:
    """Follows the engine's log and hands on `Changes`, at most one for each interval."""

    def __init__(
        self, engine: Engine, deliver: Callable[[Changes], None], *, interval_s: float = INTERVAL_S
    ) -> None:
        self._engine = engine
        self._deliver = deliver
        self.interval_s = interval_s
        """How long one message waits for the next, at least."""
        self.steady_s = interval_s * STEADY_TIMES
        """As long where they come all the time."""
        self._dirty = asyncio.Event()
        self._runs: set[int] = set()
        self._tasks: set[tuple[int, TaskKey]] = set()
        self._outputs: set[tuple[int, TaskKey]] = set()
        self._many = False
        self._servers = False
        self._seq = 0

    async def run(self, after: int, incarnation: str = "") -> str:
        """Follows until the engine ends; returns why it ended, in words. Cancel it to stop.

        Where a restore has made the position meaningless, everything counts as changed and it goes on from there.
        """
        flusher = asyncio.create_task(self._flush())
        try:
            while True:
                try:
                    await self._follow(after, incarnation)
                    return "the engine has ended"
                except CursorGone:
                    now = await self._engine.workspace()
                    after, incarnation = now.last_seq, now.incarnation
                    self._many = self._servers = True
                    self._dirty.set()
        except WindlassError as error:
            return error.message
        finally:
            flusher.cancel()
            await asyncio.gather(flusher, return_exceptions=True)
            self._deliver_now()

    async def _follow(self, after: int, incarnation: str) -> None:
        count = 0
        async for event in self._engine.follow(after, incarnation=incarnation):
            self._note(event)
            count += 1
            if count % _EVENTS_IN_ONE_GO == 0:
                await asyncio.sleep(0)

    def _note(self, event: Event) -> None:
        self._seq = event.seq
        if event.run is not None:
            self._runs.add(event.run)
        if event.type in {kinds.SERVER_NOTE, kinds.ENGINE_OPENED, kinds.RUN_STATE, kinds.RUN_CREATED}:
            self._servers = True
        if event.run is not None and event.step is not None and event.server is not None:
            where = self._outputs if event.type == kinds.TASK_OUTPUT else self._tasks
            if len(where) < MAX_NAMED_TASKS:
                where.add((event.run, TaskKey(event.step, event.server)))
            else:
                self._many = True
        self._dirty.set()

    async def _flush(self) -> None:
        in_a_row = 0
        while True:
            in_a_row = in_a_row + 1 if self._dirty.is_set() else 0
            await self._dirty.wait()
            self._deliver_now()
            steady = in_a_row >= STEADY_AFTER
            await asyncio.sleep(self.steady_s if steady else self.interval_s)

    def _deliver_now(self) -> None:
        self._dirty.clear()
        changes = Changes(
            runs=frozenset(self._runs),
            tasks=frozenset() if self._many else frozenset(self._tasks),
            outputs=frozenset() if self._many else frozenset(self._outputs),
            many=self._many,
            servers=self._servers,
            seq=self._seq,
        )
        self._runs, self._tasks, self._outputs = set(), set(), set()
        self._many = self._servers = False
        if changes:
            self._deliver(changes)
