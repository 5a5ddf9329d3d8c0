"""What an unsaved text of the configuration would change in the tasks of the saved batches.

Each batch is planned twice, with the file as it is and with the text in its place, in one environment and at one
moment; what differs is what the configuration gives to commands, variables, paths and uploaded templates. Everything
here reads only, and may take a while: call it off the event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path as FilePath

from core.batch.load import load_batch_file
from core.config.open import given_here, open_config
from core.config.paths import show
from core.config.resolve import Resolver
from core.engine.api import PlanRequest
from core.engine.blobs import Blobs
from core.engine.configured import uses_of
from core.engine.contexts import server_data
from core.engine.expansion import MOST_CHARS, Field, contexts_of, fields
from core.engine.planner import Planned, make_plan
from core.engine.snapshot import Snapshot
from core.errors import InputError
from core.model.views import BatchChange, FieldChange, TaskChange
from core.workspace.folder import Workspace
from providers.base import Server

MOST_BATCHES = 200
MOST_TASKS = 20_000
"""How many tasks of one batch are looked at."""
KEPT_TASKS = 200
"""How many changed tasks of one batch are told one by one."""


def batch_changes(
    workspace: Workspace,
    blobs: Blobs,
    servers: Sequence[Server],
    users: Mapping[str, str],
    file: str,
    text: str,
    environment: str,
) -> list[BatchChange]:
    """Every saved batch that would do something else, or of which that cannot be told, by name."""
    known = {server.name: server_data(server, users.get(server.name, "")) for server in servers}
    now = datetime.now(UTC)

    @lru_cache(maxsize=2)
    def opened(replaced: bool) -> Resolver:
        given = given_here(environment)
        given = replace(given, replaced={file: text}) if replaced else given
        return open_config(workspace, given, servers=lambda: known, now=now)

    def planned(batch: str, replaced: bool) -> Planned | InputError:
        try:
            return make_plan(
                load_batch_file(workspace.batch_path(batch)),
                PlanRequest(batch, environment=environment),
                servers,
                users,
                blobs,
                workspace,
                keep_files=False,
                open_config=lambda: opened(replaced),
            )
        except InputError as error:
            return error

    found = []
    paths = sorted(workspace.batches_dir.glob("*.yaml"))
    for path in paths[:MOST_BATCHES]:
        old, new = planned(str(path), False), planned(str(path), True)
        if isinstance(old, InputError) and isinstance(new, InputError):
            change = _untold(workspace, path, old, opened)
        else:
            change = _compared(path.stem, old, new, blobs)
        if change is not None:
            found.append(change)
    if len(paths) > MOST_BATCHES:
        found.append(BatchChange("", untold=f"{len(paths) - MOST_BATCHES} more batches were not looked at"))
    return found


def _compared(
    name: str, old: Planned | InputError, new: Planned | InputError, blobs: Blobs
) -> BatchChange | None:
    if isinstance(new, InputError):
        return BatchChange(name, broken=_why(new))
    if isinstance(old, InputError):
        return BatchChange(name, mended=True)
    before, after = old.snapshot, new.snapshot
    if before.config == after.config:
        return None
    tasks = list(_tasks(before, after, blobs))
    if not tasks:
        return None
    return BatchChange(name, tuple(tasks[:KEPT_TASKS]), len(tasks))


def _untold(
    workspace: Workspace, path: FilePath, error: InputError, opened: Callable[[bool], Resolver]
) -> BatchChange | None:
    """A batch that cannot be planned, before or after: of matter where a value that it uses changes."""
    try:
        loaded = load_batch_file(workspace.batch_path(str(path)))
        before, after = opened(False), opened(True)
    except InputError as other:
        return BatchChange(path.stem, untold=_why(other))
    used = sorted({name for _, names in uses_of(loaded) for name in names}, key=str)
    changed = [show(name) for name in used if not _same(before, after, name)]
    if not changed:
        return None
    return BatchChange(path.stem, untold=f"it uses {', '.join(changed[:3])}; {_why(error)}")


def _same(before: Resolver, after: Resolver, path: Sequence[str | int]) -> bool:
    sides = []
    for resolver in (before, after):
        try:
            sides.append((True, resolver.value(tuple(path))))
        except InputError:
            sides.append((False, None))
    return sides[0] == sides[1]


def _why(error: InputError) -> str:
    """The first fault in one line, and how many more there are."""
    if not error.faults:
        return error.message
    more = len(error.faults) - 1
    return f"{error.faults[0].message}{f', and {more} more' if more else ''}"


def _tasks(before: Snapshot, after: Snapshot, blobs: Blobs) -> Iterator[TaskChange]:
    """The tasks of both plans that differ. Servers and targets are the same: the configuration chooses none."""
    old, new = contexts_of(before), contexts_of(after)
    looked = 0
    for step, servers in after.targets.items():
        for server in servers:
            looked += 1
            if looked > MOST_TASKS:
                return
            sides = [fields(each, contexts, step, server, blobs, lambda uses: uses.config)
                     for each, contexts in ((before, old), (after, new))]  # fmt: skip
            changed = tuple(_differing(*sides))
            if changed:
                yield TaskChange(step, server, changed)


def _differing(old: Mapping[str, Field], new: Mapping[str, Field]) -> Iterator[FieldChange]:
    nothing: Field = ("", "")
    for name in [*old, *(name for name in new if name not in old)]:
        left, right = old.get(name, nothing), new.get(name, nothing)
        if left != right:
            yield FieldChange(name, left[0][:MOST_CHARS], right[0][:MOST_CHARS], right[1] or left[1])
