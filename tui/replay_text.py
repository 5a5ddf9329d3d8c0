"""What the replay of a run says of itself: that the past is shown, where in it, and what happened there.

Pure functions: an event and a position in, spans out.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.model import events
from core.model.actors import place
from core.model.acts import act
from core.model.events import Event
from core.model.states import Purpose
from core.model.views import RunInfo
from themes.signs import Sign, run_sign
from tui import words
from tui.look import Look
from tui.paint import Span

REPLAY = Sign("◀", "<", "REPLAY", "warning")
"""The sign of the past; it stands wherever the past is shown."""
PLAYING = Sign("▶", ">", "playing", "accent")
HELD = Sign("‖", '"', "held", "muted")
SPEEDS = (1, 4, 16, 64)
"""How many times as fast as it was."""
STAYS = "the past is shown: t returns"


def sign(look: Look) -> list[Span]:
    """The word and the sign that the past is shown."""
    return [(REPLAY.text(ascii_only=look.ascii_only), "bold warning")]


def reading(count: int, look: Look) -> list[Span]:
    """While the events are being read."""
    return [*sign(look), (look.own(f"  reading the events of the run: {count:,} so far"), "muted")]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in the past: the wall time that is shown, and which of how many events was the last."""

    moment: float
    position: int
    count: int


@dataclass(frozen=True, slots=True)
class Play:
    """Whether it plays, and how many times as fast as it was."""

    playing: bool
    speed: int


def state_line(
    run: RunInfo, event: Event | None, where: Where, play: Play, look: Look
) -> tuple[list[Span], list[Span]]:
    """ "◀ REPLAY 14:02:11, event 312 of 1,204  install@db-2 failed", and how the run stood and how it plays."""
    if event is None:
        return [*sign(look), ("  this run has no events", "muted")], []
    when = words.clock(where.moment, seconds=True)
    left: list[Span] = [
        *sign(look),
        (f" {when}, event {where.position:,} of {where.count:,}", "bold"),
        (f"  {look.text(happened(event))}", ""),
    ]
    stood = run_sign(run.state, interrupted=run.interrupted)
    how = PLAYING if play.playing else HELD
    right: list[Span] = [
        (stood.text(ascii_only=look.ascii_only), stood.role if stood.role != "muted" else ""),
        ("   ", ""),
        (look.own(f"{how.mark(ascii_only=look.ascii_only)} {play.speed}×"), how.role),
    ]
    return left, right


def happened(event: Event) -> str:
    """An event in a few words: "install@db-2 failed: exit 1"."""
    data = event.data
    task = f"{event.step}@{event.server}"
    why = str(data.get("why", ""))
    match event.type:
        case events.RUN_STATE:
            told = f"the run is {_word(data.get('to'))}"
        case events.TASK_STATE:
            told = f"{task} {_word(data.get('to'))}"
        case events.TASK_PHASE:
            told = f"{task} {_word(data.get('phase'))}"
        case events.TASK_INTENT:
            undo = data.get("purpose") == Purpose.UNDO.value
            return f"{task} {'undo' if undo else 'attempt'} {event.attempt or 0} is handed over"
        case events.TASK_ATTEMPT:
            told = f"{task} attempt {event.attempt or 0} {_word(data.get('state'))}"
        case events.TASK_OUTPUT:
            start, end = data.get("start", 0), data.get("end", 0)
            return f"{task} printed {words.size(max(0, end - start))}"
        case events.TASK_UNDO:
            told = f"{task} {_word(data.get('to'))}"
        case events.SERVER_NOTE:
            return str(data.get("message", "")) or "a note about a server"
        case _:
            done = act(event)
            return f"{place(event.actor)} {done}" if done else event.type
    return f"{told}: {why}" if why else told


def _word(value: object) -> str:
    return str(value).replace("_", " ")
