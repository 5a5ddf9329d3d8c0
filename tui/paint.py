"""From spans (text with a role) to strips of a line: the one place where roles become colours.

A span is `(text, role)`; a role is one of `themes.signs.Role`, "" for plain text, or a role with "bold " before it.
Text in spans must already be display text (`core.display`); it is never parsed as markup. Widths are in cells.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.strip import Strip

Span = tuple[str, str]
Spans = Sequence[Span]


LOUD = frozenset({"error", "warning", "accent"})
QUIET = frozenset({"muted", "faint", "line"})
"""What is bold, and what is dim, where a theme has no colours."""


class Paint:
    """Styles for roles, from the colours of one theme. Cheap to ask, rebuilt when the theme changes."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._styles: dict[str, Style] = {"": Style()}

    def role(self, name: str) -> Style:
        """The style of a role; an unknown role is plain text."""
        style = self._styles.get(name)
        if style is None:
            bold = name.startswith("bold")
            dim_name = name.removeprefix("bold").strip()
            color = self.color(dim_name) if dim_name else None
            dim = False
            if color is not None and color.is_default:  # a theme without colours: by weight then
                bold = bold or dim_name in LOUD
                dim = not bold and dim_name in QUIET
            style = Style(color=color, bold=bold or None, dim=dim or None)
            self._styles[name] = style
        return style

    def color(self, name: str) -> Color | None:
        """The colour of a theme variable; None where it is no plain colour."""
        value = self._variables.get(name, "")
        if value.startswith("ansi_"):
            return Color.parse(value.removeprefix("ansi_"))
        return Color.parse(value) if value.startswith("#") and len(value) == 7 else None

    def ground(self, name: str) -> Style:
        """A background block: the chosen row, or PRODUCTION."""
        color = self.color(name)
        return Style(reverse=True) if color is not None and color.is_default else Style(bgcolor=color)


def width_of(spans: Spans) -> int:
    """How many cells the spans take."""
    return sum(cell_len(text) for text, _ in spans)


def fit(spans: Spans, width: int, ellipsis: str) -> list[Span]:
    """The spans cut to a width, the cut marked by the ellipsis; not padded."""
    if width_of(spans) <= width:
        return list(spans)
    if width <= 0:
        return []
    out: list[Span] = []
    room = width - cell_len(ellipsis)
    for text, role in spans:
        length = cell_len(text)
        if length > room:
            out.append((set_cell_size(text, max(0, room)).rstrip() + ellipsis, role))
            break
        out.append((text, role))
        room -= length
    return out


def pad(spans: Spans, width: int, ellipsis: str, *, right: bool = False) -> list[Span]:
    """The spans at exactly a width, aligned left or `right`."""
    cut = fit(spans, width, ellipsis)
    space = (" " * (width - width_of(cut)), "")
    return [space, *cut] if right else [*cut, space]


def spread(left: Spans, right: Spans, width: int, ellipsis: str) -> list[Span]:
    """`left` and `right` at the two ends of a line; where both don't fit, the left one is cut."""
    right = fit(right, width, ellipsis)
    room = width - width_of(right) - (1 if right else 0)
    left = fit(left, max(0, room), ellipsis)
    gap = max(0, width - width_of(left) - width_of(right))
    return [*left, (" " * gap, ""), *right]


def strip(spans: Iterable[Span], width: int, paint: Paint, base: Style, over: Style | None = None) -> Strip:
    """One line: `base` under the roles, `over` (a background) above them."""
    segments = []
    for text, role in spans:
        if text:
            style = base + paint.role(role) if role else base
            segments.append(Segment(text, style + over if over else style))
    ground = base + over if over else base
    return Strip(segments).adjust_cell_length(width, ground)


def content(lines: Iterable[Spans]) -> Content:
    """Several lines of spans for a `Static`; roles become theme variables, the text stays literal."""
    parts: list[Content | tuple[str, str]] = []
    for number, line in enumerate(lines):
        if number:
            parts.append(("\n", ""))
        parts += [(text, _content_style(role)) for text, role in line]
    return Content.assemble(*parts)


def _content_style(role: str) -> str:
    bold = "bold" if role.startswith("bold") else ""
    name = role.removeprefix("bold").strip()
    return f"{bold} ${name}".strip() if name else bold


def hanging(label: Span, text: str, width: int, role: str = "") -> list[Spans]:
    """A label and a text beside it, wrapped at a width in cells so that the text keeps its left edge."""
    indent = cell_len(label[0])
    wrapped = textwrap.wrap(text, max(20, width - indent)) or [""]
    first: Spans = [label, (wrapped[0], role)]
    return [first, *([(" " * indent, ""), (line, role)] for line in wrapped[1:])]
