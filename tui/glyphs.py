"""The characters that screens are drawn with: one set for Unicode terminals, one of plain ASCII.

Invariant: both sets have the same members, and each character is one cell wide.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Glyphs:
    """What lines, bars, separators and the lanes of a graph look like.

    A lane goes down; `fork` begins the outermost one and `forks` one on the way there, `merge` and `merges` end them,
    `both` and `cross` do either, and `bundle` stands for lanes that have no room of their own.
    """

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
    lane: str
    fork: str
    forks: str
    merge: str
    merges: str
    both: str
    cross: str
    bundle: str
    wrapped: str


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
    lane="│",
    fork="╮",
    forks="┬",
    merge="╯",
    merges="┴",
    both="┤",
    cross="┼",
    bundle="┊",
    wrapped="↪",
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
    lane="|",
    fork="\\",
    forks="+",
    merge="/",
    merges="+",
    both="+",
    cross="+",
    bundle=":",
    wrapped="\\",
)


def glyphs(*, ascii_only: bool) -> Glyphs:
    """The set for a terminal."""
    return ASCII if ascii_only else UNICODE
