"""The inventory, and what is done to servers through their providers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Query

from core.engine.api import HostKey
from core.model.views import ProviderInfo, ServerInfo, ServerRun
from daemon.access import Action, Caller
from daemon.context import TheEngine, may

router = APIRouter(tags=["servers"])
Names = Annotated[list[str], Body(embed=True, description="All of them when empty.")]


@router.get("/servers")
async def servers(
    engine: TheEngine, caller: Annotated[Caller, may(Action.SERVERS_READ)], refresh: bool = False
) -> Sequence[ServerInfo]:
    """The inventory; `refresh` asks the providers again."""
    return await engine.servers(refresh=refresh)


@router.get("/providers")
async def providers(
    engine: TheEngine, caller: Annotated[Caller, may(Action.SERVERS_READ)], refresh: bool = False
) -> Sequence[ProviderInfo]:
    """The files that servers come from, each with its provider; `refresh` asks the providers again."""
    return await engine.providers(refresh=refresh)


@router.post("/servers/start")
async def start(
    engine: TheEngine, caller: Annotated[Caller, may(Action.SERVERS_CHANGE)], names: Names
) -> Sequence[str]:
    """Starts servers; answers with what runs now."""
    return await engine.start_servers(names)


@router.post("/servers/stop")
async def stop(
    engine: TheEngine, caller: Annotated[Caller, may(Action.SERVERS_CHANGE)], names: Names
) -> Sequence[str]:
    """Stops servers; answers with what was stopped."""
    return await engine.stop_servers(names)


@router.get("/servers/{name}/runs")
async def server_runs(
    engine: TheEngine,
    caller: Annotated[Caller, may(Action.RUNS_READ)],
    name: str,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Sequence[ServerRun]:
    """The newest runs that had tasks on a server; none for a name that no run knows."""
    return await engine.server_runs(name, limit=limit)


@router.get("/servers/{name}/host-key")
async def host_key(
    engine: TheEngine, caller: Annotated[Caller, may(Action.SERVERS_READ)], name: str
) -> HostKey:
    """The key that a server presents now; it is not trusted by this."""
    return await engine.host_key(name)


@router.post("/servers/trust", status_code=204)
async def trust(
    engine: TheEngine, caller: Annotated[Caller, may(Action.SERVERS_TRUST)], key: HostKey
) -> None:
    """Stores a host key in the workspace's known_hosts; a changed key is refused."""
    await engine.trust(key, actor=caller.name)
