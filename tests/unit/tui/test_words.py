"""Numbers and times as people read them."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.states import RunState, TaskState, UndoState
from tests.functional.scripted_engine import NOW, run_info
from tui import words


@pytest.mark.parametrize(
    ("seconds_s", "text"),
    [
        (None, ""),
        (-3, "0s"),
        (0, "0s"),
        (0.4, "0.4s"),
        (0.99, "1s"),
        (41, "41s"),
        (59.6, "1m 00s"),
        (64, "1m 04s"),
        (3599.4, "59m 59s"),
        (3720, "1h 02m"),
        (273_700, "3d 04h"),
    ],
)
def test_durations(seconds_s: float | None, text: str) -> None:
    assert words.duration(seconds_s) == text


@pytest.mark.parametrize(
    ("passed", "text"),
    [(-5, "now"), (4, "now"), (41, "41s ago"), (720, "12m ago"), (10_800, "3h ago"), (500_000, "5d ago")],
)
def test_ago(passed: float, text: str) -> None:
    assert words.ago(NOW - passed, NOW) == text


@pytest.mark.parametrize(
    ("seconds_s", "text"),
    [
        (None, "–"),
        (3, "a few seconds left"),
        (12, "about 10s left"),
        (47, "about 50s left"),
        (56, "about 1m left"),
        (130, "about 2m left"),
        (3580, "about 1h 00m left"),
        (4300, "about 1h 10m left"),
    ],
)
def test_estimates_are_no_more_exact_than_they_are(seconds_s: float | None, text: str) -> None:
    assert words.about(seconds_s) == text


def test_an_estimate_needs_something_to_go_by() -> None:
    run = run_info(1, "b", RunState.RUNNING, began_s=60, tasks=100)
    assert words.left_s(run, NOW) is None
    assert (
        words.left_s(dataclasses.replace(run, counts={TaskState.DONE: 4}), NOW) is None
    )  # too few of a hundred
    assert words.left_s(dataclasses.replace(run, counts={TaskState.DONE: 25}), NOW) == pytest.approx(180)
    # A run that stood still is measured from when it went on.
    pace = words.Pace(NOW - 20, ended=15)
    assert words.left_s(dataclasses.replace(run, counts={TaskState.DONE: 25}), NOW, pace) == pytest.approx(
        150
    )
    young = run_info(1, "b", RunState.RUNNING, began_s=1, tasks=10, counts={TaskState.DONE: 5})
    assert words.left_s(young, NOW) is None
    ended = run_info(1, "b", RunState.DONE, began_s=60, ended_s=10, tasks=10, counts={TaskState.DONE: 10})
    assert words.left_s(ended, NOW) is None and words.elapsed_s(ended, NOW) == 50


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_hundred_percent_means_all(part: int, whole: int) -> None:
    share = words.percent(min(part, whole), whole)
    assert 0 <= share <= 100
    assert (share == 100) == (whole > 0 and part >= whole)


@given(st.floats(0, 10**9, allow_nan=False))
def test_durations_and_estimates_fit_their_columns(seconds_s: float) -> None:
    assert len(words.duration(seconds_s)) <= 10
    assert len(words.about(min(seconds_s, 10**7))) <= 24


def test_small_words() -> None:
    assert words.plural(1, "server") == "1 server" and words.plural(2, "batch", "batches") == "2 batches"
    assert [words.size(n) for n in (812, 1400, 3_000_000, 7 * 10**9)] == [
        "812 B",
        "1.4 kB",
        "3.0 MB",
        "7.0 GB",
    ]
    assert words.listed(["a", "b"]) == "a, b" and words.listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert (
        words.trouble({TaskState.DONE: 3, TaskState.IN_DOUBT: 2, TaskState.FAILED: 1})
        == "1 failed, 2 in doubt"
    )
    assert words.undo_trouble({UndoState.UNDONE: 1, UndoState.FAILED: 2}) == "2 undo failed"
    assert words.as_typed(True) == "true" and words.as_typed(1.5) == "1.5"
