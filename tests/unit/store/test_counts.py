"""Counts that are kept between looks: always the same as counting everything anew."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core.model import events
from core.model.ids import TaskKey
from core.model.states import TaskState, UndoState
from core.store.counts import ANY_INDEX, MAX_STEPS_AGAIN, Counter
from core.store.reader import StoreReader
from core.store.store import Store
from core.store.tx import Tx
from tests.unit.store.support import new_run

SERVERS = tuple(f"web-{number}" for number in range(7))
MANY_STEPS = tuple(f"step-{number:02}" for number in range(MAX_STEPS_AGAIN + 4))


class Asked:
    """A reader's rows, with what was asked for."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self.asked: list[str] = []

    async def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[Any]:
        self.asked.append(sql)
        return await self._reader.rows(sql, parameters)

    @property
    def whole(self) -> int:
        """How often all tasks of a run were counted."""
        return sum("GROUP BY step, state" in sql for sql in self.asked)


async def move(store: Store, run: int, index: int, step: str, **columns: Any) -> None:
    """Changes a task with the event that tells it."""
    tx = Tx()
    tx.task(run, index, **columns)
    kind = events.TASK_UNDO if "undo" in columns else events.TASK_STATE
    tx.event(kind, run=run, step=step, server=SERVERS[index % len(SERVERS)], actor="engine", data={})
    await store.commit(tx)


async def both(store: Store, database: Path, run: int = 1) -> tuple[object, object]:
    """The run and its steps by the store's own reader, which knows them, and by a new one."""
    fresh = await StoreReader.open(database)
    try:
        return (
            (await store.reader.run(run), await store.reader.steps(run)),
            (await fresh.run(run), await fresh.steps(run)),
        )
    finally:
        await fresh.close()


async def test_what_is_kept_is_what_counting_anew_gives(store: Store, database: Path) -> None:
    dice = random.Random(5)
    await new_run(store, 1, steps=("a", "b", "c"), servers=SERVERS)
    for number in range(120):
        index = dice.randrange(3 * len(SERVERS))
        step = "abc"[index // len(SERVERS)]
        if dice.random() < 0.2:
            await move(store, 1, index, step, undo=dice.choice(list(UndoState)).value)
        else:
            state = dice.choice(list(TaskState))
            await move(store, 1, index, step, state=state.value, started=float(number), ended=number + 0.5)
        if dice.random() < 0.5:
            kept, anew = await both(store, database)
            assert kept == anew


async def test_only_steps_with_news_are_counted_again(store: Store) -> None:
    await new_run(store, 1, steps=MANY_STEPS, servers=SERVERS)
    asked = Asked(store.reader)
    counter = Counter(asked.rows)
    before = await counter.steps(1)
    assert asked.whole == 1
    await move(store, 1, 0, MANY_STEPS[0], state="running", started=5.0)
    after = await counter.steps(1)
    assert asked.whole == 1
    assert after[MANY_STEPS[0]].counts == {TaskState.WAITING: 6, TaskState.RUNNING: 1}
    assert before[MANY_STEPS[0]].counts == {TaskState.WAITING: 7}, "what was given before stays as it was"
    assert after[MANY_STEPS[1]] is before[MANY_STEPS[1]]
    asked.asked.clear()
    assert await counter.steps(1) == after
    assert len(asked.asked) == 1, "one look at the log where nothing happened"


async def test_an_event_of_the_run_or_of_many_steps_counts_everything_anew(store: Store) -> None:
    await new_run(store, 1, steps=MANY_STEPS, servers=SERVERS)
    asked = Asked(store.reader)
    counter = Counter(asked.rows)
    await counter.steps(1)
    tx = Tx()
    tx.task(1, 0, state="done")
    tx.event(events.RUN_STATE, run=1, actor="engine", data={})
    await store.commit(tx)
    assert (await counter.totals([1]))[1].counts == {TaskState.DONE: 1, TaskState.WAITING: 139}
    assert asked.whole == 2
    for at, step in enumerate(MANY_STEPS):
        await move(store, 1, at * len(SERVERS), step, state="running")
    assert (await counter.totals([1]))[1].counts[TaskState.RUNNING] == len(MANY_STEPS)
    assert asked.whole == 3


async def test_many_runs_are_counted_at_once_and_only_again_where_something_happened(store: Store) -> None:
    for number in range(1, 13):
        await new_run(store, number, steps=("a",), servers=SERVERS)
    asked = Asked(store.reader)
    counter = Counter(asked.rows)
    runs = list(range(1, 13))
    for total in (await counter.totals(runs)).values():
        assert total.counts == {TaskState.WAITING: 7}
    assert len(asked.asked) == 2 and asked.whole == 0
    await move(store, 3, 0, "a", state="done")
    asked.asked.clear()
    totals = await counter.totals(runs)
    assert totals[3].counts == {TaskState.WAITING: 6, TaskState.DONE: 1}
    assert totals[3].seq > totals[12].seq
    assert asked.whole == 1, "of the one run"


async def test_a_run_that_comes_later_is_counted_then(store: Store) -> None:
    counter = Counter(store.reader.rows)
    assert await counter.steps(1) == {}
    await new_run(store)
    assert set(await counter.steps(1)) == {"prepare", "deploy"}


async def test_tasks_are_looked_for_where_their_step_lies(store: Store) -> None:
    await new_run(store, 1, steps=("a", "b"), servers=SERVERS)
    counter = Counter(store.reader.rows)
    assert counter.place(1, "b") == (0, ANY_INDEX), "not counted yet"
    await counter.steps(1)
    assert counter.place(1, "b") == (7, 13)
    assert counter.place(1, "gone") == (0, ANY_INDEX)
    counter.forget()
    assert counter.place(1, "b") == (0, ANY_INDEX)
    reader = store.reader
    before = [await reader.tasks(1, step=step, after=after) for step in "ab" for after in (-1, 3, 9)]
    await reader.steps(1)
    after = [await reader.tasks(1, step=step, after=after) for step in "ab" for after in (-1, 3, 9)]
    assert after == before
    assert [len(page) for page in after] == [7, 3, 0, 7, 7, 4]
    task = await reader.task(1, TaskKey("b", "web-2"))
    assert task is not None and task.index == 9


async def test_tasks_that_stayed_as_they_were_are_the_same_objects(store: Store) -> None:
    await new_run(store, 1, steps=("a",), servers=SERVERS)
    first = await store.reader.tasks(1)
    assert await store.reader.tasks(1, after=first[-1].index) == []
    await move(store, 1, 2, "a", state="done")
    second = await store.reader.tasks(1)
    assert [one is two for one, two in zip(first, second, strict=True)] == [at != 2 for at in range(7)]
    assert second[2].state is TaskState.DONE
