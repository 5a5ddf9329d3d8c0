"""Lists in pages, ranges of output, and the event stream that goes on behind an id."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.engine.api import Engine
from daemon.context import Served
from tests.support.lab import Lab
from tests.support.memory import Reply
from tests.unit.daemon.test_access import served

ADMIN = {"authorization": "Bearer admin"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A workspace with two servers, of which each command prints three lines."""
    lab = Lab(tmp_path / "lab")
    lab.batch("steps: {one: {run: work}, two: {run: work}}")
    return lab


async def run(client: httpx.AsyncClient, found: Served) -> int:
    answer = await client.post("/v1/runs", headers=ADMIN, json={"plan": {"batch": "work"}, "actor": ""})
    number = int(answer.json()["number"])
    await engine(found).wait(number)
    return number


def engine(found: Served) -> Engine:
    return found.engine


async def pages(client: httpx.AsyncClient, path: str) -> AsyncIterator[list[dict[str, Any]]]:
    """Every page of a list, as its Link headers lead on."""
    while path:
        answer = await client.get(path, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        yield answer.json()
        path = str(answer.links["next"]["url"]) if "next" in answer.links else ""


async def test_runs_and_tasks_are_listed_page_by_page(lab: Lab) -> None:
    async with served(lab) as (client, found, _):
        numbers = [await run(client, found) for _ in range(5)]
        listed = [
            [one["number"] for one in page] async for page in pages(client, "/v1/runs?limit=2&state=done")
        ]
        assert [number for page in listed for number in page] == sorted(numbers, reverse=True)
        assert [len(page) for page in listed] == [2, 2, 1]
        tasks = [one["index"] async for page in pages(client, "/v1/runs/1/tasks?limit=3") for one in page]
        assert tasks == [0, 1, 2, 3]


async def test_output_within_offsets(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(output=b"0123456789" * 10)
    async with served(lab) as (client, found, _):
        await run(client, found)
        path = "/v1/runs/1/task/output?step=one&server=a&stream=stdout"
        whole = (await client.get(path, headers=ADMIN)).json()["chunks"]
        assert b"".join(base64.b64decode(one["data"]) for one in whole) == b"0123456789" * 10
        inside = (await client.get(f"{path}&start=5&end=6", headers=ADMIN)).json()["chunks"]
        assert [(one["start"] <= 5, one["end"] >= 6) for one in inside] == [(True, True)]
        assert (await client.get(f"{path}&start=100", headers=ADMIN)).json()["chunks"] == []


async def frames(client: httpx.AsyncClient, count: int, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """The first events of a stream, with their ids."""
    found: list[tuple[str, dict[str, Any]]] = []
    async with client.stream("GET", "/v1/events/stream", headers={**ADMIN, **headers}) as answer:
        if answer.status_code != 200:
            await answer.aread()
            return [(str(answer.status_code), answer.json())]
        assert answer.headers["content-type"].startswith("text/event-stream")
        id_ = ""
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                id_ = line[4:]
            elif line.startswith("data: "):
                found.append((id_, json.loads(line[6:])))
                if len(found) == count:
                    break
    return found


async def test_a_stream_goes_on_behind_the_last_event_id(lab: Lab) -> None:
    async with served(lab) as (client, found, _):
        await run(client, found)
        last = (await engine(found).workspace()).last_seq
        whole = await frames(client, last)
        assert [data["seq"] for _, data in whole] == list(range(1, last + 1))
        id_, _ = whole[last // 2]
        rest = await frames(client, last - last // 2 - 1, **{"last-event-id": id_})
        assert rest == whole[last // 2 + 1 :]
        incarnation = id_.partition(":")[0]
        assert incarnation == (await engine(found).workspace()).incarnation
        ((status, told),) = await frames(client, 1, **{"last-event-id": f"another:{last}"})
        assert status == "410" and "incarnation" in told["detail"]
        ((status, told),) = await frames(client, 1, **{"last-event-id": "nonsense"})
        assert status == "422" and "INCARNATION:SEQ" in told["detail"]


async def test_a_stream_of_some_types_only(lab: Lab) -> None:
    async with served(lab) as (client, found, _):
        await run(client, found)
        async with client.stream(
            "GET", "/v1/events/stream?type=run.state&type=task.i*", headers=ADMIN
        ) as answer:
            kinds = []
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    kinds.append(json.loads(line[6:])["type"])
                    if kinds[-1] == "run.state":
                        break
        assert set(kinds) == {"task.intent", "run.state"}
