"""The event log: a page of it, or everything after a place in it as it happens (server-sent events).

An `id` is `INCARNATION:SEQ`; a stream goes on behind the one that `Last-Event-ID` names.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic_core import to_json, to_jsonable_python

from core.engine.api import Engine
from core.engine.presence import Presence
from core.errors import CursorGone, InputError
from core.model.events import Event, fits
from core.workspace.folder import Workspace
from daemon.access import Action, Caller
from daemon.context import Served, TheEngine, TheServed, may
from daemon.problems import problem

router = APIRouter(tags=["events"])

Reader = Annotated[Caller, may(Action.EVENTS_READ)]
After = Annotated[int, Query(ge=0)]
BEAT_S = 10.0
"""How long a stream is silent at most: a comment tells that it lives."""


@router.get("/events")
async def events(
    engine: TheEngine,
    caller: Reader,
    after: After = 0,
    run: Annotated[int | None, Query(ge=0)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    incarnation: str = "",
) -> Sequence[dict[str, Any]]:
    """Stored events after a sequence number, oldest first."""
    found = await engine.events(after, run=run, limit=limit, incarnation=incarnation)
    return [form(event) for event in found]


@router.get("/events/stream", response_class=StreamingResponse)
async def stream(
    request: Request,
    served: TheServed,
    caller: Reader,
    after: After = 0,
    run: Annotated[int | None, Query(ge=0)] = None,
    type: Annotated[list[str] | None, Query(description="Only these; a trailing * stands for any.")] = None,
    incarnation: str = "",
    last_event_id: Annotated[str, Header()] = "",
) -> StreamingResponse:
    """Every event after a sequence number: first from the log, then as it happens."""
    if last_event_id:
        known, _, seq = last_event_id.rpartition(":")
        if not seq.isascii() or not seq.isdigit() or len(seq) > 16:
            raise InputError(f"Last-Event-ID {last_event_id[:60]!r} is not INCARNATION:SEQ")
        incarnation, after = known or incarnation, int(seq)
    engine = served.engine
    info = await engine.workspace()
    await engine.events(after, limit=1, incarnation=incarnation)  # a cursor that is gone is told before
    here = Presence(Workspace.open(Path(info.path)).state_dir, caller.name, "events", run)
    body = _frames(served, engine, after, run, type or [], info.incarnation, here)
    return StreamingResponse(body, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _frames(
    served: Served,
    engine: Engine,
    after: int,
    run: int | None,
    types: list[str],
    incarnation: str,
    here: Presence,
) -> AsyncIterator[bytes]:
    served.clients += 1
    following = engine.follow(after, run=run, incarnation=incarnation).__aiter__()
    waiting: asyncio.Future[Event] | None = None
    try:
        here.__enter__()
        yield b"retry: 500\n\n"
        while True:
            if waiting is None:
                waiting = asyncio.ensure_future(anext(following))
            done, _ = await asyncio.wait([waiting], timeout=BEAT_S)
            if not done:
                yield b": alive\n\n"
                continue
            try:
                event = waiting.result()
            except StopAsyncIteration:
                yield b"event: end\ndata: {}\n\n"
                return
            except CursorGone as error:
                yield b"event: gone\ndata: " + json.dumps(problem(error)).encode() + b"\n\n"
                return
            finally:
                waiting = None
            if not types or any(fits(event.type, wanted) for wanted in types):
                yield frame(event, incarnation)
    finally:
        served.clients -= 1
        here.__exit__(None, None, None)
        if waiting is not None:
            waiting.cancel()


def form(event: Event) -> dict[str, Any]:
    """An event as JSON."""
    found: dict[str, Any] = to_jsonable_python(event._asdict())
    return found


def frame(event: Event, incarnation: str) -> bytes:
    """An event as a frame of a stream."""
    return b"id: %s:%d\ndata: %s\n\n" % (incarnation.encode(), event.seq, to_json(event._asdict()))
