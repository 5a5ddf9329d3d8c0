"""The past of real runs: what the fold of their events tells is what the engine told at that moment."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.engine import past as module
from core.engine.api import Engine, PlanRequest, RunRequest
from core.engine.executor import Ended, InDoubt, Work
from core.engine.past import NOT_KEPT, Past
from core.errors import NotPossible, WindlassError
from core.model.events import Event
from core.model.ids import AttemptRef, TaskKey
from core.model.replay import Budgets, Fold, Moment
from core.model.states import Decision, Purpose, RunState, TaskState, UndoState
from core.model.views import OutputChunk, RunInfo, StepInfo, TaskInfo
from core.store import writer as writing
from core.store.reader import StoreReader
from core.store.writer import Writer
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply
from tests.unit.engine.test_reattaching import Place, soon

Seen = tuple[RunInfo, list[StepInfo], list[TaskInfo], dict[TaskKey, list[OutputChunk]]]


class Witness:
    """Reads the views of run 1 after every transaction, before the next one."""

    def __init__(self) -> None:
        self.seen: dict[int, Seen] = {}

    def look(self, path: Path) -> None:
        """Called in the writer's thread."""
        asyncio.run(self._look(path))

    async def _look(self, path: Path) -> None:
        reader = await StoreReader.open(path)
        try:
            run = await reader.run(1)
            if run is not None:
                tasks = await reader.tasks(1, limit=10_000)
                output = {task.key: list((await reader.output(1, task.key)).chunks) for task in tasks}
                self.seen[run.last_seq] = run, await reader.steps(1), tasks, output
        finally:
            await reader.close()

    async def agrees(self, engine: Engine) -> None:
        """The fold, and the past that is read from the engine, tell what was seen at each moment."""
        run, steps = await engine.run(1), await engine.steps(1)
        assert len(self.seen) >= 8
        tasks, events = await engine.tasks(1, limit=10_000), await engine.events(0, run=1, limit=100_000)
        assert run.last_seq == events[-1].seq and run.last_seq in self.seen
        budgets = Budgets(tasks, run.last_seq)
        for event in events:
            budgets.note(event)
        fold = Fold(run, steps, tasks, budgets)
        for event in events:
            fold.apply(event)
            if event.seq in self.seen:
                then, then_steps, then_tasks, _ = self.seen[event.seq]
                assert fold.run() == dataclasses.replace(then, interrupted=fold.run().interrupted)
                assert fold.steps() == then_steps
                assert fold.tasks(limit=10_000) == [
                    dataclasses.replace(task, last_line="") for task in then_tasks
                ]
        assert fold.run() == run and fold.steps() == list(steps)
        _older_agrees(fold, Fold(run, steps, tasks, budgets), events)
        await self._past_agrees(engine, [event.seq for event in events])

    async def _past_agrees(self, engine: Engine, seqs: list[int]) -> None:
        past = await Past.read(engine, 1)
        assert past.count == len(seqs) == past.position
        places = list(range(1, len(seqs) + 1))
        random.Random(7).shuffle(places)
        for at in places:
            await past.go(at)
            assert past.event is not None and past.event.seq == seqs[at - 1]
            seen = self.seen.get(seqs[at - 1])
            if seen is None:
                continue
            then, steps, tasks, output = seen
            assert await past.run(1) == dataclasses.replace(then, interrupted=(await past.run(1)).interrupted)
            assert await past.steps(1) == steps
            assert await past.tasks(1) == tasks
            for task in tasks:
                assert await past.task(1, task.key) == task
                assert list((await past.output(1, task.key)).chunks) == output[task.key]


def _older_agrees(fold: Fold, older: Fold, events: Sequence[Event]) -> None:
    """Events of engines that did not tell times give the same run, a little later."""
    for event in events:
        older.apply(event._replace(data={key: told for key, told in event.data.items() if key != "at"}))
    assert (older.run().state, older.run().counts) == (fold.run().state, fold.run().counts)
    for was, told in zip(fold.tasks(limit=10_000), older.tasks(limit=10_000), strict=True):
        assert (was.started is None, was.ended is None) == (told.started is None, told.ended is None)
        assert was.ended is None or told.ended is None or abs(was.ended - told.ended) < 30
        assert dataclasses.replace(was, started=None, ended=None) == dataclasses.replace(
            told, started=None, ended=None
        )


Act = Callable[[Engine], Awaitable[object]]


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    seen = Witness()
    transact = Writer._transact

    def committed(writer: Writer, group: list[Any]) -> list[Event]:
        events = transact(writer, group)
        seen.look(writer._path)
        return events

    monkeypatch.setattr(Writer, "_transact", committed)
    monkeypatch.setattr(writing, "GROUP_AT_MOST", 1)
    monkeypatch.setattr(module, "PAGE", 7)  # many pages and checkpoints
    monkeypatch.setattr(module, "CHECKPOINTS", 4)
    return seen


