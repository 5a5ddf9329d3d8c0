"""Events on their way out, to a real receiver and to real programs: in order, at least once, put aside, told again."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.local import LocalEngine
from core.engine.open import open_engine
from core.errors import NotFound
from core.outgoing import outlet, senders
from core.outgoing.service import Outgoing, outgoing
from core.workspace.folder import Workspace
from core.workspace.trust import trust, untrust
from tests.support.lab import ACTOR, Lab
from tests.support.receiver import SECRET, WAIT_S, Receiver

ONE = "steps: {one: {run: work}}"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet, "PAUSE_FIRST_S", 0.02)
    monkeypatch.setattr(outlet, "PAUSE_MOST_S", 0.1)
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    try:
        yield made
    finally:
        made.end()
    assert not made.faults


def settings(lab: Lab, document: dict[str, Any]) -> None:
    (lab.path / "config").mkdir(exist_ok=True)
    (lab.path / "config" / "base.yaml").write_text(json.dumps({"app": document}))


def webhook(url: str, **more: Any) -> dict[str, Any]:
    return {"webhooks": {"pager": {"url": url, "secret": "env:HOOK_SECRET", **more}}}


@asynccontextmanager
async def telling(lab: Lab) -> AsyncIterator[tuple[LocalEngine, Outgoing]]:
    """The workspace's engine with those it tells; both end at once at the end."""
    engine = await open_engine(lab.path, actor=ACTOR, executor_factory=lab.memory.executor)
    try:
        async with outgoing(engine) as service:
            await service.look()
            yield engine, service
    finally:
        await engine.close()


