"""Row 14: the clock jumps a day, the machine sleeps. Timeouts go by uptime, order goes by sequence.

A machine cannot be put to sleep by its tests: the clocks are replaced inside the process, where the engine reads them.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from core import clock
from core.clock import UptimeLoop, uptime_s
from core.engine.executor import Work
from core.model.ids import AttemptRef
from core.model.states import TaskState
from tests.support.lab import Lab, until
from tests.support.memory import Reply

DAY_S = 86_400.0


class Clock:
    """A clock that can jump."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return self._real() + self.ahead_s  # type: ignore[operator]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A workspace with servers a and b."""
    return Lab(tmp_path / "lab")


@pytest.fixture
def uptime(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The uptime that the engine's loop goes by."""
    made = Clock(uptime_s)
    monkeypatch.setattr(clock, "uptime_s", made)
    return made


def test_f14_the_engine_runs_by_a_clock_that_counts_sleep() -> None:
    from cli.launch import perform

    async def look() -> tuple[object, float]:
        loop = asyncio.get_running_loop()
        return loop, loop.time()

    loop, now = perform(look())
    assert isinstance(loop, UptimeLoop)
    assert 0 <= uptime_s() - now < 3600
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert abs(uptime_s() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 60


def test_f14_the_machine_sleeps_and_an_overdue_command_is_stopped_soon_after(lab: Lab, uptime: Clock) -> None:
    """The command may take an hour; the machine sleeps a day. It does not get the hour again."""
    lab.batch("steps: {long: {run: long, timeout: 1h}}")
    lab.memory.rule = lambda ref, work: Reply(until=asyncio.Event())

    async def night() -> tuple[str, str, float]:
        async with lab.engine() as engine:
            from core.engine.api import PlanRequest, RunRequest

            run = await engine.start(RunRequest(PlanRequest("work"), "ada"))
            await until(engine, run.number, "long@a", TaskState.RUNNING)
            async for event in engine.follow(0, run=run.number):
                if event.type == "task.intent":
                    break
            await asyncio.sleep(0)
            uptime.ahead_s += DAY_S
            woke = time.monotonic()
            await engine.wait(run.number)
            task = await lab.task(engine, "long@a")
            return task.state.value, task.why, time.monotonic() - woke

    with asyncio.Runner(loop_factory=UptimeLoop) as runner:
        state, why, took_s = runner.run(night())
    assert state == "failed"
    assert "timed out" in why
    assert took_s < 60, "at once, not after another hour"
    assert lab.memory.stops


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S], ids=["forward", "backward"])
def test_f14_the_wall_clock_jumps_a_day_and_neither_timeouts_nor_order_notice(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    wall = Clock(time.time)
    monkeypatch.setattr(time, "time", wall)
    go_on = asyncio.Event()

    def rule(ref: AttemptRef, work: Work) -> Reply | None:
        return Reply(until=go_on) if ref.step == "two" else None

    lab.batch(
        """
        steps:
          one: {run: one}
          two: {run: two, timeout: 1h}
          three: {run: three}
        """
    )
    lab.memory.rule = rule

    async def day() -> None:
        from core.engine.api import PlanRequest, RunRequest

        async with lab.engine() as engine:
            run = await engine.start(RunRequest(PlanRequest("work"), "ada"))
            await until(engine, run.number, "two@a", TaskState.RUNNING)
            wall.ahead_s = jump_s
            # The loop has gone round many times with the clock a day away: nothing timed out.
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not lab.memory.stops
            go_on.set()
            info = await engine.wait(run.number)
            assert info.state.value == "done"
            told = await engine.events(0, run=run.number, limit=10_000)
            assert [event.seq for event in told] == sorted(event.seq for event in told)
            ends = [f"{event.step}" for event in told if event.data.get("to") == "done" and event.step]
            assert ends == sorted(ends, key=["one", "two", "three"].index), "the log tells what came first"

    with asyncio.Runner(loop_factory=UptimeLoop) as runner:
        runner.run(day())


def test_f14_a_lease_taken_in_the_future_is_still_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since when somebody owns a workspace is for people; whether somebody does is the kernel's to say."""
    from core.engine.lease import Lease, read_owner
    from core.errors import WorkspaceOwned

    state = tmp_path / ".windlass"
    lease = Lease.acquire(state)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with pytest.raises(WorkspaceOwned, match="for 0 s"):
        Lease.acquire(state)
    assert read_owner(state) is not None
    lease.release()
    assert read_owner(state) is None
