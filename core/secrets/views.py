"""A buffer as programs may have encoded it: where the forms of secrets stand in it, and where one may have begun.

Each view reads the raw bytes in one way (as they are, percent-encoded, base64), is searched for texts, and answers in
raw offsets. A view tells the same of a stream however it is cut, as long as the buffer begins where nothing is open
and `context_of` is kept before it.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

ANCHOR_BYTES = 8
TOGETHER_CHARS = 4
"""How many characters at the beginning of a base64 form stand on one line, or are left out with the line's end."""
SPREAD = 3
"""How many times its own length a form may take up: three characters for a byte, or with line breaks in it."""

_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_STANDARD = bytes.maketrans(b"-_", b"+/")
PERCENT = ord("%")
_HEX = frozenset(bytes((digit,)) for digit in b"0123456789abcdefABCDEF")
_BREAK = re.compile(rb"[\r\n]")
_PLUS = bytes.maketrans(b"+", b" ")


@dataclass(frozen=True, slots=True)
class _View:
    """A buffer as it is searched: `text` with what is looked for in it, and the way back to raw offsets.

    `starts` gives the raw offset of an index; `size` is that of the buffer, `tail` where an unfinished escape begins.
    """

    text: bytes
    wanted: Sequence[bytes]
    starts: Callable[[int], int]
    ends: Callable[[int], int]
    size: int
    tail: int

    def matches(self) -> Iterator[tuple[int, int]]:
        """The raw spans of all forms that stand whole in the buffer."""
        for form in self.wanted:
            at = self.text.find(form)
            while at >= 0:
                first, last = self.starts(at), self.ends(at + len(form) - 1)
                if last - first <= SPREAD * len(form):
                    yield first, last
                at = self.text.find(form, at + 1)

    def open_from(self, start: int) -> int:
        """From which raw offset on a form may have begun that is not whole yet; the end where none has."""
        found = self.tail
        for form in self.wanted:
            for at in _beginnings(self.text, form):
                first = self.starts(at)
                if first >= start and self.size - first < SPREAD * len(form):
                    found = min(found, first)
                    break
        return found


class _Base64View:
    """The buffer in the standard alphabet, without line breaks.

    The first characters of a form stand together. Where a line ends among them it is what follows on the next line
    that is taken for the form: else the end of every line would wait for the next one.
    """

    def __init__(self, buffer: bytes, wanted: Sequence[bytes]) -> None:
        self._buffer = buffer
        self._text = buffer.translate(_STANDARD, b"\r\n")
        self._wanted = wanted
        self._places: list[int] | None = None

    def matches(self) -> Iterator[tuple[int, int]]:
        """See _View."""
        for form in self._wanted:
            left_out = _left_out(form)
            core = form[left_out:]
            at = self._text.find(core)
            while at >= 0:
                last = self._start(at + len(core) - 1) + 1
                for missing in range(left_out + 1):
                    begin = at - left_out + missing
                    if begin >= 0 and self._text.startswith(form[missing:left_out], begin):
                        first = self._start(begin)
                        fits = last - first <= SPREAD * (len(form) - missing)
                        if fits and self._may_begin(begin, first, missing):
                            yield first, last
                            break
                at = self._text.find(core, at + 1)

    def open_from(self, start: int) -> int:
        """See _View."""
        size = found = len(self._buffer)
        for form in self._wanted:
            for missing in range(_left_out(form) + 1):
                part = form[missing:]
                for at in _beginnings(self._text, part):
                    first = self._start(at)
                    if (
                        first >= start
                        and size - first < SPREAD * len(part)
                        and self._may_begin(at, first, missing)
                    ):
                        found = min(found, first)
                        break
        return found

    def _may_begin(self, index: int, first: int, missing: int) -> bool:
        """Whether a form, or what is left of it without its `missing` first characters, may begin there."""
        if missing and (first == 0 or self._buffer[first - 1] not in b"\r\n"):
            return False
        there = len(self._text) - index
        if there < TOGETHER_CHARS:
            return len(self._buffer) - first == there
        return self._start(index + TOGETHER_CHARS - 1) == first + TOGETHER_CHARS - 1

    def _start(self, index: int) -> int:
        """The raw offset of a character."""
        if self._places is None:
            breaks = _BREAK.finditer(self._buffer)
            self._places = [match.start() - number for number, match in enumerate(breaks)]
        return index + bisect_right(self._places, index)


def _left_out(form: bytes) -> int:
    """How many of a form's first characters a line may end among; of a short form none, as little would be left."""
    return TOGETHER_CHARS - 1 if len(form) >= 2 * TOGETHER_CHARS + 1 else 0


def _beginnings(text: bytes, form: bytes) -> Iterator[int]:
    """Where a text ends with a beginning of the form, the longest first."""
    length = len(text)
    short = max(0, length - min(len(form), ANCHOR_BYTES) + 1)
    if len(form) > ANCHOR_BYTES:
        anchor = form[:ANCHOR_BYTES]
        at = text.find(anchor, max(0, length - len(form) + 1))
        while 0 <= at < short:
            if form.startswith(text[at:]):
                yield at
            at = text.find(anchor, at + 1)
    for at in range(short, length):
        if form.startswith(text[at:]):
            yield at


def views(
    buffer: bytes, plain: Sequence[bytes], spaced: Sequence[bytes], encoded: Sequence[bytes], *, ended: bool
) -> Iterator[_View | _Base64View]:
    """The ways to look at a buffer: for `plain` texts, those with a space (`spaced`), and forms in base64.

    `ended` says that nothing follows it: what looks like the beginning of an escape at its end is none.
    """
    size = len(buffer)
    yield _View(buffer, plain, _same, _after, size, size)
    if b"%" in buffer:
        yield _percent_view(buffer, buffer, plain, ended=ended)
    if spaced and b"+" in buffer:
        yield _percent_view(buffer, buffer.translate(_PLUS), spaced, ended=ended)
    if encoded:
        yield _Base64View(buffer, encoded)


def _percent_view(buffer: bytes, text: bytes, wanted: Sequence[bytes], *, ended: bool) -> _View:
    """The buffer with its escapes read. One that may go on after the end is left out."""
    size = tail = len(buffer)
    for back in () if ended else (1, 2):
        if size >= back and buffer[size - back] == PERCENT and (back == 1 or buffer[-1:] in _HEX):
            tail = size - back
    places: list[int] = []

    def read(match: re.Match[bytes]) -> bytes:
        places.append(match.start() - 2 * len(places))
        return bytes((int(match[0][1:], 16),))

    decoded = _ESCAPE.sub(read, text[:tail])

    def starts(index: int) -> int:
        return index + 2 * bisect_left(places, index)

    return _View(decoded, wanted, starts, lambda index: starts(index + 1), size, tail)


def _same(index: int) -> int:
    return index


def _after(index: int) -> int:
    return index + 1


def context_of(buffer: bytes, at: int) -> int:
    """How many bytes before `at` matter to what follows: the beginning of an escape, or a line break."""
    for back in (1, 2):
        if at >= back and _ESCAPE.match(buffer, at - back):
            return back
    return 1 if at and buffer[at - 1] in b"\r\n" else 0
