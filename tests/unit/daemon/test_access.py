"""Roles and actions: the whole table, asked of the real server for every route."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute

from daemon.access import ALLOWED, Action, Caller, Role
from daemon.app import PREFIX, RESOURCES
from daemon.context import May, Served
from daemon.limits import Buckets
from daemon.server import serving
from daemon.sockets import Address, bind_tcp
from tests.support.lab import Lab

EXPECTED = {
    "viewer": "workspace.read servers.read batches.read runs.read output.read events.read config.read metrics.read",
    "operator": "workspace.read servers.read servers.change batches.read runs.read output.read runs.start "
    "runs.control runs.decide runs.roll_back events.read config.read config.change metrics.read",
    "auditor": "workspace.read servers.read batches.read runs.read events.read audit.read metrics.read",
    "admin": " ".join(action.value for action in Action),
}
OPEN = {"/v1/health"}
"""What answers without a token."""


def authenticate(token: str) -> Caller | None:
    return Caller(f"{token}-token", Role(token)) if token in set(Role) else None


@asynccontextmanager
async def served(lab: Lab) -> AsyncIterator[tuple[httpx.AsyncClient, Served, list[bool]]]:
    """A client without a token, what is served, and what was asked to stop."""
    stops: list[bool] = []
    async with lab.engine() as engine:
        found = Served(engine, "0", authenticate, stops.append)
        found.limits.failures = Buckets(1e6, 1e6)
        listening = bind_tcp(Address("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with serving(found, [listening]), httpx.AsyncClient(base_url=url, trust_env=False) as client:
            yield client, found, stops


def action_of(route: APIRoute) -> Action | None:
    """What a route asks for."""
    found = [one.call.action for one in route.dependant.dependencies if isinstance(one.call, May)]
    assert len(found) <= 1
    return found[0] if found else None


def routes() -> list[APIRoute]:
    return [route for module in RESOURCES for route in module.router.routes if isinstance(route, APIRoute)]


def test_the_table() -> None:
    for role in Role:
        assert {action.value for action in ALLOWED[role]} == set(EXPECTED[role.value].split()), role


async def test_every_route_asks_for_an_action_and_every_role_gets_what_the_table_says(tmp_path: Path) -> None:
    asked = 0
    async with served(Lab(tmp_path / "lab", servers=())) as (client, _, _):
        for route in routes():
            action = action_of(route)
            if PREFIX + route.path in OPEN:
                assert action is None
                assert (await client.get(PREFIX + route.path)).status_code == 200
                continue
            assert action is not None, f"{route.path} asks for nothing"
            path = PREFIX + route.path.replace("{number}", "7").replace("{name}", "a")
            for method in route.methods:
                bare = await client.request(method, path)
                assert bare.status_code == 401 and bare.headers["www-authenticate"] == "Bearer"
                for role in Role:
                    headers = {"Authorization": f"Bearer {role.value}"}
                    if route.path.endswith("/stream"):
                        async with client.stream(method, path, headers=headers) as answer:
                            status = answer.status_code
                    else:
                        status = (await client.request(method, path, headers=headers)).status_code
                    allowed = action in ALLOWED[role]
                    assert (status == 403) is not allowed, (method, route.path, role, status)
                    assert status != 401
                    asked += 1
    assert asked > 80


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer nobody", "Basic viewer", "viewer", "Bearer viewer,admin"]
)
async def test_no_token_or_a_wrong_one_is_refused(tmp_path: Path, header: str) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        answer = await client.get("/v1/runs", headers={"Authorization": header} if header else {})
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 401


async def test_a_token_in_the_address_counts_for_nothing(tmp_path: Path) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, _, _):
        for name in ("token", "access_token", "authorization"):
            assert (await client.get("/v1/runs", params={name: "admin"})).status_code == 401


async def test_an_admin_stops_it(tmp_path: Path) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, _, stops):
        headers = {"Authorization": "Bearer admin"}
        assert (await client.post("/v1/engine/stop", headers=headers)).status_code == 202
        assert (await client.post("/v1/engine/stop?now=true", headers=headers)).status_code == 202
    assert stops == [True, False]


async def test_a_batch_is_validated_with_every_fault(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab")
    lab.batch("steps: {one: {run: '{{ params.nowhere }}'}, two: {run: x, needs: [zero]}}", "faulty")
    lab.batch("params: {version: {type: string}}\nsteps: {one: {run: x}}", "asks")
    lab.batch("steps: {one: {run: x}}", "sound")
    headers = {"Authorization": "Bearer viewer"}
    async with served(lab) as (client, _, _):
        faulty = (await client.post("/v1/batches/faulty/validate", headers=headers)).json()
        assert len(faulty["faults"]) >= 1 and not faulty["planned"]
        assert all(fault["line"] and fault["message"] for fault in faulty["faults"])
        asks = (await client.post("/v1/batches/asks/validate", headers=headers)).json()
        assert asks["needs"] == ["version"] and not asks["planned"] and not asks["faults"]
        sound = (await client.post("/v1/batches/sound/validate", headers=headers)).json()
        assert sound["planned"] and not sound["faults"]
        assert (await client.post("/v1/batches/nowhere/validate", headers=headers)).status_code == 404
        wrong = await client.post("/v1/batches/sound/validate?environment=moon", headers=headers)
        assert wrong.status_code == 200 and wrong.json()["faults"] and not wrong.json()["planned"]
