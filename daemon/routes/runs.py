"""Runs: started, steered and listed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Path, Query, Request, Response
from pydantic import BaseModel

from core.engine.api import RunRequest
from core.model.ids import TaskKey
from core.model.states import Decision, RunState
from core.model.views import RunInfo, StepInfo, StepNeed, UsedValue
from daemon.access import Action, Caller
from daemon.codec import dump_json
from daemon.context import JSON, WORKS, TheEngine, link_next, may
from daemon.routes.events import form

router = APIRouter(tags=["runs"])

Number = Annotated[int, Path(ge=0)]
Reader = Annotated[Caller, may(Action.RUNS_READ)]
Controller = Annotated[Caller, may(Action.RUNS_CONTROL)]
WAIT_AT_MOST_S = 30.0
KEY_CHARS = 200


class Reason(BaseModel):
    """Why it was asked for, for whoever reads the log."""

    reason: str = ""


class Retry(BaseModel):
    """Which tasks to open again: all that failed when empty."""

    tasks: list[TaskKey] = []
    accept_risk: bool = False


class Control(BaseModel):
    """Whether the control of a run is taken, or given back."""

    take: bool = True


class Verdict(BaseModel):
    """What a person decides of a task in doubt."""

    task: TaskKey
    decision: Decision
    reason: str


class RollBack(BaseModel):
    """What to undo: everything when nothing is named. `confirm` is what the person typed."""

    steps: list[str] = []
    limit: str = ""
    reason: str = ""
    confirm: str = ""


class Credentials(BaseModel):
    """Variables by name, from which secrets are read."""

    values: dict[str, str]


class Waited(BaseModel):
    """Whether the engine executes nothing of the run any more, and the run."""

    over: bool
    run: RunInfo


class Changes(BaseModel):
    """A unified diff, "" where nothing differs."""

    diff: str


@router.post("/runs", status_code=201, dependencies=[WORKS])
async def start(
    engine: TheEngine,
    request: RunRequest,
    caller: Annotated[Caller, may(Action.RUNS_START)],
    idempotency_key: Annotated[str, Header(max_length=KEY_CHARS, pattern=r"^[\x21-\x7e]*$")] = "",
) -> RunInfo:
    """Plans, stores the snapshot and starts executing; the answer comes when the run is durable.

    Under one `Idempotency-Key` one run is started: the same request again gives it, another one is refused.
    """
    return await engine.start(replace(request, actor=caller.name, key=idempotency_key or request.key))


@router.get("/runs", response_model=Sequence[RunInfo])
async def runs(
    engine: TheEngine,
    caller: Reader,
    request: Request,
    state: Annotated[list[RunState] | None, Query()] = None,
    batch: str = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    before: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Runs, newest first; the next page is `before` the last number of this one (also: `Link` with rel=next)."""
    found = await engine.runs(states=state or (), batch=batch, limit=limit, before=before)
    links = link_next(request, before=found[-1].number) if len(found) == limit else {}
    return Response(dump_json(Sequence[RunInfo], found), media_type=JSON, headers=links)


@router.get("/runs/{number}")
async def run(engine: TheEngine, caller: Reader, number: Number) -> RunInfo:
    """One run."""
    return await engine.run(number)


@router.get("/runs/{number}/configuration")
async def used_values(engine: TheEngine, caller: Reader, number: Number) -> Sequence[UsedValue]:
    """The values of the configuration that a run was frozen with, each with where it was written."""
    return await engine.used_values(number)


@router.get("/runs/{number}/needs")
async def step_needs(engine: TheEngine, caller: Reader, number: Number) -> Sequence[StepNeed]:
    """What the steps of a run wait for, those needs that the batch's order implies included."""
    return await engine.step_needs(number)


@router.get("/runs/{number}/steps")
async def steps(engine: TheEngine, caller: Reader, number: Number) -> Sequence[StepInfo]:
    """The steps of a run in document order, with counts by state."""
    await engine.run(number)
    return await engine.steps(number)


@router.get("/runs/{number}/acts")
async def acts(
    engine: TheEngine, caller: Reader, number: Number, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> Sequence[dict[str, Any]]:
    """What persons did to a run, newest first, as events."""
    return [form(event) for event in await engine.acts(number, limit=limit)]


@router.get("/runs/{number}/changes")
async def changes(engine: TheEngine, caller: Reader, number: Number) -> Changes:
    """How the batch file differs from the text that the run was made from."""
    return Changes(diff=await engine.batch_changes(number))


@router.get("/runs/{number}/wait")
async def wait(
    engine: TheEngine,
    caller: Reader,
    number: Number,
    timeout_s: Annotated[float, Query(ge=0, le=WAIT_AT_MOST_S)] = WAIT_AT_MOST_S,
) -> Waited:
    """Answers when the engine executes nothing of the run any more, or after the time given."""
    try:
        async with asyncio.timeout(timeout_s):
            return Waited(over=True, run=await engine.wait(number))
    except TimeoutError:
        return Waited(over=False, run=await engine.run(number))


@router.post("/runs/{number}/pause")
async def pause(engine: TheEngine, caller: Controller, number: Number, body: Reason) -> RunInfo:
    """Starts no further task; attempts in flight end."""
    return await engine.pause(number, actor=caller.name, reason=body.reason)


@router.post("/runs/{number}/resume", dependencies=[WORKS])
async def resume(engine: TheEngine, caller: Controller, number: Number) -> RunInfo:
    """Carries on a paused or interrupted run from its snapshot."""
    return await engine.resume(number, actor=caller.name)


@router.post("/runs/{number}/credentials", status_code=204)
async def give_credentials(engine: TheEngine, caller: Controller, number: Number, body: Credentials) -> None:
    """Takes variables from which secrets of the run are read, into memory only; then the run is resumed."""
    await engine.give_credentials(number, body.values, actor=caller.name)


@router.post("/runs/{number}/control")
async def control(engine: TheEngine, caller: Controller, number: Number, body: Control) -> RunInfo:
    """Takes the control of a run, from whoever has it, or gives it back; without it others may only pause the run."""
    return await engine.control(number, actor=caller.name, take=body.take)


@router.post("/runs/{number}/cancel")
async def cancel(engine: TheEngine, caller: Controller, number: Number, body: Reason) -> RunInfo:
    """Stops attempts in flight and ends the run; unconfirmed stops are in doubt."""
    return await engine.cancel(number, actor=caller.name, reason=body.reason)


@router.post("/runs/{number}/retry", dependencies=[WORKS])
async def retry(engine: TheEngine, caller: Controller, number: Number, body: Retry) -> RunInfo:
    """Opens failed and unreachable tasks again, with what they had blocked."""
    return await engine.retry(number, actor=caller.name, tasks=body.tasks, accept_risk=body.accept_risk)


@router.post("/runs/{number}/decide")
async def decide(
    engine: TheEngine,
    caller: Annotated[Caller, may(Action.RUNS_DECIDE)],
    number: Number,
    body: Annotated[Verdict, Body()],
) -> RunInfo:
    """Decides a task in doubt."""
    return await engine.decide(number, body.task, body.decision, actor=caller.name, reason=body.reason)


@router.post("/runs/{number}/rollback", dependencies=[WORKS])
async def roll_back(
    engine: TheEngine, caller: Annotated[Caller, may(Action.RUNS_ROLL_BACK)], number: Number, body: RollBack
) -> RunInfo:
    """Undoes what the run did, in reverse order."""
    return await engine.roll_back(
        number,
        actor=caller.name,
        steps=body.steps,
        limit=body.limit,
        reason=body.reason,
        confirm=body.confirm,
    )
