"""The lanes beside the steps of a run: what waits for what, in any shape, in any width."""

from __future__ import annotations

import itertools
import random

import pytest

from core.model.views import StepNeed
from tui.glyphs import ASCII, UNICODE, Glyphs
from tui.step_graph import MOST_STEPS, drawn, step_graph

Needs = dict[str, list[str]]
LINE: Needs = {"a": [], "b": ["a"], "c": ["b", "a"]}
FAN: Needs = {"prepare": [], "a": ["prepare"], "b": ["prepare"], "c": ["prepare"], "done": ["a", "b", "c"]}
MIXED: Needs = {
    "folders": [],
    "migrate": ["folders"],
    "program": ["folders"],
    "page": ["folders"],
    "serve": ["program"],
    "publish": ["serve", "page"],
    "announce": ["publish", "migrate"],
    "lint": [],
}


def picture(needs: Needs, most: int = 8, glyphs: Glyphs = UNICODE) -> list[str]:
    listed = [StepNeed(step, need, True, True) for step, before in needs.items() for need in before]
    graph = step_graph(list(needs), listed)
    rows = [(*drawn(graph, name, glyphs, most), name) for name in graph.order]
    assert {len(before) + 1 + len(after) for before, after, _ in rows} == {graph.cells(most)}
    return [f"{before}o{after} {name}" for before, after, name in rows]


def test_a_line_has_no_lanes_and_no_needless_ones() -> None:
    assert picture(LINE) == ["o a", "o b", "o c"]


def test_what_opens_out_and_comes_together() -> None:
    assert picture(FAN) == ["o─┬─╮ prepare", "o │ │ a", "│ o │ b", "│ │ o c", "o─┴─╯ done"]


def test_lanes_that_end_are_taken_again_and_a_loner_hangs_on_nothing() -> None:
    assert picture(MIXED) == [
        "o─┬─╮ folders",
        "o │ │ migrate",
        "│ o │ program",
        "│ │ o page",
        "│ o │ serve",
        "│ o─╯ publish",
        "o─╯   announce",
        "  o   lint",
    ]


def test_plain_terminals_get_plain_lanes() -> None:
    assert picture(FAN, glyphs=ASCII) == ["o-+-\\ prepare", "o | | a", "| o | b", "| | o c", "o-+-/ done"]


def test_where_room_is_short_the_last_lanes_are_one() -> None:
    assert picture(FAN, 2) == ["o─╮ prepare", "o ┊ a", "│ o b", "│ o c", "o─╯ done"]
    assert picture(FAN, 1) == ["o prepare", "o a", "o b", "o c", "o done"]


def test_a_step_stands_below_what_it_waits_for() -> None:
    assert picture({"last": ["first"], "first": []}) == ["o first", "o last"]
    assert picture({"alone": ["not there"]}) == ["o alone"]


@pytest.mark.parametrize("seed", range(20))
def test_any_graph_is_drawn_with_every_lane_led_to_its_end(seed: int) -> None:
    chance = random.Random(seed)
    names = [f"s{number}" for number in range(30)]
    needs = {name: chance.sample(names[:at], k=min(at, chance.randrange(4))) for at, name in enumerate(names)}
    listed = [StepNeed(step, need, True, True) for step, before in needs.items() for need in before]
    graph = step_graph(names, listed)
    assert list(graph.order) == names
    for before, after in itertools.pairwise(graph.order):
        assert graph.rows[before].below == graph.rows[after].above
    assert not graph.rows[graph.order[-1]].below
    for most in (1, 2, 5, 40):
        picture(needs, most)


def test_of_very_many_steps_no_lanes_are_drawn() -> None:
    names = [f"s{number}" for number in range(MOST_STEPS + 1)]
    graph = step_graph(names, [StepNeed(names[-1], name, True, True) for name in names[:-1]])
    assert graph.cells(8) == 1 and len(graph.order) == len(names)
