"""Holes in a task's output: what was counted and not kept, what was lost, and what was not read.

Offsets of stored output count the bytes of a stream as the server printed them, so a hole between the end of
one chunk and the start of the next is told by the offsets alone. What it means is told by the summary of the
stream: the middle that is not kept lies between two known offsets, and the bytes dropped there were counted.
Whatever is missing beside that was lost on its way (a file on the server that had to be cut, a connection that
broke), and of that only "at least" can be said: more may be missing after the last chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.model.states import Purpose, Stream
from core.model.views import OutputChunk, OutputSummary

Source = tuple[Purpose, int, Stream]
"""What printed: purpose, number of the attempt, stream."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole before a chunk, from offset `start` to `end`. The three counts of bytes add up to it.

    `not_kept` were stored once and dropped, counted and hashed; `lost` never came; `unread` are before what
    was asked for.
    """

    purpose: Purpose
    attempt: int
    stream: Stream
    start: int
    end: int
    not_kept: int = 0
    lost: int = 0
    unread: int = 0

    def sentences(self, size: Callable[[int], str]) -> list[str]:
        """What to tell a person, one sentence for each kind; `size` puts a number of bytes into words."""
        told = []
        if self.unread:
            told.append(f"{size(self.unread)} of {self.stream.value} earlier")
        if self.not_kept:
            told.append(f"{size(self.not_kept)} of {self.stream.value} in the middle not kept")
        if self.lost:
            told.append(f"at least {size(self.lost)} of {self.stream.value} lost here")
        return told


class GapFinder:
    """Finds the holes of one task's output while its chunks are read in order.

    `from_start` is False where reading begins somewhere in the middle: what comes before is unread, not lost.
    """

    def __init__(self, *, from_start: bool = True) -> None:
        self._from_start = from_start
        self._ends: dict[Source, int] = {}

    def before(self, chunk: OutputChunk, summaries: Iterable[OutputSummary]) -> Gap | None:
        """The hole right before `chunk`, None where there is none. `summaries` are those read with it."""
        source = (chunk.purpose, chunk.attempt, chunk.stream)
        end = self._ends.get(source)
        self._ends[source] = chunk.end
        if end is None and not self._from_start:
            return Gap(*source, 0, chunk.start, unread=chunk.start) if chunk.start else None
        start = end or 0
        missing = chunk.start - start
        if missing <= 0:
            return None
        not_kept = 0
        for summary in summaries:
            if summary.dropped_bytes and (summary.purpose, summary.attempt, summary.stream) == source:
                not_kept = _not_kept(start, chunk.start, summary)
        return Gap(*source, start, chunk.start, not_kept=not_kept, lost=missing - not_kept)


def _not_kept(start: int, end: int, summary: OutputSummary) -> int:
    """How many bytes from `start` to `end` were counted and dropped."""
    inside = min(end, summary.dropped_end) - max(start, summary.dropped_start)
    if inside >= summary.dropped_end - summary.dropped_start:
        return summary.dropped_bytes  # the whole middle: what was lost inside it is known as well
    return max(0, inside)
