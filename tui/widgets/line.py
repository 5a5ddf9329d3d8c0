"""Lines of spans: one row each, two ends, no markup; and the progress line of a run."""

from __future__ import annotations

from textual.strip import Strip
from textual.widget import Widget

from tui.look import look
from tui.paint import Span, Spans, spread, strip


class SpanLine(Widget):
    """One row with a left and a right end; where both don't fit, the left one is cut."""

    DEFAULT_CSS = """
    SpanLine { height: 1; width: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._left: Spans = ()
        self._right: Spans = ()

    def show(self, left: Spans, right: Spans = ()) -> None:
        """What the line says; drawn only where it differs from before."""
        if (tuple(left), tuple(right)) != (tuple(self._left), tuple(self._right)):
            self._left, self._right = tuple(left), tuple(right)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        if y or width <= 0:
            return Strip.blank(max(0, width), self.rich_style)
        style = look(self)
        spans = spread(self._left, self._right, width, style.glyphs.ellipsis)
        return strip(spans, width, style.paint, self.rich_style)


def bar(share: float, width: int, full: str, head: str, empty: str, role: str = "accent") -> list[Span]:
    """A progress bar of `width` cells; `share` is 0.0 to 1.0."""
    share = min(1.0, max(0.0, share))
    done = int(share * width)
    half = head if done < width and share * width - done >= 0.5 else ""
    return [(full * done + half, role), (empty * (width - done - len(half)), "line")]


class ProgressLine(Widget):
    """A run at a glance: the bar, and beside it figures; the bar takes the room that they leave."""

    DEFAULT_CSS = """
    ProgressLine { height: 1; width: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._share = 0.0
        self._role = "accent"
        self._figures: Spans = ()

    def show(self, share: float, figures: Spans, role: str = "accent") -> None:
        """`share` is 0.0 to 1.0; `role` colours the bar."""
        if (share, tuple(figures), role) != (self._share, tuple(self._figures), self._role):
            self._share, self._figures, self._role = share, tuple(figures), role
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        if y or width <= 0:
            return Strip.blank(max(0, width), self.rich_style)
        style = look(self)
        glyphs = style.glyphs
        taken = sum(len(text) for text, _ in self._figures)
        room = max(0, min(width - taken - 2, 100))
        spans = bar(self._share, room, glyphs.bar_full, glyphs.bar_head, glyphs.bar_empty, self._role)
        return strip([*spans, ("  ", ""), *self._figures], width, style.paint, self.rich_style)
