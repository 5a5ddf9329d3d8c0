"""FAILURES 50: what comes in over TCP and is refused within limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from daemon import guards
from tests.support.lab import Lab
from tests.unit.daemon.test_access import served

ADMIN = {"Authorization": "Bearer admin"}


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
        ("[::1", 200),
        ("127.0.0.1", 200),
        ("127.0.0.1:9", 200),
        ("[::1]:7411", 200),
        ("LOCALHOST:7411", 200),
    ],
)
async def test_f50_names_that_lead_here_from_elsewhere(tmp_path: Path, host: str, status: int) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        answer = await client.get("/v1/runs", headers={**ADMIN, "Host": host})
        assert answer.status_code == status
        if status != 200:
            assert answer.headers["content-type"] == "application/problem+json"


async def test_f50_a_body_without_end_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "BODY_BYTES", 10_000)

    given = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal given
        while given < 100_000:
            given += 1
            yield b"x" * 1000

    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        told = await client.post("/v1/runs", headers=ADMIN, content=b"x" * 10_001)
        assert told.status_code == 413
        # The connection is closed upon it: what was being sent meanwhile may break off before the answer is read.
        with contextlib.suppress(httpx.TransportError):
            assert (await client.post("/v1/runs", headers=ADMIN, content=endless())).status_code == 413
        assert given < 50_000


async def test_f50_a_body_that_does_not_come_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "BODY_WAIT_S", 0.2)
    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port)
        try:
            writer.write(b"POST /v1/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin\r\n")
            writer.write(b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
            async with asyncio.timeout(10):
                answer = await reader.read(65536)
        finally:
            writer.close()
        assert answer.startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"null", b'{"plan": 7}', b'{"plan": {"batch": 1}}'])
async def test_f50_bodies_that_are_none_get_a_problem_with_every_fault(tmp_path: Path, body: bytes) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        headers = {**ADMIN, "Content-Type": "application/json"}
        answer = await client.post("/v1/runs", headers=headers, content=body)
        assert answer.status_code in (400, 422)
        document = json.loads(answer.content)
        assert document["status"] == answer.status_code
        assert document.get("faults") or "parsing" in document["detail"]
        assert "Traceback" not in answer.text


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Host"])
async def test_f50_no_header_makes_a_caller_one_of_the_socket(tmp_path: Path, header: str) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        for value in ("unix:0:1", "for=unix:0:1"):
            assert (await client.get("/v1/runs", headers={header: value})).status_code == 401
            offered = await client.post(
                "/v1/engine/agent", headers={**ADMIN, header: value}, json={"socket": "/tmp/x"}
            )
            assert offered.status_code == 403
