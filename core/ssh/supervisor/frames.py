"""Reading what a supervisor session prints: answers on stdout, ends of commands on stderr.

Invariants: bytes before the marker are noise of start-up files, kept within a bound; a body is handed out
only when the marker stands right behind it, so a length that was not kept is noticed and never passed on as
output. Nothing here trusts a number or a name that a server sent: what makes no sense is `Garbled`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

MAX_LINE_BYTES = 64 * 1024
MAX_NOISE_BYTES = 64 * 1024
MAX_BODY_BYTES = 16 * 1024 * 1024


class Garbled(Exception):
    """The session said something that is no answer; the text says what."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One answer: its kind, its words, and for output the bytes."""

    kind: str
    words: tuple[bytes, ...]
    body: bytes = b""

    def text(self, number: int) -> str:
        """A word as text, "" where there is none."""
        return self.words[number].decode("utf-8", "surrogateescape") if number < len(self.words) else ""

    def number(self, number: int) -> int:
        """A word as a number. Raises Garbled."""
        word = self.words[number] if number < len(self.words) else b""
        if not re.fullmatch(rb"[0-9]{1,18}", word):
            raise Garbled(f"{word[:40]!r} is no number")
        return int(word)


class AnswerReader:
    """Frames out of stdout. `noise` is what came before the marker."""

    def __init__(self, marker: bytes, receive: Callable[[Frame], None]) -> None:
        self._marker = marker
        self._receive = receive
        self._buffer = bytearray()
        self._began = False
        self._head: Frame | None = None
        self._wanted = 0
        self.noise = b""

    def feed(self, data: bytes) -> None:
        """Bytes arrived. Raises Garbled."""
        buffer = self._buffer
        buffer += data
        if not self._began and not self._begin():
            return
        at = 0
        try:
            while True:
                if self._head is not None:
                    end = at + self._wanted
                    if len(buffer) < end:
                        return
                    tail = self._marker + b"\n"
                    if buffer[end - len(tail) : end] != tail:
                        raise Garbled("an output was shorter than announced")
                    head, self._head = self._head, None
                    body = bytes(buffer[at : end - len(tail)])
                    at = end
                    self._receive(Frame(head.kind, head.words, body))
                    continue
                newline = buffer.find(b"\n", at)
                if newline < 0:
                    if len(buffer) - at > MAX_LINE_BYTES:
                        raise Garbled("an answer has no end")
                    return
                kind, _, rest = bytes(buffer[at:newline]).partition(b" ")
                at = newline + 1
                self._line(kind, rest)
        finally:
            del buffer[:at]

    def _begin(self) -> bool:
        """Drops the noise, the marker and the blank behind it, once all of these are there."""
        at = self._buffer.find(self._marker + b" ")
        if at < 0:
            del self._buffer[:-MAX_NOISE_BYTES]
            self.noise = bytes(self._buffer)
            return False
        self.noise = bytes(self._buffer[:at])
        del self._buffer[: at + len(self._marker) + 1]
        self._began = True
        return True

    def _line(self, kind: bytes, rest: bytes) -> None:
        name = kind.decode("ascii", "replace")
        # What follows a path is the path's, spaces too.
        words = (rest,) if name in ("F", "N") else tuple(rest.split())
        frame = Frame(name, words)
        if name != "O":
            self._receive(frame)
            return
        length = frame.number(3)
        if length > MAX_BODY_BYTES:
            raise Garbled(f"an output of {length} bytes was not asked for")
        self._head, self._wanted = frame, length + len(self._marker) + 1


class NoticeReader:
    """Lines of ours out of stderr; everything else is `noise`."""

    def __init__(self, marker: bytes, receive: Callable[[Frame], None]) -> None:
        self._marker = marker + b" "
        self._receive = receive
        self._partial = bytearray()
        self.noise = bytearray()

    def feed(self, data: bytes) -> None:
        """Bytes arrived."""
        self._partial += data
        *lines, rest = bytes(self._partial).split(b"\n")
        self._partial[:] = rest[-MAX_LINE_BYTES:]
        for line in lines:
            before, found, told = line.partition(self._marker)
            self._note(before if found else line + b"\n")
            if found:
                kind, _, words = told.partition(b" ")
                # The last word of an end may be a line of output, with spaces of its own.
                self._receive(Frame(kind.decode("ascii", "replace"), tuple(words.split(b" ", 3))))

    def _note(self, data: bytes) -> None:
        self.noise += data
        del self.noise[:-MAX_NOISE_BYTES]
