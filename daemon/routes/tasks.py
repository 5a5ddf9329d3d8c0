"""Tasks of a run: their states, attempts, output, and why they stand where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from core.model.ids import TaskKey
from core.model.states import Purpose, Stream, TaskState
from core.model.views import AttemptInfo, Explanation, OutputPage, TaskInfo
from daemon.access import Action, Caller
from daemon.codec import dump_json
from daemon.context import JSON, TheEngine, link_next, may
from daemon.routes.runs import Number, Reader

router = APIRouter(tags=["tasks"])

OUTPUT_AT_MOST_BYTES = 16 * 1024 * 1024


@router.get("/runs/{number}/tasks", response_model=Sequence[TaskInfo])
async def tasks(
    engine: TheEngine,
    caller: Reader,
    request: Request,
    number: Number,
    step: str = "",
    state: Annotated[list[TaskState] | None, Query()] = None,
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> Response:
    """Tasks by index; the next page is `after` the last index of this one (also: `Link` with rel=next)."""
    await engine.run(number)
    found = await engine.tasks(number, step=step, states=state or (), after=after, limit=limit)
    links = link_next(request, after=found[-1].index) if len(found) == limit else {}
    return Response(dump_json(Sequence[TaskInfo], found), media_type=JSON, headers=links)


@router.get("/runs/{number}/task")
async def task(engine: TheEngine, caller: Reader, number: Number, step: str, server: str) -> TaskInfo:
    """One task."""
    return await engine.task(number, TaskKey(step, server))


@router.get("/runs/{number}/task/attempts")
async def attempts(
    engine: TheEngine, caller: Reader, number: Number, step: str, server: str
) -> Sequence[AttemptInfo]:
    """Every attempt of a task, oldest first."""
    await engine.task(number, TaskKey(step, server))
    return await engine.attempts(number, TaskKey(step, server))


@router.get("/runs/{number}/task/explanation")
async def explain(engine: TheEngine, caller: Reader, number: Number, step: str, server: str) -> Explanation:
    """Why a task stands where it stands: what it waits for, what is certain, what is not."""
    return await engine.explain(number, TaskKey(step, server))


@router.get("/runs/{number}/task/output")
async def output(
    engine: TheEngine,
    caller: Annotated[Caller, may(Action.OUTPUT_READ)],
    number: Number,
    step: str,
    server: str,
    purpose: Purpose | None = None,
    attempt: Annotated[int | None, Query(ge=0, le=2**31)] = None,
    stream: Stream | None = None,
    tail_bytes: Annotated[int | None, Query(ge=1, le=OUTPUT_AT_MOST_BYTES)] = None,
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    start: Annotated[int, Query(ge=0, le=2**62)] = 0,
    end: Annotated[int | None, Query(ge=0, le=2**62)] = None,
) -> OutputPage:
    """Stored output in the order it came, as base64; `after` is the cursor of the last page.

    `start` and `end` are offsets in what the server printed: only pieces that overlap with them are answered, each as a
    whole.
    """
    await engine.task(number, TaskKey(step, server))
    while True:
        page = await engine.output(
            number,
            TaskKey(step, server),
            purpose=purpose,
            attempt=attempt,
            stream=stream,
            tail_bytes=tail_bytes,
            after=after,
        )
        within = tuple(
            chunk for chunk in page.chunks if chunk.end > start and (end is None or chunk.start < end)
        )
        if within or not page.more or tail_bytes is not None:
            return replace(page, chunks=within)
        after = page.cursor
