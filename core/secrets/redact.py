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
from collections.abc import Iterable, Iterator

from core.secrets.views import SPREAD, context_of, views

MIN_LINE_BYTES = 8
"""A shorter line of a secret with several lines is not looked for by itself."""
MIN_BASE64_CHARS = 4

_MASK = bytes(byte if byte in b"\r\n" else ord("*") for byte in range(256))


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
        self._context = 0  # bytes at the front that were released: see context_of
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
        forms = self._forms
        for view in views(buffer, forms.plain, forms.spaced, forms.base64, ended=ended):
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
        context = context_of(buffer, end)
        self._buffer, self._context = buffer[end - context :], context
        return bytes(released)


def _base64_forms(secret: bytes) -> Iterator[bytes]:
    """The characters that stand for nothing but the secret, at each alignment, in the standard alphabet."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + secret)
        first, last = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        if last - first >= MIN_BASE64_CHARS:
            yield whole[first:last]