async def play(lab: Lab, witness: Witness, text: str, *acts: Act) -> None:
    """Runs a batch, and does one thing after another whenever the run stands still."""
    name = lab.batch(text)
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(name), ACTOR))
        await engine.wait(1)
        for act in acts:
            await act(engine)
            await engine.wait(1)
        await witness.agrees(engine)


MANY = """
    strategy: {parallel: 3, on_failure: continue, max_failures: 100%}
    steps:
      look: {run: looks, check: there, undo: unlook}
      work: {run: works, verify: proof, undo: unwork, retries: {attempts: 3, delay: 5ms, jitter: 0}}
      last: {run: lasts, needs: [work], when: "server.name != 'c'"}
"""


def rule(ref: AttemptRef, work: Work) -> Reply | None:
    """Checks that find things in place, attempts that fail, doubts, and much that is printed."""
    printed = f"{ref.step} {ref.purpose.value} {ref.attempt} on {ref.server}\n".encode()
    if ref.purpose is Purpose.CHECK:
        return Reply(Ended(0 if ref.server == "a" else 1), printed)
    if ref.purpose is Purpose.VERIFY:
        return Reply(Ended(1 if ref.server == "d" and ref.attempt < 3 else 0), b"proved\n")
    if ref.purpose is Purpose.UNDO:
        return Reply(Ended(4 if ref.server == "b" else 0), printed)
    if ref.step == "work" and ref.server == "b":
        return Reply(Ended(9, "" if ref.attempt < 3 else "KILL"), printed * 3)
    if ref.step == "work" and ref.server == "c" and ref.attempt == 1:
        return Reply(InDoubt("the line went dead"), printed)
    return Reply(Ended(0), printed)


def four(tmp_path: Path, *, served: bool = False) -> Lab:
    lab = Lab(tmp_path / "lab", ("a", "b", "c", "d"), served=served)
    lab.memory.rule = rule
    return lab


@pytest.mark.parametrize("decision", list(Decision), ids=lambda decision: decision.value)
async def test_failures_retries_doubts_and_a_rollback(
    tmp_path: Path, witness: Witness, decision: Decision
) -> None:
    async def back(engine: Engine) -> None:
        await engine.roll_back(1, actor=ACTOR)

    await play(
        four(tmp_path),
        witness,
        MANY,
        lambda engine: engine.decide(1, TaskKey("work", "c"), decision, actor=ACTOR, reason="seen"),
        lambda engine: engine.retry(1, actor=ACTOR, accept_risk=True),
        back,
    )
    states = {seen[0].state for seen in witness.seen.values()}
    assert {RunState.WAITING, RunState.ROLLBACK_FAILED} <= states


async def test_an_unreachable_server_and_what_it_blocks(tmp_path: Path, witness: Witness) -> None:
    lab = four(tmp_path)
    lab.memory.unreachable = {"d"}

    async def again(engine: Engine) -> None:
        lab.memory.unreachable = set()
        await engine.retry(1, actor=ACTOR)

    text = "steps: {one: {run: x}, two: {run: y, needs: [one]}}"
    await play(lab, witness, text, again, lambda engine: engine.control(1, actor=ACTOR))


async def test_a_pause_a_cancel_and_a_retry(tmp_path: Path, witness: Witness) -> None:
    lab = four(tmp_path)
    gate = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(Ended(0), b"half a line", until=gate)
    name = lab.batch("strategy: {parallel: 2}\nsteps: {one: {run: x, undo: y}}")
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(name), ACTOR))
        await until(engine, 1, "one@a", TaskState.RUNNING)
        await engine.pause(1, actor=ACTOR, reason="lunch")
        gate.set()
        await engine.wait(1)
        gate.clear()
        await engine.resume(1, actor=ACTOR)
        await until(engine, 1, "one@c", TaskState.RUNNING)
        await engine.cancel(1, actor=ACTOR)
        await engine.wait(1)
        gate.set()
        await engine.retry(1, actor=ACTOR)
        await engine.wait(1)
        await witness.agrees(engine)


@pytest.mark.parametrize("lost", [False, True], ids=["found", "lost"])
async def test_an_engine_that_ended_and_a_server_that_went_away(
    tmp_path: Path, witness: Witness, lost: bool
) -> None:
    place = Place(tmp_path / "lab", ("a", "b"))
    place.servers.end = lambda ref: None if ref.step == "long" else 0
    text = """
        strategy: {reconnect: 20s}
        steps:
          long: {run: x, verify: proof, undo: z}
          after: {run: y}
    """
    await place.leave(text, "long")
    async with place.engine() as engine:
        await place.resume(engine, "long")
        if lost:
            place.servers.lose("a")
            await soon_async(lambda: why_of(engine, "server is lost"))
            place.servers.find("a")
        place.servers.go("long")
        await engine.wait(1)
        await witness.agrees(engine)


async def why_of(engine: Engine, part: str) -> bool:
    return part in (await engine.task(1, TaskKey("long", "a"))).why


async def soon_async(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0.01)


