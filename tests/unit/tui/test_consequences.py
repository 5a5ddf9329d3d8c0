"""What an action on a run will do, said before: true of the run in each of its states, with the right command."""

from __future__ import annotations

import dataclasses

import pytest

from core.model.states import Asked, RunState, TaskState, UndoState
from tests.functional import lab
from tests.functional.scripted_engine import run_info, step, task
from tui import consequences
from tui.consequences import Act

LIVE = lab.live_run().counted()
STANDS = lab.failed_run().counted()
FAILED = lab.failed_run(doubt=False)


def text(act: Act) -> str:
    return " ".join("".join(part for part, _ in line) for line in act.lines)


def test_a_pause_says_what_ends_and_what_does_not_start() -> None:
    act = consequences.pausing(LIVE)
    assert "5 tasks in flight end first; 28 that wait do not start." in text(act)
    assert list(act.command) == ["runs", "pause", "44"]
    undoing = consequences.pausing(lab.rolling_back_run().counted())
    assert "5 undos in flight end first; 7 more do not start." in text(undoing)


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (STANDS, "asked about 2 tasks in doubt"),
        (STANDS, "2 tasks that failed stay so"),
        (dataclasses.replace(LIVE, interrupted=True), "asked about 5 tasks that were in flight"),
        (dataclasses.replace(LIVE, asked=Asked.PAUSE), "taken back before it came about"),
        (dataclasses.replace(STANDS, asked=Asked.CANCEL), "! It is the cancelling that goes on"),
        (
            dataclasses.replace(lab.rolling_back_run().counted(), state=RunState.PAUSED, asked=Asked.ROLL_BACK),
            "! It is the rollback that goes on: 12 undos left",
        ),
    ],
)  # fmt: skip
def test_a_resume_says_what_it_asks_and_what_it_starts(run, told: str) -> None:
    assert told in text(consequences.resuming(run))


def test_a_retry_names_what_it_opens_and_the_risk() -> None:
    run = FAILED.counted()
    failing = [task for task in FAILED.tasks if task.state in (TaskState.FAILED, TaskState.UNREACHABLE)]
    act = consequences.retrying(run, failing)
    assert "2 tasks open again: publish@web-03, publish@web-09." in text(act)
    assert list(act.command) == ["runs", "retry", "41"]
    risky = [dataclasses.replace(each, may_have_run=True) for each in failing]
    act = consequences.retrying(run, risky)
    assert "may have run already, and runs again" in text(act)
    assert list(act.command) == ["runs", "retry", "41", "--accept-risk"]
    one = consequences.retrying_one(run, risky[0])
    assert "1 other task that failed stay so" in text(one)
    assert list(one.command) == ["runs", "retry", "41", "publish@web-03", "--accept-risk"]


def test_a_rollback_names_what_it_undoes_in_its_order_and_what_stays() -> None:
    begun = [
        step(0, "prepare", tasks=1, counts={TaskState.DONE: 1}),
        step(1, "migrate", tasks=1, counts={TaskState.IN_DOUBT: 1}, irreversible=True),
        step(2, "publish", tasks=2, counts={TaskState.FAILED: 1, TaskState.BLOCKED: 1}),
        step(3, "served", tasks=1, counts={TaskState.BLOCKED: 1}),
    ]
    act = consequences.rolling_back(STANDS, begun)
    assert "In this order: publish, prepare." in text(act)
    assert "! cannot be undone: migrate" in text(
        act
    ) and "2 tasks in doubt will be decided as failed" in text(act)
    assert act.by_name and list(act.command) == ["runs", "rollback", "41"]
    guarded = consequences.rolling_back(dataclasses.replace(STANDS, confirm="shop/prod"), begun)
    assert list(guarded.command) == ["runs", "rollback", "41", "--confirm", "NAME"], (
        "the name is typed by a person"
    )


def test_a_cancel_says_what_it_stops_and_what_stays() -> None:
    act = consequences.cancelling(LIVE)
    assert "5 tasks in flight will be stopped; 28 that wait never start." in text(act)
    assert "What is done stays done" in text(act)


def test_only_what_is_in_doubt_can_be_skipped() -> None:
    doubtful = task(0, "a", "s", TaskState.IN_DOUBT)
    assert consequences.why_not_skip(doubtful) == ""
    assert "r opens it again" in consequences.why_not_skip(task(0, "a", "s", TaskState.FAILED))
    assert "waiting" in consequences.why_not_skip(task(0, "a", "s", TaskState.WAITING))
    undo = task(0, "a", "s", TaskState.DONE, undo=UndoState.IN_DOUBT)
    assert "undo in doubt cannot be skipped" in consequences.why_not_skip(undo)
    assert consequences.why_not_skip(None)


def test_a_retry_after_a_cancel_opens_what_never_started() -> None:
    run = run_info(
        3, "b", RunState.CANCELLED, began_s=9, asked=Asked.CANCEL, tasks=4, counts={TaskState.CANCELLED: 4}
    )
    act = consequences.retrying(run, ())
    assert "4 tasks that the cancel kept from starting do start" in text(act)
    assert act.done == "4 tasks opened again"
