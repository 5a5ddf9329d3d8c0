"""Numbers and times as people read them."""

from __future__ import annotations

import pytest

from cli import words
from core.model.states import TaskState


@pytest.mark.parametrize(
    ("seconds_s", "text"),
    [
        (None, ""),
        (-3, "0.0s"),
        (0.04, "0.0s"),
        (1.26, "1.3s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (64, "1m 04s"),
        (3599.7, "1h 00m"),
        (3720, "1h 02m"),
        (86400 * 3 + 3600 * 4, "3d 04h"),
    ],
)
def test_duration(seconds_s: float | None, text: str) -> None:
    assert words.duration(seconds_s) == text


@pytest.mark.parametrize(
    ("passed_s", "text"),
    [
        (-5, "now"),
        (4.9, "now"),
        (41, "41s ago"),
        (59.9, "59s ago"),
        (60, "1m ago"),
        (12 * 60 + 59, "12m ago"),
        (3600, "1h ago"),
        (3 * 3600 + 59, "3h ago"),
        (86399, "23h ago"),
        (86400 * 5, "5d ago"),
    ],
)
def test_ago(passed_s: float, text: str) -> None:
    assert words.ago(1000.0, 1000.0 + passed_s) == text


def test_lists_and_counts() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a", "b", "c", "d"]) == "a, b, c, d"  # "and 1 more" would be longer
    assert words.listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert words.plural(1, "batch", "batches") == "1 batch"
    assert words.plural(2, "batch", "batches") == "2 batches"
    assert words.plural(0, "task") == "0 tasks"
    counts = {TaskState.DONE: 3, TaskState.WAITING: 0, TaskState.IN_PLACE: 1, TaskState.FAILED: 2}
    assert words.counted(counts) == "3 done, 1 in place, 2 failed"
