"""The one way from remote bytes to display text. What a server printed reaches no screen but through here.

Purpose: terminals obey control characters, hide zero-width ones and turn text around at bidi marks; output of
servers, their names and their messages are hostile input. Here every such character becomes visible text:

| in the input | shown as | with `ascii_only` |
| --- | --- | --- |
| a C0 control, DEL | `^[`, `^@`, `^?` | the same |
| a byte that is not UTF-8 | `‹ff›` | `\\xff` |
| C1 controls, bidi, zero-width, tags, unassigned | `‹U+202E›` | `\\u202e` |
| a tab | spaces up to the next multiple of eight | the same |
| text before a carriage return (progress bars) | `↵`, then the last segment that is not blank | `^M`, … |

Invariants: the result holds no C0 or C1 control, no ESC, no bidi or zero-width character; it is plain text, never
markup (whoever draws it must not parse it as markup either); memory is bounded by the line bound, not by the input.
"""

from __future__ import annotations

import re
import unicodedata

TAB_WIDTH = 8
MAX_LINE_BYTES = 4096
"""How much of one line is kept by default; the rest is counted."""

MAX_MARKS = 4
"""How many combining marks may follow one character before the rest is written out."""

_TABLE_LIMIT = 8192

# Invisible or width-changing characters that Unicode counts among letters and marks.
_HIDDEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff9-\ufffb\U000e0100-\U000e01ef]"
)
_PRESENTATION = re.compile("(?<=[\u2000-\u3299\U0001f000-\U0001faff])[\ufe0e\ufe0f]")
_INCOMPLETE = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")


def _escape(code: int, *, ascii_only: bool) -> str:
    """The visible form of one character that may not be shown as it is."""
    if code < 0x20 or code == 0x7F:
        return "^" + chr(code ^ 0x40)
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte, as surrogateescape carries it
        return f"\\x{code - 0xDC00:02x}" if ascii_only else f"‹{code - 0xDC00:02x}›"
    if not ascii_only:
        return f"‹U+{code:04X}›"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class _Table(dict[int, str]):
    """Code point to display text, filled as characters are met; bounded, as hostile input may use them all."""

    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__()
        self.ascii_only = ascii_only

    def __missing__(self, code: int) -> str:
        if len(self) >= _TABLE_LIMIT:
            self.clear()
        char = chr(code)
        if unicodedata.category(char) == "Zs":
            shown = " "
        elif self.ascii_only and code > 0x7E:
            shown = _escape(code, ascii_only=True)
        elif _HIDDEN.match(char) or (not char.isprintable() and unicodedata.category(char) != "Co"):
            shown = _escape(code, ascii_only=self.ascii_only)
        else:
            shown = char
        self[code] = shown
        return shown


_SHOWN = _Table(ascii_only=False)
_SHOWN_ASCII = _Table(ascii_only=True)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me"}


def _limit_marks(text: str) -> str:
    """Writes out combining marks that stand alone or in heaps: they would be drawn over their neighbours."""
    if not any(map(_is_mark, text)):
        return text
    out: list[str] = []
    marks = MAX_MARKS  # nothing to sit on yet
    for char in text:
        if not _is_mark(char):
            marks = 0
        elif (marks := marks + 1) > MAX_MARKS:
            char = f"‹U+{ord(char):04X}›"
        out.append(char)
    return "".join(out)