async def test_two_engines_that_ended_leave_doubts_that_stay_doubts(tmp_path: Path, witness: Witness) -> None:
    lab = four(tmp_path)
    never = asyncio.Event()
    lab.memory.rule = lambda ref, work: Reply(Ended(0), b"begun\n", until=never)
    name = lab.batch("steps: {one: {run: x, check: c, undo: y, retries: {attempts: 2, delay: 1ms}}}")
    lab.memory.rule = lambda ref, work: (
        Reply(Ended(1)) if ref.purpose is Purpose.CHECK else Reply(Ended(0), b"begun\n", until=never)
    )
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(name), ACTOR))
        await until(engine, 1, "one@d", TaskState.RUNNING)
        await soon(lambda: len(lab.memory.effects) >= 8)
    for _ in range(2):
        async with lab.engine() as engine:
            await engine.resume(1, actor=ACTOR)
            await engine.wait(1)
    async with lab.engine() as engine:
        await witness.agrees(engine)


# ------------------------------------------------------------ the past alone


def told_run(tmp_path: Path) -> tuple[Lab, str]:
    lab = four(tmp_path)
    return lab, lab.batch(MANY)


async def test_it_finds_ends_failures_and_moments(tmp_path: Path) -> None:
    lab, name = told_run(tmp_path)
    async with lab.engine() as engine:
        await lab.run(engine, name)
        past = await Past.read(engine, 1)
        events = await engine.events(0, run=1, limit=10_000)
        bad = [
            at
            for at, event in enumerate(events, 1)
            if event.data.get("to") in ("failed", "in_doubt", "waiting_for_person")
            and event.type in ("task.state", "run.state")
        ]
        found, at = [], past.later(Moment.FAILURE, 0)
        while at is not None:
            found.append(at)
            at = past.later(Moment.FAILURE, at)
        assert found == bad
        assert past.earlier(Moment.FAILURE, bad[-1]) == bad[-2]
        assert past.earlier(Moment.FAILURE, bad[0]) is None
        ends = past.later(Moment.TASK_END, 0)
        assert ends is not None and events[ends - 1].data["to"] == "in_place"
        await past.go(10**9)
        assert past.position == past.count
        await past.go(-3)
        assert past.position == 1 and past.event is not None and past.event.type == "run.created"
        assert past.at_time(0.0) == 1 and past.at_time(1e12) == past.count
        assert past.at_time(past.time_of(5)) >= 5


async def test_what_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    lab, name = told_run(tmp_path)
    async with lab.engine() as engine:
        await lab.run(engine, name)
        past = await Past.read(engine, 1)
        key = TaskKey("work", "c")
        told = await past.explain(1, key)
        assert told.sentences[-1] == NOT_KEPT and "was in doubt" in told.sentences[0]
        assert [a.outcome for a in await past.attempts(1, key)] == ["in doubt"]
        await past.go(2)
        assert await past.attempts(1, key) == []
        assert (await past.task(1, key)).last_line == ""
        with pytest.raises(WindlassError):
            await past.task(1, TaskKey("work", "nobody"))
        acts = await past.acts(1)
        assert [event.type for event in acts] == ["run.created"]


@pytest.mark.parametrize("served", [False, True], ids=["engine", "client"])
async def test_it_goes_on_with_a_run_that_goes_on(tmp_path: Path, served: bool) -> None:
    lab = four(tmp_path, served=served)
    name = lab.batch(MANY)
    async with lab.engine() as engine:
        await lab.run(engine, name)
        past = await Past.read(engine, 1)
        stood = past.position
        assert not await past.catch_up()
        await engine.decide(1, TaskKey("work", "c"), Decision.RETRY, actor=ACTOR, reason="again")
        with contextlib.suppress(NotPossible):  # the decision lets it go on: it may be over by now
            await engine.resume(1, actor=ACTOR)
        await engine.wait(1)
        assert await past.catch_up() and past.position == stood
        assert (await past.task(1, TaskKey("work", "c"))).state is TaskState.IN_DOUBT
        await past.go(past.count)
        assert await past.tasks(1) == await engine.tasks(1)
        assert await past.run(1) == await engine.run(1)
        assert (await past.task(1, TaskKey("work", "c"))).undo is UndoState.NONE


async def test_a_guard_that_is_asked_twice_prints_from_the_start_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "lab", ("a",))
    answers = iter([InDoubt("lost"), Ended(0)])
    lab.memory.rule = lambda ref, work: Reply(
        next(answers) if ref.purpose is Purpose.CHECK else Ended(0), b"looking\n"
    )
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch("steps: {one: {run: x, check: y}}"))
        past, key = await Past.read(engine, 1), TaskKey("one", "a")
        sizes = []
        for at in range(1, past.count + 1):
            await past.go(at)
            sizes.append(len((await past.output(1, key)).chunks))
        assert sizes[0] == 0 and sizes[-1] == 2 and 1 in sizes and sizes == sorted(sizes)
