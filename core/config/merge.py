"""Two people changed the same text: which lines are whose, and both put together where they do not overlap.

Lines keep their own ends, so that nothing outside a change is touched. Where both changed the same lines, or lines
that touch, both stand in the result between marks, and nothing is lost.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MINE, MIDDLE, THEIRS = "<<<<<<< yours", "=======", ">>>>>>> on disk"


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of lines that somebody changed. `base` begins at line `line`, counted from 0.

    One who left the lines as they were has them as `base` has them.
    """

    line: int
    base: tuple[str, ...]
    mine: tuple[str, ...]
    theirs: tuple[str, ...]

    @property
    def conflict(self) -> bool:
        """True where both changed it, and not to the same."""
        return self.mine != self.theirs and self.base not in (self.mine, self.theirs)

    @property
    def merged(self) -> tuple[str, ...]:
        """What it comes to, without a conflict."""
        return self.theirs if self.mine == self.base else self.mine


@dataclass(frozen=True, slots=True)
class Merged:
    """Both changes in one text; `conflicts` says how often both stand in it between marks."""

    text: str
    conflicts: int


def regions(base: str, mine: str, theirs: str) -> list[Region]:
    """Where the texts differ from `base`, in its order."""
    lines = [text.splitlines(keepends=True) for text in (base, mine, theirs)]
    edits = [_edits(lines[0], lines[1]), _edits(lines[0], lines[2])]
    return [
        Region(
            start,
            tuple(lines[0][start:end]),
            tuple(_side(lines[1], edits[0], start, end)),
            tuple(_side(lines[2], edits[1], start, end)),
        )
        for start, end in _spans(edits)
    ]


def merge(base: str, mine: str, theirs: str) -> Merged:
    """Both changes in one text; with marks where they overlap."""
    lines = base.splitlines(keepends=True)
    found: list[str] = []
    at = conflicts = 0
    for region in regions(base, mine, theirs):
        found += lines[at : region.line]
        at = region.line + len(region.base)
        if region.conflict:
            conflicts += 1
            for mark, side in ((MINE, region.mine), (MIDDLE, region.theirs)):
                found += [f"{mark}\n", *side]
                if side and not side[-1].endswith("\n"):
                    found.append("\n")
            found.append(f"{THEIRS}\n")
        else:
            found += region.merged
    found += lines[at:]
    return Merged("".join(found), conflicts)


def marked_lines(text: str) -> list[int]:
    """The lines, counted from 1, where marks of a conflict stand."""
    marks = (MINE, MIDDLE, THEIRS)
    return [number for number, line in enumerate(text.splitlines(), 1) if line in marks]


Edit = tuple[int, int, int, int]
"""A stretch of the base and what stands there in the other text: base start and end, other start and end."""


def _edits(base: Sequence[str], other: Sequence[str]) -> list[Edit]:
    matcher = difflib.SequenceMatcher(None, base, other, autojunk=False)
    return [(a, b, c, d) for tag, a, b, c, d in matcher.get_opcodes() if tag != "equal"]


def _spans(edits: Sequence[Sequence[Edit]]) -> Iterator[tuple[int, int]]:
    """Stretches of the base that somebody changed; changes that overlap or touch are one."""
    spans = sorted((start, end) for side in edits for start, end, _, _ in side)
    now: tuple[int, int] | None = None
    for start, end in spans:
        if now is not None and start <= now[1]:
            now = (now[0], max(now[1], end))
            continue
        if now is not None:
            yield now
        now = (start, end)
    if now is not None:
        yield now


def _side(lines: Sequence[str], edits: Sequence[Edit], start: int, end: int) -> Sequence[str]:
    """What stands in a text in place of a stretch of the base."""
    before = [edit for edit in edits if edit[1] <= start and edit[:2] != (start, start) and edit[0] < start]
    inside = [edit for edit in edits if edit[0] >= start and edit[1] <= end]
    shift = before[-1][3] - before[-1][1] if before else 0
    first = start + shift
    after = inside[-1][3] - inside[-1][1] if inside else shift
    return lines[first : end + after]
