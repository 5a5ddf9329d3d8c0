"""Who is told of events, what could not be told, and telling that again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from core.model.views import DeadLetter, OutletInfo
from daemon.access import Action, Caller
from daemon.context import TheEngine, may

router = APIRouter(tags=["webhooks"])


class Replay(BaseModel):
    """Which events to tell again: all that were put aside when none is named."""

    outlet: str = Field(min_length=1, max_length=200)
    seqs: list[Annotated[int, Field(ge=0, le=2**53)]] = Field(default=[], max_length=1000)


class Asked(BaseModel):
    """How many events are told again."""

    asked: int


@router.get("/webhooks")
async def outlets(
    engine: TheEngine, caller: Annotated[Caller, may(Action.CONFIG_READ)]
) -> Sequence[OutletInfo]:
    """Who is told of events, and how that fares."""
    return await engine.outlets()


@router.get("/webhooks/dead")
async def dead_letters(
    engine: TheEngine, caller: Annotated[Caller, may(Action.EVENTS_READ)], outlet: str = ""
) -> Sequence[DeadLetter]:
    """Events that could not be told, of one outlet or of all."""
    return await engine.dead_letters(outlet)


@router.post("/webhooks/replay", status_code=202)
async def replay(
    engine: TheEngine, caller: Annotated[Caller, may(Action.RUNS_CONTROL)], body: Replay
) -> Asked:
    """Tells events that were put aside once more; each is tried once."""
    return Asked(asked=await engine.replay(body.outlet, body.seqs, actor=caller.name))
