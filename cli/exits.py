"""The exit statuses of the command line: one enumeration, documented in docs/reference/exit-statuses.md.

Where several fit, the first of the order 130, 3, 2, 70, 4, 5, 1, 6, 0 is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.model.views import RunInfo


class Exit(IntEnum):
    """What a command ends with."""

    OK = 0
    RUN_FAILED = 1
    BAD_INPUT = 2
    OWNED = 3
    NEEDS_PERSON = 4
    ROLLED_BACK = 5
    UNREACHABLE = 6
    INTERNAL = 70
    INTERRUPTED = 130


PRECEDENCE = (
    Exit.INTERRUPTED,
    Exit.OWNED,
    Exit.BAD_INPUT,
    Exit.INTERNAL,
    Exit.NEEDS_PERSON,
    Exit.ROLLED_BACK,
    Exit.RUN_FAILED,
    Exit.UNREACHABLE,
    Exit.OK,
)

MEANINGS: Mapping[Exit, str] = {
    Exit.OK: "it did what was asked; failures within `max_failures` are named in the last line",
    Exit.RUN_FAILED: "the run failed, was cancelled, or its rollback failed",
    Exit.BAD_INPUT: "bad input: a document, an option, a name, or an action that does not fit the run's state",
    Exit.OWNED: "another engine owns the workspace; it is named",
    Exit.NEEDS_PERSON: "a person must decide or confirm; a paused run too",
    Exit.ROLLED_BACK: "the run was rolled back wholly",
    Exit.UNREACHABLE: "servers or the engine could not be reached, and nothing else is wrong",
    Exit.INTERNAL: "an internal error; a crash report was written",
    Exit.INTERRUPTED: "interrupted; the run can be resumed",
}


def first_of(*statuses: Exit) -> Exit:
    """The status that goes before the others."""
    return min(statuses, key=PRECEDENCE.index, default=Exit.OK)


def status_of(run: RunInfo) -> Exit:
    """What a command that followed `run` ends with."""
    from core.model.states import RunState, TaskState

    if run.interrupted:
        return Exit.INTERRUPTED
    match run.state:
        case RunState.DONE:
            return Exit.OK
        case RunState.PAUSED | RunState.WAITING:
            return Exit.NEEDS_PERSON
        case RunState.ROLLED_BACK:
            return Exit.ROLLED_BACK
        case RunState.RUNNING | RunState.ROLLING_BACK:
            return Exit.INTERRUPTED  # nobody followed it to its end
        case RunState.FAILED:
            lost, failed = run.counts.get(TaskState.UNREACHABLE), run.counts.get(TaskState.FAILED)
            return Exit.UNREACHABLE if lost and not failed else Exit.RUN_FAILED
        case _:
            return Exit.RUN_FAILED
