"""The audit log: who decided and changed what, and whether it is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic_core import to_jsonable_python

from core.engine.api import Engine
from core.store.audit import AuditLog, Verified
from core.workspace.folder import Workspace
from daemon.access import Action, Caller
from daemon.context import TheEngine, may

router = APIRouter(tags=["audit"])

Auditor = Annotated[Caller, may(Action.AUDIT_READ)]


async def audit_log(engine: Engine) -> AuditLog:
    """The log of the workspace that an engine has open."""
    return AuditLog(Workspace.open(Path((await engine.workspace()).path)).state_dir)


@router.get("/audit")
async def entries(
    engine: TheEngine,
    caller: Auditor,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Sequence[dict[str, Any]]:
    """Entries by number; the next page is `after` the last number of this one."""
    log = await audit_log(engine)

    def page() -> list[dict[str, Any]]:
        found = (entry for entry in log.entries() if entry.number > after)
        return [to_jsonable_python(entry) for entry in islice(found, limit)]

    return await asyncio.to_thread(page)


@router.get("/audit/verify")
async def verify(engine: TheEngine, caller: Auditor, head: str = "") -> Verified:
    """Follows the chain to its end; with `head` the entry of that hash must still be in it."""
    log = await audit_log(engine)
    return await asyncio.to_thread(log.verify, head)
