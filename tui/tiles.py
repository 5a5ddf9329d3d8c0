"""The rows of the dashboard's tiles that are a summary of something larger; those of runs and batches are in `rows`.

Pure functions. `width` is how many cells there are for the widest cell: what does not fit in words is told in signs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.model.events import Event
from core.model.states import TaskState
from themes.signs import TASK_SIGNS, Sign
from tui import words
from tui.event_text import said, sign_of, subject
from tui.look import Look
from tui.overview import ProviderLine, Standing
from tui.paint import Span, Spans, width_of
from tui.rows import server_sign

UNREACHABLE = TASK_SIGNS[TaskState.UNREACHABLE]
NEVER = Sign("–", "-", "never contacted", "muted")
VALID = Sign("✓", "+", "valid", "success")
FAULTY = TASK_SIGNS[TaskState.FAILED]
LAYERS: Mapping[str, str] = {
    "user": "of yours",
    "workspace": "shared",
    "environment": "its own",
    "variable": "by variables",
    "option": "by options",
}
"""What a value that a layer gives is to an environment."""


def provider_row(line: ProviderLine, look: Look, width: int) -> list[Spans]:
    """provider, how many, their states and whether they were reached."""
    reached = [(UNREACHABLE, line.unreachable), (NEVER, line.never)]
    states = _counts([*_by_state(line.states), *reached], look, width)
    return [[(look.text(line.provider), "bold")], [(str(line.total), "")], states]


def state_spans(states: Mapping[str, int], look: Look, width: int) -> Spans:
    """How many servers are in each state: "✓ 11 started  ■ 1 stopped", or signs alone."""
    return _counts(_by_state(states), look, width)


def _by_state(states: Mapping[str, int]) -> list[tuple[Sign, int]]:
    ordered = sorted(states.items(), key=lambda entry: (entry[0] != "started", entry[0]))
    return [(server_sign(state), count) for state, count in ordered]


def _counts(counted: Sequence[tuple[Sign, int]], look: Look, width: int) -> list[Span]:
    told = [(sign, count) for sign, count in counted if count]
    words_too: list[Span] = [
        (f"{look.mark(sign)} {count} {look.text(sign.word)}  ", sign.role) for sign, count in told
    ]
    if width_of(words_too) - 2 <= width:
        return words_too
    return [
        (f"{look.mark(sign)} {count}{' new' if sign is NEVER else ''}  ", sign.role) for sign, count in told
    ]


def standing_row(standing: Standing, look: Look, width: int) -> list[Spans]:
    """environment, valid or how many faults, which layers give its values or where the first fault is."""
    name: Span = (look.text(standing.environment) or "workspace", "bold")
    if standing.faults:
        first = standing.faults[0]
        place = f"{first.file}:{first.line}" if first.line else first.file
        told = f"{place}  {first.message}"
        if len(told) > width:
            told = place if len(place) <= width else place.rpartition("/")[2]
        wrong = f"{look.mark(FAULTY)} {words.plural(len(standing.faults), 'fault')}"
        return [[name], [(wrong, "error")], [(look.text(told), "")]]
    return [[name], [look.signed(VALID)], [(look.own(_layers(standing.layers, width)), "muted")]]


def _layers(layers: Mapping[str, int], width: int) -> str:
    """ "4 shared, 3 its own", or as short as "7 set"."""
    written = {layer: count for layer, count in layers.items() if layer != "defaults"}
    if not written:
        return "defaults only"
    told = ", ".join(f"{count} {LAYERS.get(layer, layer)}" for layer, count in written.items())
    return told if len(told) <= width else f"{sum(written.values())} set"


def event_row(event: Event, look: Look) -> list[Spans]:
    """sign, what happened, when."""
    sign = sign_of(event)
    about = subject(event)
    where = " ".join(part for part in (f"run {event.run}" if event.run is not None else "", about) if part)
    role = sign.role if sign is not None and sign.role != "muted" else ""
    return [
        [(look.mark(sign), sign.role)] if sign is not None else [],
        [(look.text(f"{where} " if where else ""), "muted"), (look.text(said(event)), role)],
        [(words.ago(event.time, look.clock()), "muted")],
    ]
