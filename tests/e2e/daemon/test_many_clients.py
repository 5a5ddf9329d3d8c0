"""Many clients follow one run of thousands of tasks: each sees everything in order, and one that stops reading costs nothing."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.version import __version__
from core.engine.api import PlanRequest, RunRequest
from core.engine.lease import read_owner
from core.model.states import RunState
from daemon.client import EngineClient
from daemon.launch import connect
from tests.support.program import WAIT_S, Program

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("background")]

CLIENTS = 50
SERVERS = 10
STEPS = 500
MIB = 1024 * 1024
GROWN_AT_MOST = 96 * MIB
"""What 5,000 tasks, their plan and 50 connections may take; the events that one client does not read are more."""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    made = Program(tmp_path / "lab", servers=[f"s{number}" for number in range(SERVERS)])
    steps = "".join(f"  s{number}: {{run: 'true', undo: 'true'}}\n" for number in range(STEPS))
    made.batch(f"strategy: {{parallel: {SERVERS}}}\nsteps:\n{steps}")
    made.call("servers", "start")
    made.call("engine", "start")
    try:
        yield made
    finally:
        made.call("engine", "stop", "--now", status=None)
        made.call("servers", "stop", status=None)


def memory_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def stalled(path: str) -> socket.socket:
    """A client that asks for every event and reads none of them."""
    client = socket.socket(socket.AF_UNIX)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(path)
    client.sendall(b"GET /v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return client


async def seen_by(folder: Path, run: int) -> list[int]:
    """The numbers of a run's events as one client sees them, until the run has ended."""
    client = await connect(folder, actor="me", version=__version__)
    assert isinstance(client, EngineClient)
    found: list[int] = []
    try:
        async for event in client.follow(0, run=run):
            found.append(event.seq)
            if event.type == "run.state" and event.data.get("to") == RunState.DONE.value:
                return found
    finally:
        await client.close()
    raise AssertionError("the stream ended before the run")


async def test_fifty_clients_see_every_event_in_order_and_one_that_stops_costs_no_memory(
    program: Program,
) -> None:
    owner = read_owner(program.path / ".windlass")
    assert owner is not None
    client = await connect(program.path, actor="me", version=__version__)
    assert client is not None
    lazy = stalled(owner.socket)
    try:
        before = memory_bytes(owner.pid)
        run = await client.start(RunRequest(PlanRequest("work"), "me"))
        assert run.tasks == SERVERS * STEPS
        begun = time.monotonic()
        async with asyncio.timeout(4 * WAIT_S):
            seen = await asyncio.gather(*(seen_by(program.path, run.number) for _ in range(CLIENTS)))
        took_s = time.monotonic() - begun
        grown = memory_bytes(owner.pid) - before
        stored = [event.seq for event in await all_events(client, run.number)]
        assert (await client.run(run.number)).state is RunState.DONE
    finally:
        lazy.close()
        await client.close()
    told = json.dumps({"events": len(stored), "took_s": round(took_s, 1), "grown_mib": round(grown / MIB, 1)})
    assert len(stored) > SERVERS * STEPS * 3, told
    expected = stored[: stored.index(seen[0][-1]) + 1]
    assert all(numbers == expected for numbers in seen), told
    assert grown < GROWN_AT_MOST, told
    print(told)


async def all_events(client: EngineClient, run: int) -> list:  # type: ignore[type-arg]
    found: list = []  # type: ignore[type-arg]
    while page := await client.events(found[-1].seq if found else 0, run=run, limit=10_000):
        found += page
    return found