def _width(char: str) -> int:
    if _is_mark(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _expand_tabs(text: str) -> str:
    """Tabs to spaces by columns, wide characters counted as two."""
    if text.isascii():
        return text.expandtabs(TAB_WIDTH)
    out: list[str] = []
    column = 0
    for part in re.split("(\t)", text):
        if part == "\t":
            part = " " * (TAB_WIDTH - column % TAB_WIDTH)
            column += len(part)
        else:
            column += sum(map(_width, part))
        out.append(part)
    return "".join(out)


def display_line(data: bytes | str, *, ascii_only: bool = False, max_chars: int | None = None) -> str:
    """One line of display text out of bytes or text; line ends inside it become visible like any control.

    For names, messages and single lines. `max_chars` cuts the result and marks the cut with "…" ("..." in ASCII).
    """
    text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
    if not (text.isascii() and text.isprintable()):
        if "\t" in text:
            # Controls become visible first, as tab stops count what is shown.
            parts = (_neutral(part, ascii_only=ascii_only) for part in text.split("\t"))
            text = _expand_tabs("\t".join(parts))
        else:
            text = _neutral(text, ascii_only=ascii_only)
    if max_chars is not None and len(text) > max_chars:
        cut = "..." if ascii_only else "…"
        text = text[: max(0, max_chars - len(cut))] + cut[: max(0, max_chars)]
    return text


def _neutral(text: str, *, ascii_only: bool) -> str:
    if not text.isprintable() or ascii_only or _HIDDEN.search(text):
        text = _PRESENTATION.sub("", text)
        text = text.translate(_SHOWN_ASCII if ascii_only else _SHOWN)
    return text if text.isascii() else _limit_marks(text)


def display_lines(
    data: bytes | str, *, ascii_only: bool = False, max_line_bytes: int = MAX_LINE_BYTES
) -> list[str]:
    """All lines of a whole text, the last one also where it has no line end."""
    splitter = LineSplitter(ascii_only=ascii_only, max_line_bytes=max_line_bytes)
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    return [*splitter.feed(raw), *splitter.finish()]


def last_line(data: bytes | str, *, ascii_only: bool = False, max_chars: int | None = None) -> str:
    """The last line that is not blank, as display text; "" where there is none."""
    for line in reversed(display_lines(data, ascii_only=ascii_only)):
        if line.strip():
            return display_line(line, ascii_only=ascii_only, max_chars=max_chars)
    return ""


class LineSplitter:
    """Cuts a stream of bytes into display lines; each stream (stdout, stderr) of an attempt needs its own.

    Keeps at most `max_line_bytes` of the line in progress; what goes beyond is counted and told at the line's end.
    """

    def __init__(self, *, ascii_only: bool = False, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._ascii_only = ascii_only
        self._max = max(16, max_line_bytes)
        self._head = bytearray()  # the segment in progress: what follows the last carriage return
        self._dropped = 0
        self._before = b""  # the last segment that was not empty and that a carriage return ended
        self._before_dropped = 0
        self._overwritten = False
        self._return_pending = False  # a carriage return ended the chunk: \r\n or a new segment?

    def feed(self, data: bytes) -> list[str]:
        """Takes the next bytes, in any cut; returns the lines that they completed."""
        lines: list[str] = []
        *complete, rest = data.split(b"\n")
        for piece in complete:
            self._take(piece.rstrip(b"\r"))
            self._return_pending = False  # \r\n, in one piece or cut between the two
            lines.append(self._line())
            self._reset()
        self._take(rest)
        return lines

    @property
    def pending(self) -> str:
        """The line in progress as it would be shown now; "" where there is none."""
        if not (self._head or self._before):
            return ""
        return self._line(partial=True)

    def finish(self) -> list[str]:
        """Ends the stream: the last line where it had no line end."""
        lines = [self._line()] if self._head or self._before or self._dropped else []
        self._reset()
        return lines

    def _take(self, piece: bytes) -> None:
        """A piece of one line. Carriage returns in a row are one; of the segments that they end, blank ones
        overwrite nothing, and of the others only the last two matter.
        """
        if self._return_pending:
            piece = piece.lstrip(b"\r")
            if piece:
                self._new_segment()
        *ended, rest = piece.split(b"\r")
        ended[1:] = filter(None, ended[1:])
        if ended:
            self._append(ended[0])
            filled = [segment for segment in ended[1:-1] if segment.strip()]
            self._overwritten = self._overwritten or len(filled) > 1
            for segment in (*filled[-1:], *ended[1:][-1:]):
                self._new_segment()
                self._append(segment)
            if rest:
                self._new_segment()
            else:
                self._return_pending = True
        self._append(rest)

    def _append(self, piece: bytes) -> None:
        room = self._max - len(self._head)
        self._head += piece[:room]
        self._dropped += max(0, len(piece) - room)

    def _new_segment(self) -> None:
        """The carriage return was none of a line end: what came before it is overwritten."""
        self._return_pending = False
        if self._head.strip():
            self._overwritten = self._overwritten or bool(self._before)
            self._before, self._before_dropped = bytes(self._head), self._dropped
        self._head.clear()
        self._dropped = 0

    def _reset(self) -> None:
        self._head.clear()
        self._dropped = 0
        self._before = b""
        self._before_dropped = 0
        self._overwritten = False
        self._return_pending = False

    def _line(self, *, partial: bool = False) -> str:
        head, dropped = bytes(self._head), self._dropped
        hidden = self._overwritten
        if head.strip() or not self._before:
            hidden = hidden or bool(self._before)
        else:
            head, dropped = self._before, self._before_dropped
        if dropped or partial:  # the cut may have gone through a character
            whole = _INCOMPLETE.sub(b"", head)
            if dropped:
                dropped += len(head) - len(whole)
            head = whole
        text = display_line(head, ascii_only=self._ascii_only)
        if hidden:
            text = ("^M" if self._ascii_only else "↵") + text
        if dropped:
            text += f"{'...' if self._ascii_only else '…'} (+{dropped} bytes)"
        return text
