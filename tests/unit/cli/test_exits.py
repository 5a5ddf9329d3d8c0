"""Exit statuses: which one a run gets, which goes first, and that the page says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.exits import MEANINGS, PRECEDENCE, Exit, first_of, status_of
from core import errors
from core.model.states import Asked, RunState, TaskState
from core.model.views import RunInfo


def run(state: RunState, *, interrupted: bool = False, **counts: int) -> RunInfo:
    return RunInfo(
        number=1,
        run_id="0" * 32,
        batch="work",
        path="work.yaml",
        state=state,
        asked=Asked.RUN,
        why="",
        actor="tester@here",
        created=0.0,
        ended=None,
        tasks=sum(counts.values()),
        counts={TaskState(name): count for name, count in counts.items()},
        interrupted=interrupted,
    )


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (run(RunState.DONE, done=3), Exit.OK),
        (run(RunState.DONE, done=3, failed=1), Exit.OK),  # within max_failures
        (run(RunState.FAILED, done=3, failed=1), Exit.RUN_FAILED),
        (run(RunState.FAILED, failed=1, unreachable=1), Exit.RUN_FAILED),
        (run(RunState.FAILED, done=3, unreachable=1, blocked=2), Exit.UNREACHABLE),
        (run(RunState.FAILED, done=3), Exit.RUN_FAILED),
        (run(RunState.CANCELLED, cancelled=3), Exit.RUN_FAILED),
        (run(RunState.CANCELLED, unreachable=3), Exit.RUN_FAILED),
        (run(RunState.ROLLBACK_FAILED, done=3), Exit.RUN_FAILED),
        (run(RunState.ROLLED_BACK, done=3), Exit.ROLLED_BACK),
        (run(RunState.PAUSED, done=3), Exit.NEEDS_PERSON),
        (run(RunState.WAITING, in_doubt=3), Exit.NEEDS_PERSON),
        (run(RunState.RUNNING, interrupted=True, running=3), Exit.INTERRUPTED),
        (run(RunState.ROLLING_BACK, interrupted=True, done=3), Exit.INTERRUPTED),
    ],
)
def test_status_of(found: RunInfo, status: Exit) -> None:
    assert status_of(found) is status


def test_every_state_of_a_run_has_a_status() -> None:
    assert {status_of(run(state)) for state in RunState} <= set(Exit)


def test_the_order_of_precedence() -> None:
    assert [int(status) for status in PRECEDENCE] == [130, 3, 2, 70, 4, 5, 1, 6, 0]
    assert set(PRECEDENCE) == set(Exit) == set(MEANINGS)
    assert first_of(Exit.OK, Exit.UNREACHABLE, Exit.RUN_FAILED) is Exit.RUN_FAILED
    assert first_of(Exit.NEEDS_PERSON, Exit.INTERRUPTED) is Exit.INTERRUPTED
    assert first_of() is Exit.OK


def test_errors_end_with_a_status_of_the_enumeration() -> None:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    kinds = [kind for kind in found if issubclass(kind, errors.WindlassError)]
    assert len(kinds) > 8
    assert {kind.exit_status for kind in kinds} <= set(Exit)


def test_the_page_lists_every_status_in_the_order_of_precedence(repository: Path) -> None:
    page = (repository / "docs" / "reference" / "exit-statuses.md").read_text()
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \| (.+?) \|$", page, re.MULTILINE)
    assert [(int(status), name, text) for status, name, text in rows] == [
        (int(status), status.name, MEANINGS[status]) for status in PRECEDENCE
    ]
