"""What the replay says of an event, in a few words."""

from __future__ import annotations

from typing import Any

import pytest

from core.model import events
from core.model.events import Event
from tui.replay_text import happened


def event(type_: str, **data: Any) -> Event:
    return Event(7, type_, 1, "install", "db-2", 2, "ada@desk (pts/1; pid 7)", 0.0, data)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (event(events.TASK_STATE, to="in_doubt", why="lost"), "install@db-2 in doubt: lost"),
        (event(events.TASK_STATE, to="done"), "install@db-2 done"),
        (event(events.TASK_PHASE, phase="back_off", why="exit 1"), "install@db-2 back off: exit 1"),
        (event(events.TASK_INTENT, purpose="run"), "install@db-2 attempt 2 is handed over"),
        (event(events.TASK_INTENT, purpose="undo"), "install@db-2 undo 2 is handed over"),
        (event(events.TASK_ATTEMPT, state="failed", why="exit 9"), "install@db-2 attempt 2 failed: exit 9"),
        (event(events.TASK_OUTPUT, start=10, end=1434), "install@db-2 printed 1.4 kB"),
        (event(events.TASK_UNDO, to="undo_failed", why="exit 4"), "install@db-2 undo failed: exit 4"),
        (event(events.RUN_STATE, to="paused", why="held"), "the run is paused: held"),
        (event(events.RUN_ASKED, asked="pause", reason="lunch"), "ada@desk (pts/1) paused it: lunch"),
        (event(events.SERVER_NOTE, message="its key was pinned"), "its key was pinned"),
        (event("made.up.later"), "made.up.later"),
    ],
    ids=lambda value: value.type if isinstance(value, Event) else None,
)
def test_an_event_in_a_few_words(given: Event, told: str) -> None:
    assert happened(given) == told
