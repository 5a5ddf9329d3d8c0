"""The workspace, its batches, and plans made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from core.engine.api import PlanRequest
from core.engine.validation import check_batch, environments_of
from core.errors import Fault, NotFound
from core.model.views import BatchInfo, Plan, PlannedTask, WorkspaceInfo
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


class Validation(BaseModel):
    """What was found of a batch; `needs` are the parameters without which it was not planned."""

    batch: str
    faults: Sequence[Fault]
    warnings: Sequence[str]
    needs: Sequence[str]
    planned: bool


@router.post("/batches/{name}/validate")
async def validate(
    engine: TheEngine,
    name: str,
    caller: Annotated[Caller, may(Action.BATCHES_READ)],
    environment: Annotated[str, Query(description="Else each that the workspace declares.")] = "",
) -> Validation:
    """Checks a batch with its defaults: its text, and its plans. No server is connected to, nothing is changed."""
    batch = next((found for found in await engine.batches() if found.name == name), None)
    if batch is None:
        raise NotFound(f"there is no batch {name!r}", hint="`GET /v1/batches` lists them")
    environments = [environment] if environment else environments_of(await engine.workspace())
    found = await check_batch(engine, batch, environments)
    return Validation(
        batch=name,
        faults=found.faults,
        warnings=found.warnings,
        needs=found.needs,
        planned=found.planned,
    )


@router.post("/plans")
async def plan(
    engine: TheEngine, request: PlanRequest, caller: Annotated[Caller, may(Action.BATCHES_READ)]
) -> Plan:
    """What a run would do; nothing is changed."""
    return await engine.plan(request)


class TasksOfPlan(BaseModel):
    """Which tasks of a plan: those of one step, behind the first `after` of them. `digest` is that of the plan seen."""

    plan: PlanRequest
    step: str
    digest: str = ""
    after: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


@router.post("/plans/tasks")
async def plan_tasks(
    engine: TheEngine, wanted: TasksOfPlan, caller: Annotated[Caller, may(Action.BATCHES_READ)]
) -> Sequence[PlannedTask]:
    """What each task of one step of a plan would be handed: commands, variables, paths; secrets are named only."""
    return await engine.plan_tasks(
        wanted.plan, wanted.step, digest=wanted.digest, after=wanted.after, limit=wanted.limit
    )
