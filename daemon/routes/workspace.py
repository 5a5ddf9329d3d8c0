"""The workspace, its batches, and plans made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter

from core.engine.api import PlanRequest
from core.model.views import BatchInfo, Plan, WorkspaceInfo
from daemon.access import Action, Caller
from daemon.context import TheEngine, may

router = APIRouter(tags=["workspace"])


@router.get("/workspace")
async def workspace(
    engine: TheEngine, caller: Annotated[Caller, may(Action.WORKSPACE_READ)]
) -> WorkspaceInfo:
    """The workspace, who owns it, and where its log ends."""
    return await engine.workspace()


@router.get("/batches")
async def batches(
    engine: TheEngine, caller: Annotated[Caller, may(Action.BATCHES_READ)]
) -> Sequence[BatchInfo]:
    """Every batch of the workspace, by name; faulty ones with their faults."""
    return await engine.batches()


@router.post("/plans")
async def plan(
    engine: TheEngine, request: PlanRequest, caller: Annotated[Caller, may(Action.BATCHES_READ)]
) -> Plan:
    """What a run would do; nothing is changed."""
    return await engine.plan(request)
