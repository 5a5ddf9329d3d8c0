"""The characters that screens are drawn with: one set for Unicode terminals, one of plain ASCII.

Invariant: both sets have the same members, and each character is one cell wide.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What lines, bars and separators look like."""

    arrow: str
    dot: str
    dash: str
    ellipsis: str
    bar_full: str
    bar_head: str
    bar_empty: str
    cursor: str
    rule: str
    stderr: str


UNICODE = Glyphs(
    arrow="▸",
    dot="·",
    dash="–",
    ellipsis="…",
    bar_full="━",
    bar_head="╸",
    bar_empty="─",
    cursor="▌",
    rule="─",
    stderr="┃",
)

ASCII = Glyphs(
    arrow=">",
    dot="-",
    dash="-",
    ellipsis="~",
    bar_full="#",
    bar_head="#",
    bar_empty=".",
    cursor=">",
    rule="-",
    stderr="!",
)


def glyphs(*, ascii_only: bool) -> Glyphs:
    """The set for a terminal."""
    return ASCII if ascii_only else UNICODE
