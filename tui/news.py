"""The newest events that are worth a glance, as the dashboard shows them; each event of the log is read once.

A long log is looked through backwards, as far as `PAGES` of it; what a busy run writes faster than it can be read is
left to the list of events.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.engine.api import Engine
from core.model import events as kinds
from core.model.actors import ENGINE
from core.model.events import Event
from core.model.states import FAILING, RunState, TaskState, UndoState
from core.model.views import WorkspaceInfo

PAGE = 500
PAGES = 4
KEPT = 40
"""How many are kept: more than any tile shows."""
ALWAYS = frozenset(
    {
        kinds.RUN_CREATED,
        kinds.RUN_ASKED,
        kinds.RUN_CONTROL,
        kinds.RUN_SECRETS,
        kinds.SERVER_NOTE,
        kinds.ENGINE_OPENED,
        kinds.ENGINE_TAKEN_OVER,
        kinds.WEBHOOK_GIVEN_UP,
        kinds.WEBHOOK_REPLAY,
        kinds.WORKSPACE_ADOPTED,
    }
)
TROUBLE = {
    kinds.TASK_STATE: {state.value for state in (*FAILING, TaskState.IN_DOUBT)},
    kinds.TASK_UNDO: {UndoState.FAILED.value, UndoState.IN_DOUBT.value},
}
EVERY_DAY = frozenset({RunState.RUNNING.value, RunState.ROLLING_BACK.value})
"""States that a run comes to because somebody asked for it, which is told already."""


def worth_a_glance(event: Event) -> bool:
    """What persons and the engine did, how runs went on, and what went wrong; not each task that went well."""
    if event.type in ALWAYS or event.data.get("decision"):
        return True
    to = str(event.data.get("to", ""))
    if event.type == kinds.RUN_STATE:
        return to not in EVERY_DAY or event.actor != ENGINE
    return to in TROUBLE.get(event.type, ())


class News:
    """Follows the log of one workspace: `events` are newest first."""

    def __init__(self) -> None:
        self.events: Sequence[Event] = ()
        self._incarnation = ""
        self._newest = 0

    async def read(self, engine: Engine, now: WorkspaceInfo) -> None:
        """Reads what is new, as of `now`. Raises WindlassError."""
        if now.incarnation != self._incarnation:
            self.events, self._incarnation = (), now.incarnation
            await self._look_back(engine, now.last_seq)
            self._newest = now.last_seq
            return
        self._newest = max(self._newest, now.last_seq - PAGES * PAGE)
        while self._newest < now.last_seq:
            page = await engine.events(self._newest, limit=PAGE)
            if not page:
                return
            self._newest = page[-1].seq
            self.events = [*_glances(page), *self.events][:KEPT]

    async def _look_back(self, engine: Engine, last: int) -> None:
        for _ in range(PAGES):
            if last <= 0 or len(self.events) >= KEPT:
                return
            begin = max(0, last - PAGE)
            page = await engine.events(begin, limit=last - begin)
            older = _glances([event for event in page if event.seq <= last])
            self.events = [*self.events, *older][:KEPT]
            last = begin


def _glances(page: Sequence[Event]) -> list[Event]:
    return [event for event in reversed(page) if worth_a_glance(event)]
