"""How the interface looks on this terminal: glyphs, colours and the clock, in one place that widgets ask.

The app owns one `Look`; widgets reach it through `look(widget)` and never import the app.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.dom import DOMNode
from textual.message import Message
from textual.scrollbar import ScrollBarRender

from core.display import display_line
from themes.signs import Sign
from tui.glyphs import Glyphs
from tui.paint import Paint, Span


@dataclass(slots=True)
class Look:
    """`clock` gives wall time in seconds; `paint` is replaced when the theme changes; `wrap` says whether long lines of
    output go on in the next row.
    """

    glyphs: Glyphs
    paint: Paint
    ascii_only: bool
    clock: Callable[[], float]
    wrap: bool = False

    def mark(self, sign: Sign) -> str:
        """A sign as this terminal can draw it."""
        return sign.mark(ascii_only=self.ascii_only)

    def signed(self, sign: Sign) -> Span:
        """A sign and its word in the sign's colour."""
        return sign.text(ascii_only=self.ascii_only), sign.role

    def text(self, data: str | bytes, *, max_chars: int | None = 500) -> str:
        """Any text that is not our own, as display text on one line."""
        return display_line(data, ascii_only=self.ascii_only, max_chars=max_chars)

    def own(self, text: str) -> str:
        """A text of ours, with its few characters beyond ASCII replaced where the terminal has none."""
        return text.translate(_PLAIN) if self.ascii_only else text


_PLAIN = str.maketrans(
    {"·": "-", "–": "-", "…": "...", "▸": ">", "—": "-", "“": '"', "”": '"', "’": "'", "×": "x"}
)


class Chosen(Message):
    """A person chose how things are to look: the app keeps it for the next time."""

    def __init__(self, **chosen: str | bool) -> None:
        super().__init__()
        self.chosen = chosen


def look(node: DOMNode) -> Look:
    """The look of the app that a widget or screen belongs to."""
    app: Any = node.app
    found: Look = app.look
    return found


class PlainScrollBarRender(ScrollBarRender):
    """A scroll bar of blanks in reverse: readable without colours and without block characters."""

    VERTICAL_BARS = [" "]
    HORIZONTAL_BARS = [" "]
