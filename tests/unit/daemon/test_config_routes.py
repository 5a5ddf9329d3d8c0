"""The configuration over REST: values with their places, edits with an actor, production asked for by its name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from core.config.files import history
from core.store.audit import AuditLog
from core.workspace.folder import Workspace
from daemon.access import Caller, Role
from daemon.context import Served
from daemon.server import serving
from daemon.sockets import Address, bind_tcp
from tests.support.lab import Lab

BASE = "# Shared.\nweb:\n  port: 80   # as ever\n  url: 'http://{{ config.web.host }}/'\n"
SETTINGS = "format: 1\nname: shop\nenvironments: {dev: {}, prod: {protection: production}}\n"


@pytest.fixture
async def rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[httpx.AsyncClient, Path]]:
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "none.yaml")
    monkeypatch.setenv("WINDLASS__WEB__PORT", "1")  # of the engine's process: it decides nothing
    lab = Lab(tmp_path / "lab", servers=())
    (lab.path / "workspace.yaml").write_text(SETTINGS)
    environments = lab.path / "config" / "environments"
    environments.mkdir(parents=True)
    (lab.path / "config" / "base.yaml").write_text(BASE)
    (environments / "prod.yaml").write_text("web: {host: shop.example, port: 443}\n")
    async with lab.engine() as engine:
        found = Served(engine, "0", lambda token: Caller("token ci", Role(token)), lambda drain: None)
        listening = bind_tcp(Address("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        headers = {"Authorization": "Bearer operator"}
        async with (
            serving(found, [listening]),
            httpx.AsyncClient(base_url=url, trust_env=False, headers=headers) as client,
        ):
            yield client, lab.path


async def test_values_and_where_they_come_from(rest: tuple[httpx.AsyncClient, Path]) -> None:
    client, _ = rest
    told = (await client.get("/config", params={"environment": "prod", "path": "web"})).json()
    assert {one["path"]: one["value"] for one in told["settings"]} == {
        "web.port": 443,
        "web.url": "http://shop.example/",
        "web.host": "shop.example",
    }
    assert told["faults"] == []
    told = (await client.get("/config", params={"environment": "dev"})).json()
    assert [fault["line"] for fault in told["faults"]] == [4]
    told = (await client.get("/config/explain", params={"environment": "prod", "path": "web.port"})).json()
    assert (told["value"], [link["written"] for link in told["links"]]) == (443, [443, 80])
    missing = await client.get("/config/explain", params={"environment": "dev", "path": "web.prot"})
    assert missing.status_code == 422 and "did you mean web.port" in missing.text
    assert (await client.get("/config", params={"path": "a..b"})).status_code == 422


async def test_an_edit_leaves_comments_and_says_who(rest: tuple[httpx.AsyncClient, Path]) -> None:
    client, folder = rest
    dev = folder / "config" / "environments" / "dev.yaml"
    made = await client.post(
        "/config/set", json={"environment": "dev", "path": "web.host", "value": "dev.example"}
    )
    assert made.status_code == 200 and made.json() == {
        "edit": 1,
        "file": "config/environments/dev.yaml",
        "path": "web.host",
    }
    assert dev.read_text() == "web:\n  host: dev.example\n"
    again = await client.post(
        "/config/set", json={"environment": "dev", "path": "web.host", "value": "dev.example"}
    )
    assert again.json()["edit"] is None
    (change,) = history(Workspace.load(folder))
    assert change.actor == "token ci"
    assert [(entry.actor, entry.action) for entry in AuditLog(folder / ".windlass").entries()] == [
        ("token ci", "config.edit")
    ]
    unset = await client.post("/config/unset", json={"environment": "dev", "path": "web.host"})
    assert unset.status_code == 200
    assert (await client.post("/config/drop", json={"path": "web"})).status_code == 404
    assert (
        await client.post("/config/unset", json={"environment": "dev", "path": "nope"})
    ).status_code == 422


async def test_production_asks_for_its_name(rest: tuple[httpx.AsyncClient, Path]) -> None:
    client, folder = rest
    base = folder / "config" / "base.yaml"
    edit = {"path": "web.port", "value": 81}
    refused = await client.post("/config/set", json=edit)
    assert refused.status_code == 409, refused.text
    assert "shop/prod" in refused.text and base.read_text() == BASE
    done = await client.post("/config/set", json={**edit, "confirm": "shop/prod"})
    assert done.status_code == 200
    assert base.read_text() == BASE.replace("80   # as ever", "81   # as ever")
