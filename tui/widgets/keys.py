"""The bottom line: at most eight keys that matter now, dimmed where they do nothing, and always `? keys`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.strip import Strip
from textual.widget import Widget

from tui.look import look
from tui.paint import Span, strip

MAX_KEYS = 8


@dataclass(frozen=True, slots=True)
class KeyHint:
    """One key. `reason` says why it does nothing now; "" when it does."""

    key: str
    label: str
    action: str
    reason: str = ""


class KeyLine(Widget):
    """Draws hints that fit, in their order; the last one is kept whatever the width. A click runs the action."""

    DEFAULT_CSS = """
    KeyLine { height: 1; width: 1fr; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._hints: tuple[KeyHint, ...] = ()

    def show(self, hints: Sequence[KeyHint]) -> None:
        """The hints, most important first; the last one stays."""
        cut = tuple(hints) if len(hints) <= MAX_KEYS else (*hints[: MAX_KEYS - 1], hints[-1])
        if cut != self._hints:
            self._hints = cut
            self.refresh()

    def _placed(self, width: int) -> list[tuple[int, KeyHint]]:
        """The hints that fit, each with the cell it begins at."""
        if not self._hints:
            return []
        last = self._hints[-1]
        room = width - self._length(last)
        out: list[tuple[int, KeyHint]] = []
        at = 0
        for hint in self._hints[:-1]:
            length = self._length(hint) + 2
            if at + length > room:
                break
            out.append((at, hint))
            at += length
        return [*out, (at, last)]

    @staticmethod
    def _length(hint: KeyHint) -> int:
        return cell_len(hint.key) + 1 + cell_len(hint.label)

    def render_line(self, y: int) -> Strip:
        width = self.content_size.width
        if y or width <= 0:
            return Strip.blank(max(0, width), self.rich_style)
        spans: list[Span] = []
        for at, (_, hint) in enumerate(self._placed(width)):
            spans.append(("  " if at else "", ""))
            if hint.reason:
                spans.append((f"{hint.key} {hint.label}", "faint"))
            else:
                spans += [(hint.key, "bold accent"), (f" {hint.label}", "")]
        return strip(spans, width, look(self).paint, self.rich_style)

    async def on_click(self, event: events.Click) -> None:
        x = event.x - self.gutter.left
        for at, hint in self._placed(self.content_size.width):
            if at <= x < at + self._length(hint):
                await self.screen.run_action(hint.action)
                return
