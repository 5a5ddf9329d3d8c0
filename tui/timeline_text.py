"""How a timeline looks: bars of signs on one axis, its legend, and the critical path in words.

Pure functions: `core.model.timeline` in, spans out. Every kind of segment has a sign of its own, in ASCII too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.model.timeline import Bar, Kind, Link, Timeline
from themes.signs import TASK_SIGNS, Sign
from tui import words
from tui.look import Look
from tui.paint import Span, Spans, hanging

KIND_SIGNS: Mapping[Kind, Sign] = {
    Kind.QUEUED: Sign("·", ".", "could start, waits", "muted"),
    Kind.RUNNING: Sign("━", "=", "runs", "accent"),
    Kind.UNDOING: Sign("↺", "<", "is undone", "accent"),
    Kind.BACK_OFF: Sign("~", "~", "waits for its next try", "warning"),
    Kind.LOST: Sign("⌁", "!", "its server is lost", "warning"),
    Kind.IN_DOUBT: Sign("?", "?", "in doubt", "warning"),
}
PATH = Sign("»", "*", "decided the end", "accent")
"""On what the end of the run waited for."""
MIN_TICK_CELLS = 14
LINKS_TOLD = 12
QUEUE_TOLD_S = 0.5


def drawn(bar: Bar, start: float, end: float, cells: int, look: Look) -> Spans:
    """A bar of so many cells from `start` to `end`: in each cell what matters most; at the end how a task failed."""
    if cells <= 0:
        return []
    row: list[Kind | None] = [None] * cells
    for segment in sorted(bar.segments, key=lambda one: _RANK[one.kind]):
        first, last = _cells(segment.start, segment.end, start, end, cells)
        row[first:last] = [segment.kind] * (last - first)
    spans: list[Span] = []
    for kind in row:
        sign = KIND_SIGNS[kind] if kind is not None else None
        text, role = (look.mark(sign), sign.role) if sign is not None else (" ", "")
        if spans and spans[-1][1] == role:
            spans[-1] = (spans[-1][0] + text, role)
        else:
            spans.append((text, role))
    return spans


_RANK = {kind: rank for rank, kind in enumerate(Kind)}


def _cells(began: float, ended: float, start: float, end: float, cells: int) -> tuple[int, int]:
    """The cells that a time takes: first, and one past the last; at least one."""
    span = max(end - start, 1e-9)
    first = min(cells - 1, max(0, int((began - start) / span * cells)))
    last = min(cells, max(first + 1, round((ended - start) / span * cells)))
    return first, last


def axis(start: float, end: float, cells: int) -> str:
    """ "0s            1m 05s        2m 10s": times since the start, each where it is."""
    ticks = max(1, cells // MIN_TICK_CELLS)
    row = [" "] * cells
    for tick in range(ticks):
        told = words.duration((end - start) * tick / ticks) or "0s"
        at = cells * tick // ticks
        row[at : at + len(told)] = list(told)
    told = words.duration(end - start) or "0s"
    row[max(0, cells - len(told)) :] = list(told)
    return "".join(row)[:cells]


def row(bar: Bar, timeline: Timeline, cells: int, look: Look, name: str) -> list[Spans]:
    """path mark, name, state, how long at work, how long queued, bar."""
    sign = TASK_SIGNS[bar.state] if bar.state is not None else None
    state: Span = (look.mark(sign), sign.role) if sign is not None else (str(bar.tasks), "muted")
    return [
        [(look.mark(PATH) if bar.on_path else "", PATH.role)],
        [(look.text(name), "bold" if bar.on_path else "")],
        [state],
        [(words.duration(bar.took_s) if bar.took_s else "", "")],
        [(words.duration(bar.waited_s) if bar.waited_s >= QUEUE_TOLD_S else "", "muted")],
        drawn(bar, timeline.start, timeline.end, cells, look),
    ]


def legend(timeline: Timeline, look: Look) -> Spans:
    """What the signs mean, of those that occur."""
    there = {segment.kind for bar in timeline.bars for segment in bar.segments}
    spans: list[Span] = []
    for kind, sign in KIND_SIGNS.items():
        if kind in there:
            spans += [(f"{look.mark(sign)} ", sign.role), (f"{sign.word}   ", "muted")]
    if timeline.path:
        spans += [(f"{look.mark(PATH)} ", f"bold {PATH.role}"), (PATH.word, "muted")]
    return spans


def path_lines(
    timeline: Timeline, running: bool, look: Look, width: int, most: int = LINKS_TOLD
) -> list[Spans]:
    """The critical path in sentences, from the end back."""
    if not timeline.path:
        return [[("No task has ended yet: nothing is known of what determines the end.", "muted")]]
    lines: list[Spans] = []
    last = timeline.path[0]
    so_far = " so far" if running else ""
    first = f"{last.key.step} on {last.key.server} ended last{so_far}, after {_took(last)}"
    lines += _line(PATH, first, look, width)
    links = list(zip(timeline.path, timeline.path[1:], strict=False))
    for link, before in links[:most]:
        lines += _line(PATH, _waited(link, before), look, width)
    if len(links) > most:
        lines.append([(look.own(f"  … and {len(links) - most} more before"), "muted")])
    return lines


def _line(sign: Sign, told: str, look: Look, width: int) -> list[Spans]:
    return hanging((f"{look.mark(sign)} ", sign.role), look.text(told), width)


def _took(link: Link) -> str:
    return words.duration(link.took_s) or "no time"


def _waited(link: Link, before: Link) -> str:
    """ "verify waited 41s for reboot on web-13, which took 1m 28s; then it was queued for 3s"."""
    waited = words.duration(link.waited_s) or "no time"
    told = f"{link.key.step} waited {waited} for {before.key.step} on {before.key.server}, which took {_took(before)}"
    if link.queued_s >= QUEUE_TOLD_S:
        told += f"; then it was queued for {words.duration(link.queued_s)}"
    return told


def longest_first(bars: Sequence[Bar]) -> list[Bar]:
    """What was at work longest comes first; what took equally long keeps its order."""
    return sorted(bars, key=lambda bar: -bar.took_s)
