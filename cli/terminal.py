"""What goes to the terminal: stdout is data, stderr is progress and diagnostics.

Invariants: text that is not our own is cleaned by `core.display` before it gets here or in `table`; colour goes
only to a terminal and never without a word or a sign; NO_COLOR is honoured. A reader that went away (a closed
pipe) ends the printing on that stream and nothing else: a run goes on.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

if TYPE_CHECKING:
    from themes.signs import Role, Sign

Cell: TypeAlias = "str | tuple[str, Role]"

_CODES = {"success": "32", "warning": "33", "error": "31", "accent": "36", "muted": "2", "text": ""}
_closed: set[str] = set()
lost: list[str] = []
"""What could not be written to stdout, and why, other than for want of a reader."""


def interactive() -> bool:
    """True where a person can be asked: stdin and stderr are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Asks on stderr; anything but yes is no. Raises KeyboardInterrupt for Ctrl-C and for a closed input."""
    return ask(f"{question} [y/N]: ").lower() in {"y", "yes"}


def ask(question: str) -> str:
    """Asks on stderr for a line, without the spaces around it. Raises KeyboardInterrupt as `confirm` does."""
    # An event loop would only note the signal and leave the question standing.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        _wait_for_line()
        answer = sys.stdin.readline()
    finally:
        signal.signal(signal.SIGINT, before)
    if not answer:
        say()
        raise KeyboardInterrupt
    return answer.strip()


def _wait_for_line() -> None:
    """Returns when a line can be read. A signal that came right before a blocking read would be lost to it."""
    try:
        descriptor = sys.stdin.fileno()
    except (OSError, ValueError):  # no real file: a test's
        return
    while not select.select([descriptor], [], [], 0.2)[0]:
        pass


def full_screen() -> bool:
    """True where the terminal interface can be drawn."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb"}


def ascii_only(stream: TextIO | None = None) -> bool:
    """True where signs beyond ASCII are not to be trusted."""
    from themes.signs import ascii_only as decide

    out = sys.stdout if stream is None else stream
    return decide(os.environ, out.encoding or "ascii") if out.isatty() else not _utf8(out)


def _utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "").replace("_", "") == "utf8"


def coloured(stream: TextIO) -> bool:
    """True where colour may be used."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") != "dumb"


def paint(text: str, role: Role, stream: TextIO) -> str:
    """Text in the colour of its meaning, where the stream takes colour."""
    code = _CODES[role]
    return f"\x1b[{code}m{text}\x1b[0m" if code and text and coloured(stream) else text


def signed(sign: Sign, stream: TextIO) -> str:
    """A sign and its word in colour."""
    return paint(sign.text(ascii_only=ascii_only(stream)), sign.role, stream)


def out(text: str = "") -> None:
    """A line of data."""
    _write(sys.stdout, text + "\n")


def out_bytes(data: bytes) -> None:
    """Bytes as they are, to stdout."""
    if "stdout" in _closed:
        return
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as error:
        _give_up(sys.stdout, "stdout", error)


def emit(document: Mapping[str, Any]) -> None:
    """One JSON object as one line, in ASCII."""
    out(json.dumps(document, separators=(",", ":"), allow_nan=False))


def say(text: str = "") -> None:
    """A line of progress or diagnostics."""
    _write(sys.stderr, text + "\n")


def note(text: str) -> None:
    """A line that says what to do next."""
    say(paint(text, "muted", sys.stderr))


def clean(text: str | bytes, max_chars: int | None = None) -> str:
    """Text that is not our own as display text on one line."""
    from core.display import display_line

    return display_line(text, ascii_only=not _utf8(sys.stdout), max_chars=max_chars)


def _write(stream: TextIO, text: str) -> None:
    name = "stdout" if stream is sys.stdout else "stderr"
    if name in _closed:
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _give_up(stream, name, error)


def _give_up(stream: TextIO, name: str, error: OSError) -> None:
    """What follows goes nowhere, also at exit. A reader that went away is no fault; a full disk is."""
    _closed.add(name)
    if name == "stdout" and error.errno not in (errno.EPIPE, errno.EIO):
        lost.append(f"stdout could not be written: {error.strerror}")
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, stream.fileno())
    os.close(void)


def table(
    headers: Sequence[str], rows: Sequence[Sequence[Cell]], *, right: Sequence[str] = (), max_chars: int = 72
) -> list[str]:
    """Aligned plain text, one line for each row; the columns named in `right` are right-aligned.

    Cells are cleaned and cut to `max_chars`. The last column is not padded.
    """
    texts: list[list[str]] = [[_text(cell, max_chars) for cell in row] for row in rows]
    widths = [max([len(header), *(len(row[i]) for row in texts)]) for i, header in enumerate(headers)]
    lines = [paint(_line(headers, headers, widths, right), "muted", sys.stdout)]
    for row, shown in zip(rows, texts, strict=True):
        padded = [_pad(headers[i], text, widths[i], right) for i, text in enumerate(shown)]
        cells = [
            paint(text, cell[1], sys.stdout) if isinstance(cell, tuple) else text
            for cell, text in zip(row, padded, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _line(headers: Sequence[str], cells: Sequence[str], widths: Sequence[int], right: Sequence[str]) -> str:
    return "  ".join(_pad(headers[i], cell, widths[i], right) for i, cell in enumerate(cells)).rstrip()


def _pad(header: str, text: str, width: int, right: Sequence[str]) -> str:
    return text.rjust(width) if header in right else text.ljust(width)


def _text(cell: Cell, max_chars: int) -> str:
    return clean(cell[0] if isinstance(cell, tuple) else cell, max_chars)
