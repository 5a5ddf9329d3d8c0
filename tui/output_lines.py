"""From stored output to lines on a screen: a bounded list that grows at the end.

Purpose: takes the pages of `Engine.output` in order and cuts each stream of each attempt into display lines, with
headings where another attempt or phase begins and a note where the middle was not kept. Invariants: at most
`max_lines` lines are kept; every line went through `core.display`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.display import LineSplitter
from core.model.states import Purpose, Stream
from core.model.views import OutputChunk
from tui import words

DEFAULT_MAX_LINES = 5000


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `stream` is None for a heading or a note of ours; `time` 0.0 where it has none."""

    text: str
    stream: Stream | None
    time: float


class OutputLines:
    """The lines of one task's output, newest last."""

    def __init__(self, *, ascii_only: bool = False, max_lines: int = DEFAULT_MAX_LINES) -> None:
        self._ascii_only = ascii_only
        self._max_lines = max_lines
        self._lines: list[Line] = []
        self._splitters: dict[Stream, LineSplitter] = {}
        self._ends: dict[Stream, int] = {}
        self._attempt: tuple[Purpose, int] | None = None
        self._last_time = 0.0
        self.forgotten = 0
        """How many lines at the beginning were let go."""

    def __len__(self) -> int:
        return len(self._lines) + sum(1 for splitter in self._splitters.values() if splitter.pending)

    def __getitem__(self, index: int) -> Line:
        if index < len(self._lines):
            return self._lines[index]
        return self._pending()[index - len(self._lines)]

    def tail(self, count: int) -> list[Line]:
        """The newest lines, at most `count`."""
        return [*self._lines[-count:], *self._pending()][-count:]

    def _pending(self) -> list[Line]:
        """The lines in progress, as they would be shown now."""
        return [
            Line(text, stream, self._last_time)
            for stream, splitter in self._splitters.items()
            if (text := splitter.pending)
        ]

    def add(self, chunks: Sequence[OutputChunk]) -> int:
        """Takes chunks in the order they were stored; returns how many lines were let go at the beginning."""
        for chunk in chunks:
            attempt = (chunk.purpose, chunk.attempt)
            if attempt != self._attempt:
                self._begin(attempt, chunk.time)
            self._gap(chunk)
            splitter = self._splitters.get(chunk.stream)
            if splitter is None:
                splitter = self._splitters[chunk.stream] = LineSplitter(ascii_only=self._ascii_only)
            self._last_time = chunk.time
            self._lines += [Line(text, chunk.stream, chunk.time) for text in splitter.feed(chunk.data)]
        over = len(self._lines) - self._max_lines
        if over <= 0:
            return 0
        del self._lines[:over]
        self.forgotten += over
        return over

    def note(self, text: str, when: float = 0.0) -> None:
        """Adds a line of ours."""
        self._lines.append(Line(text, None, when))

    def _begin(self, attempt: tuple[Purpose, int], when: float) -> None:
        self._end_streams()
        self._attempt = attempt
        purpose, number = attempt
        self.note(f"{purpose.value}, attempt {number}", when)

    def _end_streams(self) -> None:
        for stream, splitter in self._splitters.items():
            self._lines += [Line(text, stream, self._last_time) for text in splitter.finish()]
        self._splitters.clear()
        self._ends.clear()

    def _gap(self, chunk: OutputChunk) -> None:
        """Offsets count raw remote bytes, so a hole between two chunks is what was not kept, or not read."""
        end = self._ends.get(chunk.stream, 0)
        if chunk.start > end:
            for text in self._splitters.get(chunk.stream, LineSplitter()).finish():
                self._lines.append(Line(text, chunk.stream, self._last_time))
            what = "earlier" if end == 0 else "in the middle not kept"
            self.note(f"{words.size(chunk.start - end)} of {chunk.stream.value} {what}", chunk.time)
        self._ends[chunk.stream] = chunk.end
