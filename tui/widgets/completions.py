"""A short list that opens at the cursor of an editor: what may stand there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from rich.cells import cell_len
from textual.geometry import Offset, Size
from textual.widgets import Static

from tui.look import look
from tui.paint import Span, Spans, content, fit

Choice = TypeVar("Choice")

MOST_ROWS = 8
FRAME = 2
"""Cells that the frame takes, in each direction."""


class Completions(Static, Generic[Choice]):
    """Choices, each told as spans; one is chosen. It is no target of the focus: the editor keeps that."""

    can_focus = False
    DEFAULT_CSS = """
    Completions {
        display: none; position: absolute; layer: popup;
        width: auto; height: auto;
        border: $frame $line-focus; background: $surface;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._choices: list[tuple[Choice, Spans]] = []
        self._at = 0

    @property
    def chosen(self) -> Choice | None:
        """What the cursor stands on; None while the list is closed."""
        return self._choices[self._at][0] if self._choices else None

    def open_at(self, cursor: Offset, screen: Size, choices: Sequence[tuple[Choice, Spans]]) -> None:
        """Shows the list below a cell of the screen, above it where there is no room."""
        self._choices, self._at = list(choices), 0
        self.display = True
        self._draw()
        lines = min(len(choices), MOST_ROWS)
        width = max(self._width(spans) for _, spans in self._choices[:MOST_ROWS]) + FRAME
        x = max(0, min(cursor.x - FRAME, screen.width - width))
        below = cursor.y + 1 + lines + FRAME <= screen.height - 1
        self.styles.offset = (x, cursor.y + 1 if below else max(0, cursor.y - lines - FRAME))
        self.styles.max_width = screen.width - x

    def close(self) -> None:
        """Takes the list away."""
        self._choices, self.display = [], False

    def move(self, by: int) -> None:
        """Chooses another one; after the last comes the first."""
        if self._choices:
            self._at = (self._at + by) % len(self._choices)
            self._draw()

    @staticmethod
    def _width(spans: Spans) -> int:
        return sum(cell_len(text) for text, _ in spans) + 2

    def _draw(self) -> None:
        glyphs = look(self).glyphs
        first = max(0, min(self._at - MOST_ROWS + 1, len(self._choices) - MOST_ROWS))
        first = max(first, self._at - MOST_ROWS + 1)
        lines: list[Spans] = []
        for index in range(first, min(first + MOST_ROWS, len(self._choices))):
            mark: Span = (f"{glyphs.cursor} ", "accent") if index == self._at else ("  ", "")
            spans = fit(self._choices[index][1], max(10, self.app.size.width - 6), glyphs.ellipsis)
            if index == self._at:
                spans = [(text, role if role else "bold") for text, role in spans]
            lines.append([mark, *spans])
        self.update(content(lines))
        self.border_subtitle = (
            f"{self._at + 1} of {len(self._choices)}" if len(self._choices) > MOST_ROWS else ""
        )
