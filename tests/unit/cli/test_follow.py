"""Interrupts while a run is followed: the first lets tasks in flight end, the second stops at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from cli import follow
from cli.exits import Exit
from cli.follow import Following, act_and_follow
from cli.interrupts import Interrupts
from cli.launch import owner
from core.engine.api import Engine, PlanRequest, RunRequest
from core.model.states import RunState, TaskState
from core.model.views import RunInfo
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply
from tests.unit.cli.conftest import perform

BATCH = "{strategy: {parallel: 1}, steps: {one: {run: a}, two: {run: b}}}"


@pytest.fixture(autouse=True)
def _handlers_are_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    assert {number: signal.getsignal(number) for number in before} == before


async def followed(lab: Lab, meanwhile: Callable[[Engine, int], Awaitable[None]]) -> Exit:
    """Runs `work`; `meanwhile` is awaited once its first task is in flight."""
    async with owner(lab.path) as engine:
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def act() -> RunInfo:
            run = await engine.start(RunRequest(PlanRequest("work"), ACTOR))
            started.set_result(run.number)
            return run

        async def disturb() -> None:
            number = await started
            await until(engine, number, "one@a", TaskState.RUNNING)
            await meanwhile(engine, number)

        disturbing = asyncio.ensure_future(disturb())
        status = await act_and_follow(engine, act, Following())
        await disturbing
        return status


async def heard(capsys: pytest.CaptureFixture[str]) -> str:
    """Returns once the signal was taken into account, with what was told until then."""
    told = ""
    while "Once more stops at once" not in told:
        await asyncio.sleep(0)
        told += capsys.readouterr().err
    return told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_lets_tasks_in_flight_end(
    lab: Lab, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    lab.batch(BATCH)
    told: list[str] = []

    async def work() -> Exit:
        release = asyncio.Event()
        lab.memory.rule = lambda ref, work: Reply(until=release)

        async def interrupt(engine: Engine, run: int) -> None:
            os.kill(os.getpid(), number)
            told.append(await heard(capsys))
            release.set()

        return await followed(lab, interrupt)

    assert perform(work()) is Exit.INTERRUPTED
    assert ("Ctrl-C" if number is signal.SIGINT else number.name) in told[0]
    assert "windlass runs resume 1" in capsys.readouterr().err
    assert lab.memory.effects == ["one@a run 1: a"]

    async def states() -> dict[str, str]:
        async with owner(lab.path) as engine:
            return await lab.states(engine)

    assert perform(states()) == {"one@a": "done", "one@b": "waiting", "two@a": "waiting", "two@b": "waiting"}


def test_the_second_signal_stops_at_once_and_leaves_doubt(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.batch(BATCH)

    async def work() -> Exit:
        never = asyncio.Event()
        lab.memory.rule = lambda ref, work: Reply(until=never)

        async def interrupt(engine: Engine, run: int) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await heard(capsys)
            os.kill(os.getpid(), signal.SIGINT)

        return await followed(lab, interrupt)

    assert perform(work()) is Exit.INTERRUPTED
    assert "stopped at once" in capsys.readouterr().err

    async def states() -> dict[str, str]:
        async with owner(lab.path) as engine:
            return await lab.states(engine)

    assert perform(states())["one@a"] == "in_doubt"


def test_a_run_that_had_ended_when_the_signal_came_ends_with_its_own_status(lab: Lab) -> None:
    lab.batch(BATCH)

    async def work() -> Exit:
        async with owner(lab.path) as engine:
            run = await lab.run(engine, "work")
            assert run.state is RunState.DONE
            interrupts = Interrupts()
            interrupts.first.set()
            return await follow._follow(engine, run.number, 0, Following(), interrupts)

    assert perform(work()) is Exit.OK


def test_a_second_signal_before_anything_was_started_cancels() -> None:
    async def work() -> None:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGTERM)
            await interrupts.first.wait()
            assert interrupts.name == "SIGTERM"
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        perform(work())


def test_a_signal_that_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:

        async def work() -> bool:
            with Interrupts() as interrupts:
                os.kill(os.getpid(), signal.SIGHUP)
                os.kill(os.getpid(), signal.SIGTERM)
                await interrupts.first.wait()
                return interrupts.second.is_set()

        assert perform(work()) is False
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_printer_that_fails_is_not_silent(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.batch(BATCH)

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("cli.progress.ProgressLines.event", broken)

    async def work() -> Exit:
        async with owner(lab.path) as engine:
            return await act_and_follow(
                engine, lambda: engine.start(RunRequest(PlanRequest("work"), ACTOR)), Following()
            )

    with pytest.raises(ZeroDivisionError):
        perform(work())
