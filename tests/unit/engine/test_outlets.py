"""Who is told of events, and the audit log, by the engine itself and by its client."""

from __future__ import annotations

import httpx
import pytest

from core.engine.open import open_engine
from core.errors import NotFound, WindlassError
from core.store.tx import Tx
from daemon.client import EngineClient
from tests.support.lab import ACTOR, Lab, client_of


async def test_outlets_and_what_was_put_aside(own_lab: Lab) -> None:
    (own_lab.path / "config").mkdir()
    (own_lab.path / "config" / "base.yaml").write_text(
        "app: {webhooks: {pager: {url: 'https://127.0.0.1:1/', secret: no-such-secret}}}\n"
    )
    own_lab.batch("steps: {one: {run: work}}")
    engine = await open_engine(own_lab.path, actor=ACTOR, executor_factory=own_lab.memory.executor)
    try:
        await own_lab.run(engine, "work")
        tx = Tx()
        tx.dead_letter("webhook/pager", 1, 5, "answered 410")
        await engine.store.commit(tx)
        async with client_of(engine) as client:
            assert await client.outlets() == await engine.outlets()
            assert await client.dead_letters() == await engine.dead_letters("webhook/pager") != []
            assert await client.dead_letters("webhook/other") == []
            with pytest.raises(NotFound):
                await client.replay("webhook/pager", [2], actor=ACTOR)
            assert await client.replay("webhook/pager", [], actor=ACTOR) == 1
            assert [letter.again for letter in await engine.dead_letters()] == [True]
        (info,) = await engine.outlets()
        assert info.dead == 1 and "no-such-secret" in info.fault
    finally:
        await engine.close()


async def test_the_audit_log_over_rest(own_lab: Lab) -> None:
    own_lab.batch("steps: {one: {run: work}}")
    engine = await open_engine(own_lab.path, actor=ACTOR, executor_factory=own_lab.memory.executor)
    try:
        await own_lab.run(engine, "work")
        for role, status in (("auditor", 200), ("admin", 200), ("operator", 403), ("viewer", 403)):
            async with client_of(engine, role) as client:
                found = await ask(client, "/v1/audit")
                assert found.status_code == status
                assert (await ask(client, "/v1/audit/verify")).status_code == status
                if status == 200:
                    assert [entry["action"] for entry in found.json()] == ["run.start", "run.started"]
                    page = await ask(client, "/v1/audit?after=1&limit=1")
                    assert [entry["number"] for entry in page.json()] == [2]
                    verified = (await ask(client, "/v1/audit/verify")).json()
                    assert verified["entries"] == 2 and len(verified["head"]) == 64
    finally:
        await engine.close()


async def ask(client: EngineClient, path: str) -> httpx.Response:
    return await client._client.get(path)


async def test_reading_alone_replays_nothing(own_lab: Lab) -> None:
    from core.engine.open import open_reader

    own_lab.batch("steps: {one: {run: work}}")
    async with own_lab.engine() as engine:
        await own_lab.run(engine, "work")
    reader = await open_reader(own_lab.path)
    try:
        assert list(await reader.outlets()) == []
        with pytest.raises(WindlassError):
            await reader.replay("webhook/pager", [], actor=ACTOR)
    finally:
        await reader.close()
