"""What a new engine does by itself with runs that an ended one left: it looks, and starts nothing that nobody asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.config.settings import built_in
from core.engine.interrupted import go_on
from core.engine.local import LocalEngine
from core.engine.open import open_engine
from core.model.ids import TaskKey
from core.model.states import Decision, RunState
from tests.support.lab import ACTOR
from tests.unit.engine.test_reattaching import LIMIT_S, TWO_STEPS, Place, held, one, two

__all__ = ["one", "two"]

MANUAL = built_in().engine
AUTO = MANUAL.model_copy(update={"resume": "auto"})


@asynccontextmanager
async def next_engine(place: Place) -> AsyncIterator[LocalEngine]:
    """The engine after the one that was left."""
    engine = await open_engine(place.path, actor=ACTOR, executor_factory=place.servers.executor)
    try:
        yield engine
    finally:
        await engine.close()


async def comes_to(engine: LocalEngine, state: RunState) -> str:
    """Waits until run 1 is in a state that nobody changes any more; why it is."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            await engine.wait(1)
            info = await engine.run(1)
            if info.state is state:
                return info.why
            await asyncio.sleep(0.01)


async def test_what_is_in_flight_is_recorded_and_nothing_starts(two: Place) -> None:
    two.servers.end = held("one")
    await two.leave(TWO_STEPS, "one")
    async with next_engine(two) as engine:
        told = await go_on(engine, engine.interrupted, MANUAL)
        assert "what is in flight is looked for" in told[1]
        await found(engine, "one@a")
        two.servers.go("one")
        assert "resume it to go on" in await comes_to(engine, RunState.PAUSED)
        states = await two.states(engine)
        assert states == {"one@a": "done", "one@b": "done", "two@a": "waiting", "two@b": "waiting"}
        assert two.servers.ran("two") == []
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
    assert two.servers.ran("one") == ["a run 1", "b run 1"]


async def test_a_resume_in_the_middle_of_a_look_goes_on(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    async with next_engine(one) as engine:
        await go_on(engine, engine.interrupted, MANUAL)
        await found(engine, "one@a")
        await engine.resume(1, actor=ACTOR)
        one.servers.go("one")
        assert (await engine.wait(1)).state is RunState.DONE
    assert one.servers.ran("one") == ["a run 1"] and one.servers.ran("two") == ["a run 1"]


async def test_a_decision_makes_no_run_go_on_that_was_only_looked_at(two: Place) -> None:
    two.servers.end = held("one")
    await two.leave(TWO_STEPS, "one")
    two.servers.lose("a")
    async with next_engine(two) as engine:
        await go_on(engine, engine.interrupted, MANUAL)
        await found(engine, "one@b")
        two.servers.go("one")
        await comes_to(engine, RunState.WAITING)
        await engine.decide(1, TaskKey("one", "a"), Decision.DONE, actor=ACTOR, reason="seen")
        await comes_to(engine, RunState.PAUSED)
        await asyncio.sleep(0.05)
        assert two.servers.ran("two") == []


async def test_auto_takes_back_no_pause(one: Place) -> None:
    one.servers.end = held("one")
    async with one.engine() as engine:
        await one.begin(engine, TWO_STEPS)
        await one.running("one")
        await one.stored(engine)
        await engine.pause(1, actor=ACTOR)
    async with next_engine(one) as engine:
        told = await go_on(engine, engine.interrupted, AUTO)
        assert "somebody has paused it" in told[1]
        one.servers.go("one")
        await comes_to(engine, RunState.PAUSED)
        assert one.servers.ran("two") == []


async def test_auto_goes_on_and_a_run_that_cannot_go_on_ends_no_engine(one: Place) -> None:
    one.servers.end = held("one")
    await one.leave(TWO_STEPS, "one")
    (one.path / "workspace.yaml").write_text("name: lab\nformat: 1\nread_only: true\n")
    async with next_engine(one) as engine:
        told = await go_on(engine, engine.interrupted, AUTO)
        assert "read-only" in told[1] and "waits to be resumed" in told[1]
    (one.path / "workspace.yaml").write_text("name: lab\nformat: 1\n")
    async with next_engine(one) as engine:
        told = await go_on(engine, engine.interrupted, AUTO)
        assert "goes on by itself" in told[1]
        one.servers.go("one")
        assert (await engine.wait(1)).state is RunState.DONE
    assert one.servers.ran("one") == ["a run 1"]


async def found(engine: LocalEngine, name: str) -> None:
    """Returns when a task was found running."""
    step, _, server = name.partition("@")
    async with asyncio.timeout(LIMIT_S):
        async for event in engine.follow(0, run=1):
            if (event.step, event.server) == (step, server) and "found running" in str(event.data.get("why")):
                return
