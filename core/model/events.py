"""Events: everything that happens in a workspace, in commit order.

An event is never changed once written. Readers ignore types and data keys they do not know.

Types and their data (all keys optional for readers):

| type | about | data |
| --- | --- | --- |
| run.created | run | number, batch, tasks, servers, parent |
| run.state | run | from, to, why, at: when it ended |
| run.asked | run | asked, reason |
| run.control | run | taken, before: who had it ("" nobody) |
| run.secrets | run | changed: secrets that were written anew, or are others, than when it was made |
| task.state | task | from, to, why, phase, exit, signal, evidence, decision, may_have_run, at: start or end |
| task.phase | task | phase, delay_s (back-off), why; exit, signal, evidence: the attempt that is to be verified |
| task.intent | task | digest, boot_id, purpose |
| task.attempt | task | purpose, state, exit, signal, evidence, why: an attempt ended and another may follow |
| task.output | task | purpose, stream, start, end: byte ranges of the raw remote stream |
| task.undo | task | from, to, why, decision, reason |
| server.note | server | what, message: connection trouble, back-off, pinned keys |
| engine.opened | - | epoch, interrupted: run numbers found running without an engine |
| engine.taken_over | - | pid, user, host, since: the owner that was killed |
| webhook.given_up | - | outlet, seq, why: an event that could not be told, put aside |
| webhook.replay | - | outlet, seqs: events put aside that are to be told again |
| workspace.adopted | - | how (copied, restored), message, before, incarnation, runs: numbers that wait for a person |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

RUN_CREATED = "run.created"
RUN_STATE = "run.state"
RUN_ASKED = "run.asked"
RUN_CONTROL = "run.control"
RUN_SECRETS = "run.secrets"
TASK_STATE = "task.state"
TASK_PHASE = "task.phase"
TASK_INTENT = "task.intent"
TASK_ATTEMPT = "task.attempt"
TASK_OUTPUT = "task.output"
TASK_UNDO = "task.undo"
SERVER_NOTE = "server.note"
ENGINE_OPENED = "engine.opened"
ENGINE_TAKEN_OVER = "engine.taken_over"
WEBHOOK_GIVEN_UP = "webhook.given_up"
WEBHOOK_REPLAY = "webhook.replay"
WORKSPACE_ADOPTED = "workspace.adopted"

EMPTY: Mapping[str, Any] = {}


def fits(type_: str, wanted: str) -> bool:
    """Whether a filter of event types takes one: the type itself, or its beginning and a `*`."""
    return type_.startswith(wanted[:-1]) if wanted.endswith("*") else type_ == wanted


class Event(NamedTuple):
    """One thing that happened. (A tuple by name: thousands a second are made.)

    `seq` rises by commit order within a workspace and is never reused; `run` is the run's number
    (None for events of the workspace); `step` and `server` name the task; `time` is wall time in
    seconds since the epoch, for people only: order goes by `seq`.
    """

    seq: int
    type: str
    run: int | None
    step: str | None
    server: str | None
    attempt: int | None
    actor: str
    time: float
    data: Mapping[str, Any] = EMPTY
    version: int = 1
