"""From stored output to lines on a screen: a bounded list that grows at the end.

Purpose: takes the pages of `Engine.output` in order and cuts each stream of each attempt into display lines, with
headings where another attempt or phase begins and a note where something is missing. Invariants: at most
`max_lines` lines with at most `max_chars` characters are kept; every line went through `core.display`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.display import LineSplitter
from core.model.gaps import GapFinder
from core.model.states import Purpose, Stream
from core.model.views import OutputChunk, OutputSummary
from tui import words

DEFAULT_MAX_LINES = 5000
MAX_CHARS = 16 * 1024 * 1024
"""Lines are bounded, but many long ones still take much memory."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `stream` is None for a heading or a note of ours; `time` 0.0 where it has none."""

    text: str
    stream: Stream | None
    time: float


class OutputLines:
    """The lines of one task's output, newest last."""

    def __init__(
        self,
        *,
        ascii_only: bool = False,
        max_lines: int = DEFAULT_MAX_LINES,
        max_chars: int = MAX_CHARS,
    ) -> None:
        self._ascii_only = ascii_only
        self._max_lines = max_lines
        self._max_chars = max_chars
        self._lines: list[Line] = []
        self._chars = 0
        self._splitters: dict[Stream, LineSplitter] = {}
        self._gaps = GapFinder(from_start=False)
        self._attempt: tuple[Purpose, int] | None = None
        self._last_time = 0.0
        self.forgotten = 0
        """How many lines at the beginning were let go."""

    def __len__(self) -> int:
        return len(self._lines) + sum(1 for splitter in self._splitters.values() if splitter.pending)

    @property
    def complete(self) -> int:
        """How many lines have come to their end; those after them are in progress."""
        return len(self._lines)

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

    def add(self, chunks: Sequence[OutputChunk], summaries: Sequence[OutputSummary] = ()) -> int:
        """Takes chunks in the order they were stored; returns how many lines were let go at the beginning."""
        for chunk in chunks:
            attempt = (chunk.purpose, chunk.attempt)
            if attempt != self._attempt:
                self._begin(attempt, chunk.time)
            self._gap(chunk, summaries)
            splitter = self._splitters.get(chunk.stream)
            if splitter is None:
                splitter = self._splitters[chunk.stream] = LineSplitter(ascii_only=self._ascii_only)
            self._last_time = chunk.time
            self._put(splitter.feed(chunk.data), chunk.stream, chunk.time)
        return self._let_go()

    def note(self, text: str, when: float = 0.0) -> None:
        """Adds a line of ours."""
        self._put([text], None, when)

    def _put(self, texts: Sequence[str], stream: Stream | None, when: float) -> None:
        self._lines += [Line(text, stream, when) for text in texts]
        self._chars += sum(map(len, texts))

    def _let_go(self) -> int:
        """Forgets the oldest lines beyond the bounds; how many."""
        over = max(0, len(self._lines) - self._max_lines)
        self._chars -= sum(len(line.text) for line in self._lines[:over])
        while self._chars > self._max_chars and over < len(self._lines) - 1:
            self._chars -= len(self._lines[over].text)
            over += 1
        del self._lines[:over]
        self.forgotten += over
        return over

    def _begin(self, attempt: tuple[Purpose, int], when: float) -> None:
        for stream, splitter in self._splitters.items():
            self._put(splitter.finish(), stream, self._last_time)
        self._splitters.clear()
        self._attempt = attempt
        purpose, number = attempt
        self.note(f"{purpose.value}, attempt {number}", when)

    def _gap(self, chunk: OutputChunk, summaries: Sequence[OutputSummary]) -> None:
        gap = self._gaps.before(chunk, summaries)
        if gap is None:
            return
        splitter = self._splitters.get(chunk.stream)
        if splitter is not None:
            self._put(splitter.finish(), chunk.stream, self._last_time)
        for told in gap.sentences(words.size):
            self.note(told, chunk.time)
