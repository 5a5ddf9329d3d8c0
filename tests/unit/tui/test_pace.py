"""How fast steps go: told from what was seen, never from the time in which a run stood still."""

from __future__ import annotations

import dataclasses

import pytest

from core.model.states import RunState, TaskState
from tests.functional.scripted_engine import NOW, run_info, step
from tui import pace
from tui.pace import Paces

RUN = run_info(1, "b", RunState.RUNNING, began_s=100, tasks=100)
BUILD = step(
    0,
    "build",
    tasks=100,
    counts={TaskState.DONE: 40, TaskState.RUNNING: 10, TaskState.WAITING: 50},
    started=NOW - 20,
)


def test_a_step_tells_its_pace_and_how_long_it_takes_still() -> None:
    paces = Paces()
    paces.see(RUN, [BUILD], NOW, executing=True)
    told = paces.of_step(BUILD, NOW)
    assert told.per_s == pytest.approx(2.0) and told.left_s == pytest.approx(30.0)
    assert pace.told(told.per_s) == "2.0/s" and pace.left(told.left_s) == "~30s"


def test_nothing_is_told_too_early_or_of_what_does_not_go_on() -> None:
    paces = Paces()
    paces.see(RUN, [BUILD], NOW, executing=True)
    young = dataclasses.replace(BUILD, started=NOW - 1)
    few = dataclasses.replace(BUILD, counts={TaskState.DONE: 1, TaskState.RUNNING: 1})
    over = dataclasses.replace(BUILD, counts={TaskState.DONE: 100})
    for each in (young, few, over, dataclasses.replace(BUILD, started=None)):
        assert paces.of_step(each, NOW).per_s is None
    paces.see(RUN, [BUILD], NOW, executing=False)
    assert paces.of_run is None and paces.of_step(BUILD, NOW).per_s is None


def test_the_time_in_which_a_run_stood_still_is_left_out() -> None:
    paces = Paces()
    paces.see(RUN, [BUILD], NOW, executing=False)
    paces.see(RUN, [BUILD], NOW + 1000, executing=True)
    assert paces.of_step(BUILD, NOW + 1001).per_s is None, "nothing was seen yet"
    later = dataclasses.replace(BUILD, counts={TaskState.DONE: 60, TaskState.RUNNING: 10})
    assert paces.of_step(later, NOW + 1010).per_s == pytest.approx(2.0)
    fresh = step(1, "next", tasks=10, counts={TaskState.DONE: 5, TaskState.RUNNING: 1}, started=NOW + 1005)
    assert paces.of_step(fresh, NOW + 1010).per_s == pytest.approx(1.0), "a step that began since"


@pytest.mark.parametrize(
    ("per_s", "told"),
    [(123.4, "123/s"), (9.96, "10/s"), (2.14, "2.1/s"), (0.2, "12/min"), (0.002, "7/h"), (1e-9, "1/h"), (None, "")],
)  # fmt: skip
def test_paces_in_few_cells(per_s: float | None, told: str) -> None:
    assert pace.told(per_s) == told and len(told) <= 7


@pytest.mark.parametrize(
    ("left_s", "told"), [(3, "~5s"), (41, "~40s"), (70, "~1m"), (600, "~10m"), (9000, "~2h"), (None, "")]
)
def test_estimates_in_few_cells(left_s: float | None, told: str) -> None:
    assert pace.left(left_s) == told
