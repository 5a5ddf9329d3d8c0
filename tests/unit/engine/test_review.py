"""Races and ends between two transactions: what an engine leaves behind at every point, the next one takes up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from core.engine import flight as flights
from core.engine.api import Engine, PlanRequest, RunRequest
from core.engine.blobs import Blobs
from core.engine.executor import (
    NO_TRACE,
    Answer,
    Command,
    Ended,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    StopAnswer,
    StopUnconfirmed,
    Trace,
    Work,
)
from core.engine.flight import Flight
from core.engine.local import LocalEngine
from core.engine.snapshot import ENGINE
from core.errors import InputError, StoreError
from core.model.ids import AttemptRef, TaskKey
from core.model.states import Decision, Purpose, RunState, Stream, TaskState, UndoState
from core.store.database import open_database
from core.store.tx import Tx
from core.store.writer import Writer
from providers.base import Server
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import MemoryExecutor, Reply


def die_after(engine: Engine, transactions: int) -> asyncio.Event:
    """Makes nothing durable after that many transactions, as a kill does; the event tells that it happened."""
    store = cast(LocalEngine, engine)._store
    commit, post = store.commit, store.post
    dead, count = asyncio.Event(), 0

    def lives() -> bool:
        nonlocal count
        count += 1
        if count > transactions:
            dead.set()
        return not dead.is_set()

    def dying_commit(tx: Tx) -> asyncio.Future[None]:
        return commit(tx) if lives() else asyncio.get_running_loop().create_future()

    def dying_post(tx: Tx) -> None:
        if lives():
            post(tx)

    store.commit, store.post = dying_commit, dying_post  # type: ignore[method-assign]
    return dead


async def start_and_die(lab: Lab, batch: str, transactions: int, *, back: bool = False) -> bool:
    """Runs a batch (and rolls it back) and dies after some transactions; True when it came to its end before."""
    async with lab.engine() as engine:
        run = await lab.run(engine, batch) if back else None
        dead = asyncio.ensure_future(die_after(engine, transactions).wait())

        async def go() -> None:
            if run is None:
                await lab.run(engine, batch)
            else:
                await engine.roll_back(run.number, actor=ACTOR)
                await engine.wait(run.number)

        going = asyncio.ensure_future(go())
        await asyncio.wait([dead, going], return_when=asyncio.FIRST_COMPLETED)
        over = going.done()
        for task in (dead, going):
            task.cancel()
        await asyncio.gather(dead, going, return_exceptions=True)
        return over


async def take_up(lab: Lab, engine: Engine) -> RunState | None:
    """Resumes the only run, where there is one that is open."""
    runs = await engine.runs()
    if not runs:
        return None
    if runs[0].state in (RunState.PAUSED, RunState.WAITING):
        await engine.resume(1, actor=ACTOR)
    return (await engine.wait(1)).state


async def test_killed_between_any_two_transactions_nothing_is_run_twice_silently(tmp_path: Path) -> None:
    for transactions in range(200):
        lab = Lab(tmp_path / str(transactions), servers=("a",))
        batch = lab.batch("steps: {one: {run: first, register: r}, two: {run: second, verify: proof}}")
        over = await start_and_die(lab, batch, transactions)
        async with lab.engine() as engine:
            state = await take_up(lab, engine)
            for name, text in (("one@a", "first"), ("two@a", "second")):
                ran = [e for e in lab.memory.effects if e.startswith(f"{name} run") and e.endswith(text)]
                assert len(ran) <= 1, (transactions, lab.memory.effects)
            assert state in (None, RunState.DONE, RunState.WAITING)
            if state is RunState.WAITING:
                assert "in_doubt" in (await lab.states(engine)).values()
        if over:
            return
    raise AssertionError("the run never came to its end")


@pytest.mark.parametrize("policy", ["stop", "rollback"])
async def test_killed_between_any_two_transactions_a_failure_still_halts_the_run(
    tmp_path: Path, policy: str
) -> None:
    for transactions in range(200):
        lab = Lab(tmp_path / str(transactions))
        lab.memory.rule = lambda ref, work: (
            Reply(Ended(1)) if (ref.step, ref.purpose) == ("one", Purpose.RUN) else None
        )
        batch = lab.batch(f"""
            strategy: {{parallel: 1, on_failure: {policy}}}
            steps:
              one: {{run: x, on: name:a, undo: back}}
              two: {{run: y, on: name:b, needs: []}}
        """)
        over = await start_and_die(lab, batch, transactions)
        async with lab.engine() as engine:
            state = await take_up(lab, engine)
            if state is not None and (await lab.states(engine))["one@a"] == "failed":
                assert not any(effect.startswith("two@b") for effect in lab.memory.effects), transactions
                undo = (await lab.task(engine, "one@a")).undo
                expected = RunState.FAILED if policy == "stop" else RunState.ROLLED_BACK
                assert state is (RunState.WAITING if undo is UndoState.IN_DOUBT else expected), transactions
        if over:
            return
    raise AssertionError("the run never came to its end")


async def test_killed_between_any_two_transactions_no_undo_is_run_twice_silently(tmp_path: Path) -> None:
    for transactions in range(200):
        lab = Lab(tmp_path / str(transactions), servers=("a",))
        batch = lab.batch("steps: {one: {run: x, undo: back-one}, two: {run: y, undo: back-two}}")
        over = await start_and_die(lab, batch, transactions, back=True)
        async with lab.engine() as engine:
            await take_up(lab, engine)
            undos = [effect for effect in lab.memory.effects if " undo " in effect]
            assert len(undos) == len({undo.split()[0] for undo in undos}), (transactions, undos)
        if over:
            return
    raise AssertionError("the rollback never came to its end")


async def test_a_command_that_waits_for_its_verification_is_known_to_every_later_engine(lab: Lab) -> None:
    never = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=never) if ref.purpose is Purpose.VERIFY else None
    async with lab.engine() as engine:
        await engine.start(
            RunRequest(PlanRequest(lab.batch("steps: {one: {run: work, verify: proof, on: name:a}}")), ACTOR)
        )
        while len(lab.memory.effects) < 2:
            await asyncio.sleep(0.01)
    lab.memory.rule = lambda ref, work: None
    async with lab.engine():
        pass  # settles it, and carries nothing on
    async with lab.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
    assert lab.memory.effects == ["one@a run 1: work", "one@a verify 1: proof", "one@a verify 1: proof"]


async def test_a_rollback_that_is_paused_before_it_begins_is_not_forgotten(lab: Lab) -> None:
    gate = asyncio.Event()
    lab.memory.rule = lambda ref, work: (
        Reply(until=gate) if (ref.step, ref.purpose) == ("one", Purpose.RUN) else None
    )
    async with lab.engine() as engine:
        batch = lab.batch("steps: {one: {run: x, undo: back}, two: {run: y}}")
        await engine.start(RunRequest(PlanRequest(batch), ACTOR))
        while len(lab.memory.effects) < 2:
            await asyncio.sleep(0.01)
        await engine.roll_back(1, actor=ACTOR)
        await engine.pause(1, actor=ACTOR)
        gate.set()
        assert (await engine.wait(1)).state is RunState.PAUSED
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK
    assert not any(effect.startswith("two@") for effect in lab.memory.effects)


class Held(MemoryExecutor):
    """Servers whose record is found only once `gate` is open, and says that nothing was started."""

    def __init__(self, lab: Lab, gate: asyncio.Event, asked: asyncio.Event) -> None:
        super().__init__(lab.memory)
        self._gate, self._asked = gate, asked

    async def attach(
        self,
        server: Server,
        ref: AttemptRef,
        work: Work,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace = NO_TRACE,
        found: Found | None = None,
    ) -> Answer:
        self._asked.set()
        await self._gate.wait()
        return NotStarted("no claim is there")


async def leave_in_doubt(lab: Lab) -> None:
    """A run whose only task in flight, one@a, is in doubt."""
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost"))
    async with lab.engine() as engine:
        run = await lab.run(
            engine, lab.batch("steps: {one: {run: x, on: name:a}, two: {run: y, on: name:a}}")
        )
        assert run.state is RunState.WAITING
    lab.memory.rule = lambda ref, work: None


async def test_a_drain_during_the_probes_starts_nothing(own_lab: Lab) -> None:
    await leave_in_doubt(own_lab)
    gate, asked = asyncio.Event(), asyncio.Event()
    own_lab.memory.executor = lambda _=None: Held(own_lab, gate, asked)  # type: ignore[method-assign]
    async with own_lab.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        await asked.wait()
        draining = asyncio.ensure_future(engine.drain())
        await asyncio.sleep(0)
        gate.set()
        await draining
    assert own_lab.memory.effects == ["one@a run 1: x"]


async def test_a_decision_during_the_probes_stands(lab: Lab) -> None:
    await leave_in_doubt(lab)
    gate, asked = asyncio.Event(), asyncio.Event()
    lab.memory.executor = lambda _=None: Held(lab, gate, asked)  # type: ignore[method-assign]
    async with lab.engine() as engine:
        await engine.resume(1, actor=ACTOR)
        await asked.wait()
        await engine.decide(1, TaskKey("one", "a"), Decision.DONE, actor=ACTOR, reason="seen")
        gate.set()
        assert (await engine.wait(1)).state is RunState.DONE
    assert lab.memory.effects == ["one@a run 1: x", "two@a run 1: y"]


async def test_a_decision_made_while_the_last_flight_lands_is_carried_on(own_lab: Lab) -> None:
    gate = asyncio.Event()
    own_lab.memory.rule = lambda ref, work: (
        Reply(InDoubt("lost")) if ref.server == "a" and ref.attempt == 1 else Reply(until=gate)
    )
    async with own_lab.engine() as engine:
        store = cast(LocalEngine, engine)._store
        commit = store.commit
        concluding = asyncio.Event()

        def late(tx: Tx) -> asyncio.Future[None]:
            future = commit(tx)
            if any(event[0] == "run.state" and event[6]["to"] == "waiting_for_person" for event in tx.events):
                concluding.set()
            if not any(event[6].get("decision") for event in tx.events):
                return future

            async def told() -> None:
                # The decision is durable, and its caller hears of it only when the loop has ended.
                await future
                gate.set()
                waits = [asyncio.ensure_future(concluding.wait()), asyncio.ensure_future(asyncio.sleep(0.3))]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()

            return asyncio.ensure_future(told())

        await engine.start(RunRequest(PlanRequest(own_lab.batch("steps: {one: {run: x}}")), ACTOR))
        await until(engine, 1, "one@a", TaskState.IN_DOUBT)
        store.commit = late  # type: ignore[method-assign]
        await engine.decide(1, TaskKey("one", "a"), Decision.RETRY, actor=ACTOR, reason="again")
        assert (await engine.wait(1)).state is RunState.DONE
        assert await own_lab.states(engine) == {"one@a": "done", "one@b": "done"}


async def test_after_an_internal_fault_what_was_in_flight_is_in_doubt_in_the_same_engine(
    own_lab: Lab,
) -> None:
    never = asyncio.Event()

    def rule(ref: AttemptRef, work: Work) -> Reply:
        if ref.server == "b":
            raise RuntimeError("a fault of the program")
        return Reply(until=never)

    own_lab.memory.rule = rule
    async with own_lab.engine() as engine:
        with pytest.raises(RuntimeError, match="a fault of the program"):
            await own_lab.run(engine, own_lab.batch("steps: {one: {run: x}, two: {run: y}}"))
        own_lab.memory.rule = lambda ref, work: None
        run = await engine.run(1)
        assert run.state is RunState.WAITING
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.WAITING
        assert set((await own_lab.states(engine)).values()) == {"in_doubt", "waiting"}
    assert own_lab.memory.effects.count("one@a run 1: x") == 1
    assert not any(" run 2" in effect for effect in own_lab.memory.effects)


class Unstoppable(MemoryExecutor):
    """Servers that never confirm a stop."""

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        return StopUnconfirmed("no answer")


async def test_a_check_that_cannot_be_stopped_fails_and_is_not_in_doubt(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flights, "FOLLOW_AFTER_STOP_S", 0.01)
    never = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(until=never) if ref.purpose is Purpose.CHECK else None
    lab.memory.executor = lambda _=None: Unstoppable(lab.memory)  # type: ignore[method-assign]
    async with lab.engine() as engine:
        batch = lab.batch("steps: {one: {run: x, check: {run: looks, timeout: 30ms}, on: name:a}}")
        assert (await lab.run(engine, batch)).state is RunState.FAILED
        task = await lab.task(engine, "one@a")
        assert task.state is TaskState.FAILED and "check timed out" in task.why
    assert lab.memory.effects == ["one@a check 1: looks"]


async def test_an_undo_in_doubt_is_not_run_again_by_asking_for_the_rollback_again(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost")) if ref.purpose is Purpose.UNDO else None
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch("steps: {one: {run: x, undo: back, on: name:a}}"))
        for _ in range(2):
            await engine.roll_back(1, actor=ACTOR)
            assert (await engine.wait(1)).state is RunState.WAITING
        assert (await lab.task(engine, "one@a")).undo is UndoState.IN_DOUBT
    assert lab.memory.effects == ["one@a run 1: x", "one@a undo 1: back"]


async def test_a_flight_that_was_cancelled_hands_nothing_over(lab: Lab) -> None:
    flight = Flight(0, ENGINE, lab.memory.executor())
    flight.cancel()
    ref = AttemptRef("0" * 32, "one", "engine", Purpose.RUN, 1)
    start = flight.executor.start(ENGINE, ref, Command("x"), lambda stream, start, data: None)
    answer = await flight.hand_over(ref, start, None)
    assert isinstance(answer, NotStarted)
    assert lab.memory.effects == []


async def test_two_callers_at_once_get_the_same_run(own_lab: Lab) -> None:
    await leave_in_doubt(own_lab)
    async with own_lab.engine() as engine:
        local = cast(LocalEngine, engine)
        first, second = await asyncio.gather(local._load(1), local._load(1))
        assert first is second


async def test_a_number_beyond_the_database_is_a_run_that_is_not_there(lab: Lab) -> None:
    async with lab.engine() as engine:
        with pytest.raises(InputError, match="no run"):
            await engine.run(10**30)
        with pytest.raises(InputError, match="no run"):
            await engine.pause(10**30, actor=ACTOR)
        assert await engine.events(10**30) == []


async def test_a_template_that_cannot_be_rendered_to_disk_fails_its_task_and_not_the_engine(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lab.path / "files").mkdir()
    (lab.path / "files" / "conf").write_text("I am {{ server.name }}")
    async with lab.engine() as engine:
        keep = Blobs.keep_bytes

        def full(blobs: Blobs, content: bytes) -> str:
            if content == b"I am a":
                raise OSError(28, "No space left on device")
            return keep(blobs, content)

        monkeypatch.setattr(Blobs, "keep_bytes", full)
        batch = lab.batch("steps: {one: {upload: {from: files/conf, to: conf, template: true}}}")
        assert (await lab.run(engine, batch)).state is RunState.FAILED
        assert await lab.states(engine) == {"one@a": "failed", "one@b": "done"}
        assert "No space left" in (await lab.task(engine, "one@a")).why


class Broken:
    """A connection that can neither commit nor roll back once `broken` is set."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.broken = False

    def execute(self, sql: str, *parameters: Any) -> Any:
        if self.broken and sql in ("COMMIT", "ROLLBACK"):
            raise sqlite3.OperationalError("disk I/O error")
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_a_rollback_that_fails_is_told_to_whoever_waits(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    connection = open_database(path)
    connection.execute("INSERT INTO meta (key, value) VALUES ('epoch', '1')")
    broken = Broken(connection)
    writer = Writer(cast(sqlite3.Connection, broken), path, epoch=1, last_seq=0)
    broken.broken = True
    for _ in range(2):
        with pytest.raises(StoreError):
            async with asyncio.timeout(60):
                await writer.commit(Tx())
    broken.broken = False
    await writer.close()


async def test_a_selector_that_cannot_be_read_is_bad_input_from_afar_as_well(lab: Lab) -> None:
    async with lab.engine() as engine:
        lab.batch("steps: {one: {run: x}}")
        for asked in (
            engine.plan(PlanRequest("work", limit="engine")),
            engine.start(RunRequest(PlanRequest("work", limit="(all"), ACTOR)),
        ):
            with pytest.raises(InputError, match=r"engine|without"):
                await asked
