"""The engine's process: whether it lives, which version it is, and how it ends."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from core.ssh.agents import agent_socket, answers, use_agent
from daemon.access import Action, Caller
from daemon.context import Refused, TheEngine, TheServed, may, over_socket
from daemon.metrics import MEDIA_TYPE
from daemon.routes.audit import audit_log

router = APIRouter(tags=["engine"])


class Health(BaseModel):
    """The engine answers."""

    status: str = "ok"


class Version(BaseModel):
    """Who is answering. `clients` is how many follow its events now, `agent` the socket of its SSH agent ("" none)."""

    windlass: str
    api: str
    pid: int
    clients: int
    agent: str
    agent_answers: bool


class Agent(BaseModel):
    """The socket of an SSH agent on the engine's machine."""

    socket: str = Field(max_length=4096)


@router.get("/health")
async def health() -> Health:
    """Whether the engine answers; for whoever watches, without a token."""
    return Health()


@router.get("/version")
async def version(served: TheServed, caller: Annotated[Caller, may(Action.WORKSPACE_READ)]) -> Version:
    """Which version answers."""
    from daemon.app import API

    agent = agent_socket()
    return Version(
        windlass=served.version,
        api=API,
        pid=os.getpid(),
        clients=served.clients,
        agent=agent,
        agent_answers=bool(agent) and await asyncio.to_thread(answers, agent),
    )


@router.post("/engine/agent", status_code=204)
async def use(
    engine: TheEngine,
    served: TheServed,
    request: Request,
    caller: Annotated[Caller, may(Action.ENGINE_AGENT)],
    body: Agent,
) -> None:
    """Lets the engine's connections from here on use another SSH agent; only over the socket, by its own account."""
    if not over_socket(request):
        raise Refused(
            403, "an agent is offered over the engine's own socket only: it is a place on this machine"
        )
    log = await audit_log(engine)
    await asyncio.to_thread(log.append, caller.name, "engine.agent", {"socket": body.socket})
    await asyncio.to_thread(use_agent, body.socket)
    await asyncio.to_thread(served.announce, agent=body.socket)


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
