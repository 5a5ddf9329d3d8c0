"""The states of tasks and runs, and what an operator asked of a run.

The values are stored in the database and shown in events: they are part of the contract.
"""

from __future__ import annotations

from enum import StrEnum


class TaskState(StrEnum):
    """Where one task (a step on a server) stands."""

    WAITING = "waiting"
    BLOCKED = "blocked"
    RUNNING = "running"
    DONE = "done"
    IN_PLACE = "in_place"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    IN_DOUBT = "in_doubt"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def word(self) -> str:
        """The state as people read it: "in place" for `in_place`."""
        return self.value.replace("_", " ")

    @property
    def ended(self) -> bool:
        """True when barriers count the task as ended; a task in doubt is not."""
        return self in ENDED

    @property
    def well(self) -> bool:
        """True when dependents on the same server may start."""
        return self in WELL


WELL = frozenset({TaskState.DONE, TaskState.IN_PLACE, TaskState.SKIPPED})
FAILING = frozenset({TaskState.FAILED, TaskState.UNREACHABLE})
ENDED = WELL | FAILING | {TaskState.BLOCKED, TaskState.CANCELLED}


class Phase(StrEnum):
    """What a running task is doing; durable, so that a restart knows what to look for."""

    CONNECT = "connect"
    CHECK = "check"
    RUN = "run"
    VERIFY = "verify"
    BACKOFF = "back_off"

    @property
    def word(self) -> str:
        """The phase as people read it."""
        return self.value.replace("_", "-")


class UndoState(StrEnum):
    """How far the undo of a task has come; a column of its own beside the outcome."""

    NONE = "none"
    PENDING = "pending"
    UNDOING = "undoing"
    UNDONE = "undone"
    FAILED = "undo_failed"
    IN_DOUBT = "undo_in_doubt"

    @property
    def word(self) -> str:
        """The state as people read it."""
        return self.value.replace("_", " ")


class RunState(StrEnum):
    """Where one run stands. Interrupted is no state: it is running without an engine."""

    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting_for_person"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"

    @property
    def word(self) -> str:
        """The state as people read it."""
        return self.value.replace("_", " ")

    @property
    def open(self) -> bool:
        """True while the run can go on by itself or by a person, so that it holds its servers."""
        return self in OPEN_RUNS


OPEN_RUNS = frozenset({RunState.RUNNING, RunState.PAUSED, RunState.WAITING, RunState.ROLLING_BACK})


class Asked(StrEnum):
    """What a person (or a policy) wants of a run: durable, carried on by the next engine."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"
    ROLL_BACK = "roll_back"


class Decision(StrEnum):
    """What a person says of a task in doubt."""

    RETRY = "retry"
    DONE = "done"
    FAILED = "failed"
    SKIP = "skip"


class InDoubtPolicy(StrEnum):
    """What a headless run does with tasks in doubt; FAIL decides nothing and ends with status 4."""

    RETRY = "retry"
    SKIP = "skip"
    FAIL = "fail"


class Purpose(StrEnum):
    """Which command of a task an attempt belongs to."""

    RUN = "run"
    UNDO = "undo"
    CHECK = "check"
    VERIFY = "verify"


class Stream(StrEnum):
    """Which pipe remote bytes came out of."""

    STDOUT = "stdout"
    STDERR = "stderr"


def from_the_start() -> dict[Stream, int]:
    """The offset 0 for each stream."""
    return _START.copy()


_START = {Stream.STDOUT: 0, Stream.STDERR: 0}
