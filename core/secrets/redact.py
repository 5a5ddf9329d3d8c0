"""Takes secrets out of a stream of bytes, also where a form of one is split over chunks.

A form is the secret as it is, percent-encoded (any of its bytes, either case of the digits, a space as + too), or in
base64 at any of the three alignments, in either alphabet, broken into lines of four characters or more. White space
around a secret is no part of it, and of one with several lines each line is a secret too. Every byte of a form becomes
`*`, but for line breaks: the output keeps its length, so offsets stay those of the raw stream (which tell the length
anyway).

Invariants: the result does not depend on how the stream was cut; at most `Forms.held_bytes` bytes are held back, and
only what may begin a form; bytes of no form are never changed. Forms may overlap: whatever one covers is taken out. In
base64 the first and the last byte of a secret share a character with their neighbours; such a character stays, and
where a line ends among the first three characters of a form, so do these.
"""

from __future__ import annotations

import base64
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

MIN_LINE_BYTES = 8
"""A shorter line of a secret with several lines is not looked for by itself."""
MIN_BASE64_CHARS = 4
ANCHOR_BYTES = 8
TOGETHER_CHARS = 4
"""How many characters at the beginning of a base64 form stand on one line, or are left out with the line's end."""
SPREAD = 3
"""How many times its own length a form may take up: three characters for a byte, or with line breaks in it."""

_MASK = bytes(byte if byte in b"\r\n" else ord("*") for byte in range(256))
_ESCAPE = re.compile(rb"%[0-9A-Fa-f]{2}")
_STANDARD = bytes.maketrans(b"-_", b"+/")
PERCENT = ord("%")
_HEX = frozenset(bytes((digit,)) for digit in b"0123456789abcdefABCDEF")
_BREAK = re.compile(rb"[\r\n]")
_PLUS = bytes.maketrans(b"+", b" ")


class Forms:
    """Every form of some secrets, worked out once and shared by all streams."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        wholes = {secret.strip() for secret in secrets} - {b""}
        lines = {line.strip() for whole in wholes for line in whole.splitlines()}
        lines = {line for line in lines if len(line) >= MIN_LINE_BYTES and not line.startswith(b"-----")}
        self.plain: tuple[bytes, ...] = tuple(sorted(wholes | lines))
        self.spaced: tuple[bytes, ...] = tuple(text for text in self.plain if b" " in text)
        self.base64: tuple[bytes, ...] = tuple(
            sorted({form for whole in wholes for form in _base64_forms(whole)})
        )
        longest = max(map(len, (*self.plain, *self.base64)), default=0)
        self.held_bytes = SPREAD * longest + 2

    def __bool__(self) -> bool:
        return bool(self.plain)

    def redact(self, data: bytes) -> bytes:
        """A whole without its secrets."""
        redactor = Redactor(self)
        return redactor.feed(data) + redactor.finish()

    def redact_text(self, text: str) -> str:
        """A text without the secrets in it."""
        if not self.plain or not text:
            return text
        return self.redact(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


NO_FORMS = Forms(())


class Redactor:
    """Redacts one stream. What `feed` and `finish` return, put together, is as long as what was fed."""

    def __init__(self, forms: Forms) -> None:
        self._forms = forms
        self._buffer = b""  # context, then what is held back
        self._context = 0  # bytes at the front that were released: see _context_of
        self._covered = 0  # of what is held back, as many bytes belong to a form that began before it

    @property
    def held(self) -> int:
        """How many bytes wait for what comes after them."""
        return len(self._buffer) - self._context

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes; returns those that are certain by now, redacted."""
        if not self._forms:
            return data
        self._buffer += data
        return self._release(ended=False)

    def finish(self) -> bytes:
        """The stream has ended (or has a gap): returns what was held back. Another stream may follow."""
        released = self._release(ended=True)
        self._buffer, self._context, self._covered = b"", 0, 0
        return released

    def _release(self, *, ended: bool) -> bytes:
        buffer, start = self._buffer, self._context
        covered_to = start + self._covered
        spans = [(start, covered_to)]
        end = len(buffer)
        for view in _views(self._forms, buffer):
            spans += [span for span in view.matches() if span[0] >= start]
            if not ended:
                end = min(end, view.open_from(start))
        released = bytearray(buffer[start:end])
        for first, last in spans:
            if first < end:
                inside = slice(first - start, min(last, end) - start)
                released[inside] = released[inside].translate(_MASK)
                covered_to = max(covered_to, last)
        # A form that begins in what is held back is found again; one that began before it is remembered.
        self._covered = max(0, covered_to - end)
        context = _context_of(buffer, end)
        self._buffer, self._context = buffer[end - context :], context
        return bytes(released)


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


def _views(forms: Forms, buffer: bytes) -> Iterator[_View | _Base64View]:
    size = len(buffer)
    yield _View(buffer, forms.plain, _same, _after, size, size)
    if b"%" in buffer:
        yield _percent_view(buffer, buffer, forms.plain)
    if forms.spaced and b"+" in buffer:
        yield _percent_view(buffer, buffer.translate(_PLUS), forms.spaced)
    if forms.base64:
        yield _Base64View(buffer, forms.base64)


def _percent_view(buffer: bytes, text: bytes, wanted: Sequence[bytes]) -> _View:
    """The buffer with its escapes read. One that may go on after the end is left out."""
    size = tail = len(buffer)
    for back in (1, 2):
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


def _context_of(buffer: bytes, at: int) -> int:
    """How many bytes before `at` matter to what follows: the beginning of an escape, or a line break."""
    for back in (1, 2):
        if at >= back and _ESCAPE.match(buffer, at - back):
            return back
    return 1 if at and buffer[at - 1] in b"\r\n" else 0


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """The characters that stand for nothing but the secret, at each alignment, in the standard alphabet."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret)
        first, last = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        if last - first >= MIN_BASE64_CHARS:
            yield whole[first:last]
