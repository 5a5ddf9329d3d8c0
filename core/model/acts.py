"""What persons did to a run, from its events, in words that follow their names."""

from __future__ import annotations

from core.model import events
from core.model.actors import place
from core.model.events import Event

ASKED = {
    "pause": "paused it",
    "cancel": "cancelled it",
    "roll_back": "rolled it back",
    "run": "resumed it",
    "retry": "retried what failed",
}


def act(event: Event) -> str:
    """What the actor of an event did: "paused it: the switch is being replaced"; "" where it is none of a person's."""
    data = event.data
    match event.type:
        case events.RUN_CREATED:
            return "started it"
        case events.RUN_ASKED:
            retried = data.get("asked") == "run" and data.get("reason") == "retry"
            done = ASKED.get("retry" if retried else str(data.get("asked")), f"asked for {data.get('asked')}")
            reason = "" if retried else str(data.get("reason", ""))
            return f"{done}: {reason}" if reason else done
        case events.RUN_CONTROL:
            before = place(str(data.get("before", "")))
            if not data.get("taken"):
                return "gave its control back"
            return f"took its control from {before}" if before else "took its control"
        case events.RUN_SECRETS:
            return f"went on with changed secrets: {', '.join(map(str, data.get('changed', ())))}"
        case events.TASK_STATE | events.TASK_UNDO:
            if not data.get("decision"):
                return ""
            what = "the undo of " if event.type == events.TASK_UNDO else ""
            reason = str(data.get("reason", ""))
            return f"decided {what}{event.step}@{event.server}: {data['decision']}" + (
                f", {reason}" if reason else ""
            )
        case _:
            return ""
