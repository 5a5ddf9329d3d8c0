"""What an engine does with commands that an earlier one left in flight, and with servers that go and come back.

An engine that is closed abandons what is in flight as one that is killed does; its commands go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.engine import handover
from core.engine.api import Engine, PlanRequest, RunRequest
from core.engine.open import open_engine
from core.model.ids import AttemptRef, TaskKey
from core.model.states import Decision, Purpose, RunState, TaskState, UndoState
from tests.support.lab import ACTOR, Lab
from tests.support.remembering import FIRST, LAST, RememberingServers

LIMIT_S = 30.0


class Place(Lab):
    """A workspace on servers that remember."""

    def __init__(self, path: Path, servers: tuple[str, ...]) -> None:
        super().__init__(path, servers)
        self.servers = RememberingServers()

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        engine = await open_engine(self.path, actor=ACTOR, executor_factory=self.servers.executor)
        try:
            yield engine
        finally:
            await engine.close()

    async def begin(self, engine: Engine, text: str, *, alongside: bool = False) -> int:
        """Starts a batch; its run's number."""
        request = RunRequest(PlanRequest(self.batch(text)), ACTOR, alongside=alongside)
        return (await engine.start(request)).number

    async def leave(self, text: str, *steps: str) -> None:
        """Kills an engine once commands of these steps run on every server."""
        async with self.engine() as engine:
            await self.begin(engine, text)
            for step in steps:
                await self.running(step)
            await self.stored(engine)

    async def running(self, step: str) -> None:
        """Returns once a step's commands run."""
        await soon(lambda: self.servers.ran(step))

    async def stored(self, engine: Engine) -> None:
        """Returns once what was printed first is stored."""

        async def printed() -> bool:
            pages = [
                await engine.output(1, TaskKey(ref.step, ref.server)) for ref in list(self.servers.commands)
            ]
            return all(page.chunks for page in pages)

        while not await printed():
            await asyncio.sleep(0.01)

    async def resume(self, engine: Engine, step: str, server: str = "a") -> None:
        """Resumes run 1, and returns once a step's command was found running."""
        after = (await engine.workspace()).last_seq
        await engine.resume(1, actor=ACTOR)
        async for event in engine.follow(after, run=1):
            if (event.step, event.server) == (step, server) and "found running" in str(event.data.get("why")):
                return


async def soon(true: Callable[[], object]) -> None:
    """Returns when it is so."""
    async with asyncio.timeout(LIMIT_S):
        while not true():
            await asyncio.sleep(0.005)


@pytest.fixture
def one(tmp_path: Path) -> Place:
    """With one server."""
    return Place(tmp_path / "lab", ("a",))


@pytest.fixture
def two(tmp_path: Path) -> Place:
    """With two servers."""
    return Place(tmp_path / "lab", ("a", "b"))


TWO_STEPS = "steps: {one: {run: x, undo: back}, two: {run: y}}"


def held(step: str) -> Callable[[AttemptRef], int | None]:
    """Commands of this step run until they are let go, the others end well at once."""
    return lambda ref: None if ref.step == step else 0


