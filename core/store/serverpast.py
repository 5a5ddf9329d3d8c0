"""What is stored of a server over all runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from core.model.ids import TaskKey
from core.model.states import FAILING, RunState, TaskState
from core.model.views import ServerRun
from core.store.reader import StoreReader

MATTERS = (TaskState.IN_DOUBT, *sorted(FAILING), TaskState.RUNNING, TaskState.BLOCKED)
"""Which task of a server tells most of a run, first the most."""


async def last_runs(reader: StoreReader, servers: Sequence[str]) -> Mapping[str, int]:
    """The newest run that had tasks on each server, for those that ever had one: a look-up each in an index."""
    rows = await reader.rows(
        "SELECT value, (SELECT max(run) FROM tasks WHERE server = value) AS newest FROM json_each(?) "
        "WHERE newest IS NOT NULL",
        [json.dumps(list(servers))],
    )
    return dict(rows)


async def contacts(reader: StoreReader, servers: Sequence[str]) -> Mapping[str, tuple[float | None, str]]:
    """When a run opened its last session with each server, and why its newest run could not reach it since; for those
    that a run ever tried.
    """
    # Left to itself SQLite goes through all tasks of the run for each server: seconds where there are thousands.
    rows = await reader.rows(
        "SELECT value, time, (SELECT CASE WHEN why = '' THEN 'unreachable' ELSE why END "
        "FROM tasks INDEXED BY tasks_by_server "
        "WHERE tasks.server = value AND run = (SELECT max(run) FROM tasks WHERE tasks.server = value) "
        "AND state = 'unreachable' AND coalesce(ended, 0) >= coalesce(time, 0) ORDER BY ended DESC LIMIT 1) "
        "FROM json_each(?) LEFT JOIN server_facts ON server_facts.server = value",
        [json.dumps(list(servers))],
    )
    return {server: (time, lost or "") for server, time, lost in rows if time is not None or lost}


async def server_runs(reader: StoreReader, server: str, limit: int) -> Sequence[ServerRun]:
    """The newest runs that had tasks on a server, newest first, at most `limit`."""
    rows = await reader.rows(
        "SELECT number, batch, runs.state, created, runs.ended, step, tasks.state, tasks.why, last_line FROM tasks "
        "JOIN runs ON number = run WHERE server = ? AND run IN "
        "(SELECT DISTINCT run FROM tasks WHERE server = ? ORDER BY run DESC LIMIT ?) ORDER BY run DESC, idx",
        [server, server, limit],
    )
    found: dict[int, ServerRun] = {}
    for number, batch, state, created, ended, step, task, why, line in rows:
        state_of, before = TaskState(task), found.get(number)
        counts = dict(before.counts) if before else {}
        counts[state_of] = counts.get(state_of, 0) + 1
        told = (TaskKey(step, server), state_of, why, line)
        if before is not None and _rank(before.task_state) < _rank(state_of):
            told = (before.task, before.task_state, before.why, before.last_line)
        found[number] = ServerRun(number, batch, RunState(state), created, ended, counts, *told)
    return list(found.values())


def _rank(state: TaskState) -> int:
    return MATTERS.index(state) if state in MATTERS else len(MATTERS) + (state is TaskState.WAITING)
