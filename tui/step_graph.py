"""What the steps of a run wait for, as lanes beside their rows: one row a step, from the top to the bottom.

Pure. A lane leads from a step down to one that waits for it; a step stands on the first lane that leads to it. What
follows from other lanes (a need of a need) has none. Where room is short the last lanes are drawn as one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.model.views import StepNeed
from tui.glyphs import Glyphs

CELLS = 2
"""Cells from one lane to the next."""
MOST_STEPS = 300
"""Of more steps no lanes are drawn: nobody could follow them."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """The row of one step: `at` is its own lane; `above` are lanes that come from above, `below` those that go on
    down; `ends` are those from above that end in the step, `begins` those that begin in it.
    """

    at: int
    above: frozenset[int] = frozenset()
    below: frozenset[int] = frozenset()
    ends: frozenset[int] = frozenset()
    begins: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class StepGraph:
    """`order` is that in which the steps are shown: of the document, but each below what it waits for."""

    order: tuple[str, ...] = ()
    rows: Mapping[str, Lanes] = field(default_factory=dict)
    width: int = 1

    def cells(self, most: int) -> int:
        """How many cells the lanes take where there is room for `most` of them."""
        return CELLS * (max(1, min(self.width, most)) - 1) + 1


def step_graph(names: Sequence[str], needs: Sequence[StepNeed]) -> StepGraph:
    """The lanes of the steps of a run, in document order given. Needs of steps that are not there are left out."""
    parents = _parents(names, needs)
    order = _sorted(names, parents)
    if len(order) > MOST_STEPS:
        return StepGraph(tuple(order), {name: Lanes(0) for name in order})
    parents = _without_needless(order, parents)
    children: dict[str, list[str]] = {name: [] for name in order}
    for name in order:
        for parent in parents[name]:
            children[parent].append(name)
    lanes: list[str] = []  # the step that each lane leads to, "" where it is free
    rows: dict[str, Lanes] = {}
    width, before = 1, -1
    for name in order:
        above = frozenset(at for at, to in enumerate(lanes) if to)
        mine = [at for at, to in enumerate(lanes) if to == name]
        # What waits for nothing does not stand below a step as if it waited for that.
        at = mine[0] if mine else _free(lanes, 0, but=before)
        for lane in mine:
            lanes[lane] = ""
        begins: list[int] = []
        for count, child in enumerate(children[name]):
            lane = at if count == 0 else _free(lanes, at + 1)
            _put(lanes, lane, child)
            begins.append(lane)
        below = frozenset(lane for lane, to in enumerate(lanes) if to)
        rows[name] = Lanes(at, above, below, frozenset(mine), frozenset(begins))
        before = at
        width = max(width, at + 1, *(lane + 1 for lane in (*mine, *begins)))
    return StepGraph(tuple(order), rows, width)


def _parents(names: Sequence[str], needs: Sequence[StepNeed]) -> dict[str, list[str]]:
    known = set(names)
    found: dict[str, list[str]] = {name: [] for name in names}
    for need in needs:
        if need.step in known and need.needs in known and need.needs not in found[need.step]:
            found[need.step].append(need.needs)
    return found


def _sorted(names: Sequence[str], parents: Mapping[str, Sequence[str]]) -> list[str]:
    """In document order, but each below what it waits for."""
    out: list[str] = []
    placed: set[str] = set()
    left = list(names)
    while left:
        name = next((name for name in left if placed.issuperset(parents[name])), left[0])
        left.remove(name)
        placed.add(name)
        out.append(name)
    return out


def _without_needless(order: Sequence[str], parents: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Without the needs that other needs of the step have themselves."""
    before: dict[str, set[str]] = {}  # everything that a step waits for in the end
    found: dict[str, list[str]] = {}
    for name in order:
        drawn = [parent for parent in parents[name] if parent in before]
        through = set().union(*(before[parent] for parent in drawn))
        before[name] = through | set(drawn)
        found[name] = [parent for parent in drawn if parent not in through]
    return found


def _free(lanes: Sequence[str], first: int, but: int = -1) -> int:
    """The first lane from `first` on that leads nowhere, other than `but`."""
    return next(at for at in itertools.count(first) if at != but and (at >= len(lanes) or not lanes[at]))


def _put(lanes: list[str], at: int, step: str) -> None:
    lanes.extend([""] * (at + 1 - len(lanes)))
    lanes[at] = step


def drawn(graph: StepGraph, step: str, glyphs: Glyphs, most: int) -> tuple[str, str]:
    """The lanes left and right of a step's own sign, with room for `most` lanes: `graph.cells(most)` cells with it."""
    row = graph.rows.get(step) or Lanes(0)
    last = max(0, min(graph.width, most) - 1)

    def seen(lanes: frozenset[int]) -> set[int]:
        return {min(lane, last) for lane in lanes}

    own = min(row.at, last)
    ends, begins = seen(row.ends) - {own}, seen(row.begins) - {own}
    through = seen(row.above & (row.below - row.ends - row.begins)) - {own}
    outermost = max(ends | begins, default=own)
    cells = [" "] * (CELLS * last + 1)
    cells[CELLS * own : CELLS * outermost] = glyphs.rule * (CELLS * (outermost - own))
    for lane in through | ends | begins:
        cells[CELLS * lane] = _char(lane, ends, begins, through, outermost, glyphs)
    if graph.width > last + 1 and last in through and last not in ends | begins:
        cells[CELLS * last] = glyphs.bundle
    return "".join(cells[: CELLS * own]), "".join(cells[CELLS * own + 1 :])


def _char(
    lane: int, ends: set[int], begins: set[int], through: set[int], outermost: int, glyphs: Glyphs
) -> str:
    if lane not in ends | begins:
        return glyphs.lane
    if lane in through or (lane in ends and lane in begins):
        return glyphs.both if lane == outermost else glyphs.cross
    if lane in begins:
        return glyphs.fork if lane == outermost else glyphs.forks
    return glyphs.merge if lane == outermost else glyphs.merges
