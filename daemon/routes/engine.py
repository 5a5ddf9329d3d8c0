"""The engine's process: whether it lives, which version it is, and how it ends."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from daemon.access import Action, Caller
from daemon.context import TheEngine, TheServed, may
from daemon.metrics import MEDIA_TYPE
from daemon.routes.audit import audit_log

router = APIRouter(tags=["engine"])


class Health(BaseModel):
    """The engine answers."""

    status: str = "ok"


class Version(BaseModel):
    """Who is answering. `clients` is how many follow its events now."""

    windlass: str
    api: str
    pid: int
    clients: int


@router.get("/health")
async def health() -> Health:
    """Whether the engine answers; for whoever watches, without a token."""
    return Health()


@router.get("/version")
async def version(served: TheServed, caller: Annotated[Caller, may(Action.WORKSPACE_READ)]) -> Version:
    """Which version answers."""
    from daemon.app import API

    return Version(windlass=served.version, api=API, pid=os.getpid(), clients=served.clients)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(
    served: TheServed, engine: TheEngine, caller: Annotated[Caller, may(Action.METRICS_READ)]
) -> Response:
    """How the engine stands, and what ended since it began, for Prometheus."""
    return Response(await served.metrics.text(engine, served.clients), media_type=MEDIA_TYPE)


@router.post("/engine/stop", status_code=202)
async def stop(
    served: TheServed,
    engine: TheEngine,
    caller: Annotated[Caller, may(Action.ENGINE_STOP)],
    now: Annotated[bool, Query(description="End at once; attempts in flight are abandoned.")] = False,
) -> Health:
    """Ends the engine: what is in flight ends first, and its runs stay resumable."""
    log = await audit_log(engine)
    await asyncio.to_thread(log.append, caller.name, "engine.stop", {"now": now})
    served.stop(not now)
    return Health(status="stopping")