async def until(true: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < ends_at
        await asyncio.sleep(0.01)


async def fitting(engine: LocalEngine) -> list[int]:
    """The numbers of all events of runs."""
    return [event.seq for event in await engine.events(0) if event.type.startswith("run.")]


async def test_events_arrive_signed_in_order_as_cloud_events(own_lab: Lab, receiver: Receiver) -> None:
    settings(own_lab, webhook(receiver.url))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        assert receiver.seqs == await fitting(engine) != []
        (info,) = await engine.outlets()
        assert (info.name, info.owed, info.tries, info.fault) == ("webhook/pager", 0, 0, "")
        assert info.told == len(receiver.seqs)
    first, last = receiver.got[0], receiver.got[-1]
    assert (first["type"], first["subject"], first["source"]) == (
        "windlass.run.created",
        "runs/1",
        "/windlass/lab",
    )
    assert last["data"]["details"]["to"] == "done" and last["data"]["run"] == 1
    assert len({event["id"] for event in receiver.got}) == len(receiver.got)


async def test_only_types_that_were_asked_for(own_lab: Lab, receiver: Receiver) -> None:
    settings(own_lab, webhook(receiver.url, types=["task.state", "run.created"]))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
    assert {event["type"] for event in receiver.got} == {"windlass.task.state", "windlass.run.created"}


@pytest.mark.parametrize("how", ["answers 503", "hangs up", "hangs"])
async def test_what_fails_is_told_again_and_nothing_overtakes_it(
    own_lab: Lab, receiver: Receiver, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "ANSWER_WAIT_S", 0.3)
    left = [3]

    def answer(event: dict[str, Any]) -> int:
        if event["type"] == "windlass.run.created" and left[0]:
            left[0] -= 1
            return {"answers 503": 503, "hangs up": 0, "hangs": -1}[how]
        return 200

    receiver.answer = answer
    settings(own_lab, webhook(receiver.url))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        assert receiver.seqs == await fitting(engine)
    assert [event["type"] for event, _ in receiver.seen][:4] == ["windlass.run.created"] * 4
    assert len({event["id"] for event, _ in receiver.seen[:4]}) == 1


async def test_one_that_dies_and_comes_back_misses_nothing(own_lab: Lab) -> None:
    first = Receiver()
    settings(own_lab, webhook(first.url))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        first.end()
        await own_lab.run(engine, "work")
        await until(lambda: any(each._told.tries > 2 for each in service._outlets.values()))
        assert await service.owes()
        (info,) = await engine.outlets()
        assert info.owed and info.tries and info.failing_since and "Connect" in info.why
        second = Receiver(port=first.port)
        try:
            assert await service.flush(WAIT_S)
            assert second.seqs == await fitting(engine)
        finally:
            second.end()


async def test_the_next_engine_goes_on_where_the_last_was_told(own_lab: Lab, receiver: Receiver) -> None:
    settings(own_lab, webhook(receiver.url))
    own_lab.batch(ONE)
    receiver.answer = lambda event: 204 if len(receiver.got) < 1 else 503
    async with telling(own_lab) as (engine, _):
        await own_lab.run(engine, "work")
        await until(lambda: len(receiver.seen) > 2)
    receiver.answer = lambda event: 204
    async with telling(own_lab) as (engine, service):
        assert await service.flush(WAIT_S)
        assert receiver.seqs == await fitting(engine)


async def test_what_is_refused_is_put_aside_and_told_again_by_command(
    own_lab: Lab, receiver: Receiver
) -> None:
    receiver.answer = lambda event: 400 if event["type"] == "windlass.run.created" else 204
    settings(own_lab, webhook(receiver.url))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        (letter,) = await engine.dead_letters("webhook/pager")
        assert (letter.event.type, letter.tries, letter.again) == ("run.created", 5, False)
        assert "400" in letter.why
        assert receiver.seqs == (await fitting(engine))[1:]
        assert [info.dead for info in await engine.outlets()] == [1]

        with pytest.raises(NotFound, match="no event 999"):
            await engine.replay("webhook/pager", [999], actor=ACTOR)
        assert await engine.replay("webhook/pager", [], actor=ACTOR) == 1
        await until(lambda: len([one for one, status in receiver.seen if status == 400]) == 6)
        await until_letters(engine, lambda letters: letters[0].tries == 6 and not letters[0].again)

        receiver.answer = lambda event: 204
        assert await engine.replay("webhook/pager", [letter.event.seq], actor=ACTOR) == 1
        await until(lambda: letter.event.seq in receiver.seqs)
        await until_letters(engine, lambda letters: not letters)
        types = [event.type for event in await engine.events(0)]
        assert types.count("webhook.given_up") == 1 and types.count("webhook.replay") == 2


async def until_letters(engine: LocalEngine, true: Callable[[Any], bool]) -> None:
    ends_at = time.monotonic() + WAIT_S
    while not true(await engine.dead_letters()):
        assert time.monotonic() < ends_at
        await asyncio.sleep(0.01)


async def test_a_replay_that_no_engine_could_tell_is_told_by_the_next(
    own_lab: Lab, receiver: Receiver
) -> None:
    receiver.answer = lambda event: 400 if event["type"] == "windlass.run.created" else 204
    settings(own_lab, webhook(receiver.url))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
    receiver.answer = lambda event: 204
    engine = await open_engine(own_lab.path, actor=ACTOR, executor_factory=own_lab.memory.executor)
    await engine.replay("webhook/pager", [], actor=ACTOR)
    await engine.close()
    async with telling(own_lab) as (engine, service):
        await until_letters(engine, lambda letters: not letters)
    assert receiver.got[-1]["type"] == "windlass.run.created"


async def test_what_could_not_be_told_in_its_time_is_put_aside(own_lab: Lab, receiver: Receiver) -> None:
    receiver.answer = lambda event: 503
    settings(own_lab, webhook(receiver.url, give_up_after="200ms"))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        letters = await engine.dead_letters()
        assert [letter.event.seq for letter in letters] == await fitting(engine)


async def test_settings_are_followed_while_the_engine_runs(own_lab: Lab, receiver: Receiver) -> None:
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        settings(own_lab, webhook(receiver.url))
        await service.look()
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        settings(own_lab, {})
        await service.look()
        await own_lab.run(engine, "work")
        assert not await service.owes()
    # What was before it was named is not told, as it is after it was taken out.
    told = {event["data"]["run"] for event in receiver.got}
    assert told <= {1, 2} and 2 in told


async def test_faulty_settings_and_secrets_are_told_and_stop_nothing(
    own_lab: Lab, receiver: Receiver
) -> None:
    settings(own_lab, {"webhooks": {"pager": {"url": receiver.url, "secret": "env:NO_SUCH_VARIABLE"}}})
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        (info,) = await engine.outlets()
        assert "NO_SUCH_VARIABLE" in info.fault
        settings(own_lab, webhook(receiver.url))
        await service.look()
        (own_lab.path / "config" / "base.yaml").write_text(
            "app: {webhooks: {pager: {url: 'ftp://x', types: []}}}\n"
        )
        await service.look()
        run = await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        assert run.number in {event["data"]["run"] for event in receiver.got}


async def test_what_was_given_up_is_told_to_nobody_without_end(own_lab: Lab, receiver: Receiver) -> None:
    receiver.answer = lambda event: 400
    settings(own_lab, webhook(receiver.url, types=["*"]))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        aside = await engine.dead_letters()
        types = [event.type for event in await engine.events(0)]
        assert len(aside) == types.count("webhook.given_up") < len(types)
        await asyncio.sleep(0.2)
        assert not await service.owes() and len(await engine.dead_letters()) == len(aside)


@pytest.mark.parametrize("url", ["https://xn--/", "https://127.0.0.1:1/"])
async def test_odd_addresses_are_tried_again_and_end_nothing(own_lab: Lab, url: str) -> None:
    settings(own_lab, webhook(url))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        await until(lambda: any(each._told.tries > 2 for each in service._outlets.values()))
        assert not any(task.done() for task in service._tasks.values())


async def test_what_is_not_for_an_outlet_is_not_read_again_by_each_engine(
    own_lab: Lab, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet, "PASSED_UNKEPT", 5)
    settings(own_lab, webhook(receiver.url, types=["no.such"]))
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        last = (await engine.workspace()).last_seq
    async with telling(own_lab) as (engine, service):
        assert all(each._told.seq > last - 10 for each in service._outlets.values())


async def test_one_that_cannot_begin_is_in_nobodys_way(
    own_lab: Lab, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    named = webhook(receiver.url)
    named["webhooks"]["other"] = {"url": "https://127.0.0.1:1/", "secret": "env:HOOK_SECRET"}
    settings(own_lab, named)
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, _):
        await own_lab.run(engine, "work")
        await until(lambda: bool(receiver.got))


# ---------------------------------------------------------------- programs


def program(folder: Path, text: str) -> str:
    path = folder / "tell"
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


async def test_a_program_gets_each_event_on_its_input(own_lab: Lab, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tell = program(tmp_path, f"import sys\nopen({str(out)!r}, 'a').write(sys.stdin.read())\n")
    settings(own_lab, {"notify": {"phone": {"command": [tell], "types": ["run.state"]}}})
    own_lab.batch(ONE)
    trust(Workspace.load(own_lab.path))
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert [event["data"]["details"]["to"] for event in found] == ["done"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import sys; sys.exit('no modem')", "ended with status 1: no modem"),
        ("import time; time.sleep(60)", "did not end within 0.3 s and was killed"),
    ],
)
async def test_a_program_that_fails_or_hangs_is_run_again(
    own_lab: Lab, tmp_path: Path, text: str, told: str
) -> None:
    tell = program(tmp_path, text)
    settings(own_lab, {"notify": {"phone": {"command": [tell], "timeout": "300ms"}}})
    own_lab.batch(ONE)
    trust(Workspace.load(own_lab.path))
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        await until(lambda: any(each._told.tries > 1 for each in service._outlets.values()))
        (info,) = await engine.outlets()
        assert info.why == told


async def test_a_program_that_leaves_something_behind_has_taken_it(own_lab: Lab, tmp_path: Path) -> None:
    tell = program(tmp_path, "import subprocess; subprocess.Popen(['sleep', '30'])")
    settings(own_lab, {"notify": {"phone": {"command": [tell], "types": ["run.state"], "timeout": "5s"}}})
    own_lab.batch(ONE)
    trust(Workspace.load(own_lab.path))
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        assert await service.flush(WAIT_S)
        (info,) = await engine.outlets()
        assert (info.told, info.tries) == (1, 0)


async def test_a_program_of_a_workspace_that_is_not_trusted_is_not_run(own_lab: Lab, tmp_path: Path) -> None:
    tell = program(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
    settings(own_lab, {"notify": {"phone": {"command": [tell]}}})
    own_lab.batch(ONE)
    untrust(Workspace.load(own_lab.path))
    async with telling(own_lab) as (engine, service):
        await own_lab.run(engine, "work")
        await service.flush(0.2)
        (info,) = await engine.outlets()
        assert "not trusted" in info.fault
    assert not (tmp_path / "ran").exists()


async def test_a_signing_secret_that_was_changed_is_read_again_after_a_refusal(
    own_lab: Lab, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlet, "REFUSED_AT_MOST", 10_000)
    secret = own_lab.path / "signing"
    secret.write_text("an-old-secret-of-enough-bytes")
    secret.chmod(0o600)
    document = webhook(receiver.url)
    document["webhooks"]["pager"]["secret"] = f"file:{secret}"
    settings(own_lab, document)
    trust(Workspace.open(own_lab.path))
    receiver.refuses = True
    own_lab.batch(ONE)
    async with telling(own_lab) as (engine, service):
        run = await engine.start(RunRequest(PlanRequest("work"), ACTOR))
        await until(lambda: receiver.refused > 0)
        secret.unlink()
        await until(lambda: "cannot be read" in outlet_why(service))
        secret.write_text(SECRET)
        secret.chmod(0o600)
        await engine.wait(run.number)
        assert await service.flush(WAIT_S)
        assert receiver.seqs[-1] == (await fitting(engine))[-1]


def outlet_why(service: Outgoing) -> str:
    return service._outlets["webhook/pager"]._told.why
