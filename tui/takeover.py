"""Taking a workspace from an engine that hangs, from inside the interface: named, confirmed, killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from core.engine.takeover import find_holder, take_over
from core.model.views import OwnerInfo, RunInfo, WorkspaceInfo
from core.processes import process_start, process_state
from core.store.audit import AuditLog
from core.workspace.folder import Workspace


def hangs(workspace: WorkspaceInfo | None) -> bool:
    """Whether the engine that owns the workspace is stopped: it does nothing, and lets nobody else."""
    owner = workspace.owner if workspace is not None else None
    if owner is None or process_state(owner.pid) != "stopped":
        return False
    return process_start(owner.pid) == owner.started  # else the pid is another's, as on another host


async def holder_of(workspace: WorkspaceInfo) -> tuple[OwnerInfo, str]:
    """Who would be killed, and what its process does. Raises NotPossible, WorkspaceOwned."""
    state_dir = Workspace.open(Path(workspace.path)).state_dir
    owner = await asyncio.to_thread(find_holder, state_dir)
    return owner, process_state(owner.pid)


async def take_over_from(workspace: WorkspaceInfo, owner: OwnerInfo, actor: str) -> float:
    """Kills it and returns after how many seconds the workspace was free. Raises as `core.engine.takeover` does."""
    opened = Workspace.open(Path(workspace.path))
    told = {"pid": owner.pid, "owner": str(owner)}
    await asyncio.to_thread(AuditLog(opened.state_dir).append, actor, "engine.take_over", told)
    done = await take_over(opened.state_dir, opened.database, owner, actor=actor)
    return done.waited_s


def what_follows(runs: Sequence[RunInfo]) -> str:
    """What to do with the runs that it had at work, in a sentence."""
    if not runs:
        return "no run was executing"
    names = ", ".join(f"run {run.number} ({run.batch})" for run in runs)
    return f"{names}: interrupted, and carried on by a resume (r on the dashboard, p on the run)"