async def test_a_command_found_running_and_left_again_is_found_again(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    for _ in range(3):
        async with one.engine() as engine:
            await one.resume(engine, "one")
            (attempt,) = await engine.attempts(1, TaskKey("one", "a"))
            assert attempt.outcome == "", "it is open again"
    one.servers.go("one")
    async with one.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
    assert one.servers.ran("one") == ["a run 1"]


async def test_an_undo_found_running_and_left_again_is_found_again(one: Place) -> None:
    one.servers.end = lambda ref: None if ref.purpose is Purpose.UNDO else 0
    async with one.engine() as engine:
        await one.begin(engine, TWO_STEPS)
        await engine.wait(1)
        await engine.roll_back(1, actor=ACTOR, steps=["one"])
        await soon(lambda: "a undo 1" in one.servers.ran("one"))
    for _ in range(2):
        async with one.engine() as engine:
            assert (await one.task(engine, "one@a")).undo is UndoState.IN_DOUBT
            await engine.resume(1, actor=ACTOR)
            await soon_async(lambda: undo_is(one, engine, UndoState.UNDOING))
    one.servers.go("one")
    async with one.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK
    assert one.servers.ran("one") == ["a run 1", "a undo 1"]


async def undo_is(place: Place, engine: Engine, state: UndoState) -> bool:
    return (await place.task(engine, "one@a")).undo is state


async def soon_async(true: Callable[[], Awaitable[bool]]) -> None:
    """Returns when it is so."""
    async with asyncio.timeout(LIMIT_S):
        while not await true():
            await asyncio.sleep(0.01)


VERIFIED = "steps: {one: {run: x, verify: v, register: got}, two: {run: 'y {{ registered.got.output }}'}}"


async def test_a_command_that_waits_for_its_verification_is_not_run_again_wherever_the_engine_dies(
    one: Place,
) -> None:
    one.servers.end = held("one")
    await one.leave(VERIFIED, "one")
    one.servers.go("one")
    # The end is found and the engine dies during the verification, then twice while it connects for it.
    one.servers.judge = asyncio.Event()
    async with one.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        await soon_async(lambda: in_phase(engine, "verify"))
    one.servers.judge, one.servers.shut = None, asyncio.Event()
    for _ in range(2):
        async with one.engine() as engine:
            await engine.resume(1, actor=ACTOR)
            await soon_async(lambda: state_is(one, engine, TaskState.RUNNING))
    one.servers.shut = None
    async with one.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
        assert one.servers.ran("one") == ["a run 1"]
        page = await engine.output(1, TaskKey("one", "a"))
        assert b"".join(chunk.data for chunk in page.chunks) == FIRST + LAST


async def in_phase(engine: Engine, phase: str) -> bool:
    events = await engine.events(0, run=1, limit=1000)
    return any(event.data.get("phase") == phase for event in events)


async def state_is(place: Place, engine: Engine, state: TaskState) -> bool:
    return (await place.task(engine, "one@a")).state is state


async def test_a_server_that_is_away_for_a_while_keeps_its_task_running(
    two: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "RECONNECT_FIRST_S", 0.01)
    two.servers.end = lambda ref: None if (ref.step, ref.server) == ("one", "a") else 0
    async with two.engine() as engine:
        await two.begin(engine, "strategy: {order: free}\nsteps: {one: {run: x}, two: {run: y}}")
        await two.running("one")
        two.servers.lose("a")
        async with asyncio.timeout(LIMIT_S):
            while "its server is lost" not in (await two.task(engine, "one@a")).why:
                await asyncio.sleep(0.01)
        task = await two.task(engine, "one@a")
        assert (task.state, task.undo) == (TaskState.RUNNING, UndoState.NONE)
        (told,) = (await engine.explain(1, TaskKey("one", "a"))).sentences
        assert told.startswith("attempt 1 of 1 is running: its server is lost, the command goes on there")
        await soon(lambda: "b run 1" in two.servers.ran("two"))
        two.servers.find("a")
        async with asyncio.timeout(LIMIT_S):
            while (await two.task(engine, "one@a")).why:
                two.servers.go("one")
                await asyncio.sleep(0.01)
        assert (await engine.wait(1)).state is RunState.DONE
    assert two.servers.ran("one").count("a run 1") == 1


async def test_after_reconnect_is_over_it_is_in_doubt_and_the_others_go_on(
    two: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "RECONNECT_FIRST_S", 0.01)
    two.servers.end = lambda ref: None if (ref.step, ref.server) == ("one", "a") else 0
    async with two.engine() as engine:
        await two.begin(
            engine, "strategy: {order: free, reconnect: 200ms}\nsteps: {one: {run: x}, two: {run: y}}"
        )
        await two.running("one")
        two.servers.lose("a")
        run = await engine.wait(1)
        assert run.state is RunState.WAITING
        assert await two.states(engine) == {
            "one@a": "in_doubt",
            "one@b": "done",
            "two@a": "waiting",
            "two@b": "done",
        }
        # Once the server answers again, evidence ends the doubt.
        two.servers.find("a")
        two.servers.go("one")
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
    assert two.servers.ran("one").count("a run 1") == 1


async def test_what_was_found_running_is_cancelled_with_its_run(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with one.engine() as engine:
        await one.resume(engine, "one")
        await engine.cancel(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.CANCELLED
        task = await one.task(engine, "one@a")
    assert task.state is TaskState.FAILED and "stopped by us" in task.why
    assert [ref.step for ref in one.servers.stops] == ["one"]
    assert one.servers.ran("two") == []


async def test_a_cancel_before_the_resume_stops_what_is_found(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with one.engine() as engine:
        await engine.cancel(1, actor=ACTOR)
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.CANCELLED
    assert [ref.step for ref in one.servers.stops] == ["one"]


async def test_an_overdue_command_is_stopped_at_once_and_told_as_late(one: Place) -> None:
    one.servers.end, one.servers.elapsed_s = held("one"), 100.0
    await one.leave("steps: {one: {run: x, timeout: 60s}, two: {run: y}}", "one")
    async with one.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.FAILED
        task = await one.task(engine, "one@a")
    assert "timed out after 60 s" in task.why and "40 s late" in task.why


async def test_a_pause_lets_what_is_found_end_and_starts_nothing(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with one.engine() as engine:
        await one.resume(engine, "one")
        await engine.pause(1, actor=ACTOR)
        one.servers.go("one")
        assert (await engine.wait(1)).state is RunState.PAUSED
        assert await one.states(engine) == {"one@a": "done", "two@a": "waiting"}
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE


async def test_a_drain_waits_for_what_is_found(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with one.engine() as engine:
        await one.resume(engine, "one")
        draining = asyncio.ensure_future(engine.drain())
        await asyncio.sleep(0.05)
        assert not draining.done()
        one.servers.go("one")
        await draining
    async with one.engine() as engine:
        assert await one.states(engine) == {"one@a": "done", "two@a": "waiting"}


async def test_a_retry_stops_what_may_still_run_first(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with one.engine() as engine:
        await engine.decide(1, TaskKey("one", "a"), Decision.RETRY, actor=ACTOR, reason="again")
        await engine.resume(1, actor=ACTOR)
        await soon(lambda: len(one.servers.ran("one")) == 2)
        assert [(ref.step, ref.attempt) for ref in one.servers.stops] == [("one", 1)]
        one.servers.go("one")
        assert (await engine.wait(1)).state is RunState.DONE


async def test_a_halted_run_follows_what_is_in_flight_and_counts_each_failure_once(two: Place) -> None:
    two.servers.end = lambda ref: None if ref.server == "a" else 1
    async with two.engine() as engine:
        await two.begin(engine, TWO_STEPS)
        await two.running("one")
        async with asyncio.timeout(LIMIT_S):
            while (await two.task(engine, "one@b")).state is not TaskState.FAILED:
                await asyncio.sleep(0.01)
    two.servers.end = lambda ref: 0
    two.servers.go("one")
    async with two.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        run = await engine.wait(1)
        assert (run.state, run.why) == (RunState.FAILED, "1 task failed")
        assert (await two.states(engine))["one@a"] == "done"
    assert two.servers.ran("two") == []


async def test_failures_found_by_evidence_count_towards_the_limit(two: Place) -> None:
    two.servers.end = lambda ref: None
    await two.leave("strategy: {max_failures: 1}\n" + TWO_STEPS, "one")
    two.servers.end = lambda ref: 0
    for ref, command in two.servers.commands.items():
        command.end = 1 if ref.server == "b" else 0
    two.servers.go("one")
    async with two.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        run = await engine.wait(1)
        assert run.state is RunState.DONE
        assert await two.states(engine) == {
            "one@a": "done",
            "one@b": "failed",
            "two@a": "done",
            "two@b": "blocked",
        }


async def test_two_runs_on_the_same_servers_each_find_their_own(one: Place) -> None:
    one.servers.end = held("one")
    async with one.engine() as engine:
        await one.begin(engine, TWO_STEPS)
        await one.begin(engine, TWO_STEPS, alongside=True)
        await soon(lambda: len(one.servers.ran("one")) == 2)
    one.servers.go("one")
    async with one.engine() as engine:
        for number in (1, 2):
            await engine.resume(number, actor=ACTOR)
            assert (await engine.wait(number)).state is RunState.DONE
    assert one.servers.ran("one") == ["a run 1", "a run 1"]


async def test_holds_are_kept_while_in_doubt_and_given_back_at_the_end(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with one.engine() as engine:
        with pytest.raises(Exception, match="run 1"):
            await one.begin(engine, TWO_STEPS)
        one.servers.go("one")
        await engine.resume(1, actor=ACTOR)
        await engine.wait(1)
        one.servers.end = lambda ref: 0
        number = await one.begin(engine, TWO_STEPS)
        assert (await engine.wait(number)).state is RunState.DONE


async def test_a_server_that_is_lost_before_the_verification_is_waited_for(
    one: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "RECONNECT_FIRST_S", 0.01)
    one.servers.judge = asyncio.Event()
    async with one.engine() as engine:
        await one.begin(engine, VERIFIED)
        await soon_async(lambda: in_phase(engine, "verify"))
    one.servers.lose("a")
    async with one.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        await soon_async(lambda: told_lost(one, engine))
        # A pause gives it back, and what is left to do stays known.
        await engine.pause(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.PAUSED
        await engine.resume(1, actor=ACTOR)
        await soon_async(lambda: told_lost(one, engine))
        one.servers.find("a")
        one.servers.judge.set()
        assert (await engine.wait(1)).state is RunState.DONE
    assert one.servers.ran("one") == ["a run 1"]


async def told_lost(place: Place, engine: Engine) -> bool:
    task = await place.task(engine, "one@a")
    return task.state is TaskState.RUNNING and "its server is lost" in task.why
