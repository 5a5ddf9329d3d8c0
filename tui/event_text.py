"""Events as people read them: one line each, and what else they carry. Pure: an event and a `Look` in, spans out."""

from __future__ import annotations

import json

from core.model import events as kinds
from core.model.actors import ENGINE, place
from core.model.acts import act
from core.model.events import Event
from core.model.states import RunState, TaskState, UndoState
from themes.signs import RUN_SIGNS, TASK_SIGNS, UNDO_SIGNS, Sign
from tui import words
from tui.look import Look
from tui.paint import Spans

QUIET = frozenset({kinds.TASK_OUTPUT, kinds.TASK_PHASE, kinds.TASK_INTENT})
"""Types that come by the thousand, and that a list of what happened goes without."""


def sign_of(event: Event) -> Sign | None:
    """The sign of the state that an event tells of."""
    to = str(event.data.get("to", ""))
    try:
        if event.type == kinds.TASK_STATE:
            return TASK_SIGNS[TaskState(to)]
        if event.type == kinds.TASK_UNDO:
            return UNDO_SIGNS.get(UndoState(to))
        if event.type == kinds.RUN_STATE:
            return RUN_SIGNS[RunState(to)]
    except (ValueError, KeyError):  # of a later version
        return None
    return None


def subject(event: Event) -> str:
    """What an event is about: "run 41", "install@web-3", "web-3", ""."""
    if event.step is not None and event.server is not None:
        return f"{event.step}@{event.server}"
    if event.server is not None:
        return event.server
    return ""


def said(event: Event) -> str:
    """What happened, in words."""
    data = event.data
    if event.actor != ENGINE and (done := act(event)):
        return f"{place(event.actor)} {done}"
    sign = sign_of(event)
    if sign is not None:
        why = str(data.get("why", ""))
        return f"{sign.word}: {why}" if why else sign.word
    match event.type:
        case kinds.TASK_OUTPUT:
            return f"printed {data.get('stream', '')} up to byte {data.get('end', '')}"
        case kinds.TASK_PHASE:
            return str(data.get("phase", "")).replace("_", " ")
        case kinds.TASK_INTENT:
            return f"attempt {event.attempt} is about to be handed over"
        case kinds.TASK_ATTEMPT:
            return f"attempt {event.attempt}: {data.get('why', '')}"
        case kinds.SERVER_NOTE:
            return str(data.get("message", ""))
        case kinds.ENGINE_OPENED:
            left = data.get("interrupted") or ()
            runs = f"; interrupted: {', '.join(f'run {number}' for number in left)}" if left else ""
            return f"{place(event.actor)} opened an engine{runs}"
        case kinds.ENGINE_TAKEN_OVER:
            return f"{place(event.actor)} killed the engine of pid {data.get('pid')}"
        case kinds.WORKSPACE_ADOPTED:
            return str(data.get("message", ""))
        case kinds.WEBHOOK_GIVEN_UP:
            return f"{data.get('outlet')} could not be told event {data.get('seq')}: {data.get('why', '')}"
        case kinds.WEBHOOK_REPLAY:
            return f"{place(event.actor)} asked to tell {data.get('outlet')} again"
        case _:
            return event.type


def event_row(event: Event, look: Look) -> list[Spans]:
    """time, run, sign, subject, what happened."""
    sign = sign_of(event)
    role = sign.role if sign is not None and sign.role != "muted" else ""
    return [
        [(words.clock(event.time, seconds=True), "muted")],
        [(f"run {event.run}" if event.run is not None else "", "")],
        [(look.mark(sign), sign.role)] if sign is not None else [],
        [(look.text(subject(event)), "")],
        [(look.text(said(event)), role)],
    ]


def event_detail(event: Event, look: Look, width: int) -> list[Spans]:
    """Everything that an event carries."""
    data = json.dumps(dict(event.data), ensure_ascii=False, default=str)
    return [
        [("event     ", "muted"), (f"{event.seq}  ", "bold"), (look.text(event.type), "")],
        [("when      ", "muted"), (words.stamp(event.time), "")],
        [("by        ", "muted"), (look.text(event.actor), "")],
        [("data      ", "muted"), (look.text(data, max_chars=max(40, width * 2)), "")],
    ]
