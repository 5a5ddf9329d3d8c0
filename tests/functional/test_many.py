"""Ten thousand tasks, events without end, output without end: work and memory stay bounded by the screen."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult

from core.model.ids import TaskKey
from core.model.states import RunState, TaskState
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW, ScriptedEngine, StoredRun, run_info, step, task
from tests.functional.steps import press, screen_text, settle, until
from tui import task_reading
from tui.bridge import MAX_NAMED_TASKS, Changes, EventBridge
from tui.glyphs import UNICODE
from tui.look import Look
from tui.paint import Paint
from tui.widgets.table import Column, VirtualTable

MANY = 10_000


def many_tasks() -> ScriptedEngine:
    engine = lab.lab()
    names = [f"node-{number:05d}" for number in range(MANY)]
    tasks = [
        task(
            at,
            "patch",
            name,
            TaskState.RUNNING if at < 50 else TaskState.WAITING,
            started=NOW if at < 50 else None,
        )
        for at, name in enumerate(names)
    ]
    engine.run_list = {
        1: StoredRun(run_info(1, "patch", RunState.RUNNING, began_s=60), [step(0, "patch")], tasks)
    }
    return engine


class TableApp(App[None]):
    """A table alone."""

    def __init__(self) -> None:
        super().__init__()
        self.look = Look(UNICODE, Paint({}), False, lambda: NOW)

    def compose(self) -> ComposeResult:
        yield VirtualTable[tuple[int, str]](
            (Column("number", 8, right=True), Column("text")),
            key=lambda item: item[0],
            cells=lambda item: [[(str(item[0]), "")], [(item[1], "success")]],
        )


async def test_a_table_draws_only_what_is_seen() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(VirtualTable)
        table.set_items([(number, "waiting") for number in range(MANY)])
        await pilot.pause()
        assert table.rows_rendered <= 3 * 24
        drawn = table.rows_rendered
        for number in range(5000, MANY):
            table.update_item((number, "changed"))
        await pilot.pause()
        assert table.rows_rendered == drawn  # none of them is on the screen
        table.update_item((3, "changed"))
        await pilot.pause()
        assert table.rows_rendered == drawn + 1
        table.focus()
        await pilot.pause()
        drawn = table.rows_rendered
        await pilot.press("G")
        await pilot.pause()
        assert table.chosen == (MANY - 1, "changed")
        assert table.rows_rendered <= drawn + 3 * 24


async def test_the_cursor_stays_on_its_thing_when_rows_come_and_go() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(VirtualTable)
        table.set_items([(number, "") for number in range(100)])
        table.choose(50)
        table.set_items([(number, "") for number in range(30, 100)])
        assert table.chosen == (50, "")
        table.set_items([(number, "") for number in range(100) if number != 50])
        assert table.chosen is not None and table.cursor == 20
        table.set_items([])
        assert table.chosen is None
        await pilot.press("j", "enter", "G")


async def test_the_same_rows_draw_those_that_differ_and_the_cursor_goes_where_it_is_told() -> None:
    app = TableApp()
    async with app.run_test(size=(80, 24)) as pilot:
        table = app.query_one(VirtualTable)
        rows = [(number, "waiting") for number in range(20)]
        table.set_items(rows)
        await pilot.pause()
        drawn = table.rows_rendered
        rows[4] = (4, "running")
        table.set_items(rows, cursor=4)
        await pilot.pause()
        assert table.chosen == (4, "running")
        assert table.rows_rendered - drawn == 2, "the row that changed, and where the cursor was"
        drawn = table.rows_rendered
        table.set_items(rows, cursor=4)
        await pilot.pause()
        assert table.rows_rendered == drawn


@pytest.mark.long
async def test_ten_thousand_tasks_are_read_by_the_page_and_then_by_the_screen(make_app: MakeApp) -> None:
    engine = many_tasks()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        assert "patch · 10000 tasks" in screen_text(app)
        assert app.screen.tasks.rows_rendered < 200
        every_s = task_reading.FULL_READ_EVERY_S
        try:
            task_reading.FULL_READ_EVERY_S = 1e9
            reads, drawn = engine.reads["tasks"], app.screen.tasks.rows_rendered
            for number in range(1000):
                await engine.set_task(
                    1, TaskKey("patch", f"node-{9000 + number:05d}"), state=TaskState.RUNNING
                )
            await settle(pilot)
            assert engine.reads["tasks"] - reads < 5000
            assert engine.reads["task"] < 200
            assert app.screen.tasks.rows_rendered - drawn < 2000
            await engine.set_task(1, TaskKey("patch", "node-00003"), state=TaskState.FAILED, why="exit 9")
            await until(pilot, lambda: "exit 9" in screen_text(app))
        finally:
            task_reading.FULL_READ_EVERY_S = every_s


async def test_one_failure_among_thousands_is_seen_in_the_grid(make_app: MakeApp) -> None:
    engine = many_tasks()
    stored = engine.run_list[1]
    stored.tasks = [
        task(each.index, "patch", each.server, TaskState.FAILED if each.index == 7777 else TaskState.DONE)
        for each in stored.tasks
    ]
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        grid = next(line for line in screen_text(app).splitlines() if "✓✓✓" in line)
        assert grid[grid.index("✓✓✓") :].count("✗") == 1


async def test_the_bridge_makes_few_bounded_messages_of_many_events() -> None:
    engine = many_tasks()
    seen: list[Changes] = []
    bridge = EventBridge(engine, seen.append, interval_s=0.02)
    following = asyncio.create_task(bridge.run(engine.info.last_seq))
    for number in range(5000):
        await engine.tell("task.state", 1, TaskKey("patch", f"node-{number:05d}"))
    await engine.close()
    assert await following == "the engine has ended"
    assert 1 <= len(seen) < 500
    assert all(len(changes.tasks) <= MAX_NAMED_TASKS for changes in seen)
    assert seen[-1].seq == engine.info.last_seq
    assert all(changes.touches(1) for changes in seen)


async def test_a_slow_screen_merges_and_misses_nothing(make_app: MakeApp) -> None:
    engine = lab.lab()
    gate, begun = asyncio.Event(), asyncio.Event()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter")
        plain = engine.steps

        async def slow(run: int):
            begun.set()
            await gate.wait()
            return await plain(run)

        engine.steps = slow  # type: ignore[method-assign]
        await engine.set_task(44, TaskKey("build", "web-10"), state=TaskState.RUNNING, last_line="one")
        await asyncio.wait_for(begun.wait(), 60)
        for server in ("web-10", "web-11", "web-12"):
            await engine.set_task(
                44, TaskKey("build", server), state=TaskState.RUNNING, last_line=f"news of {server}"
            )
        gate.set()
        await until(
            pilot,
            lambda: all(f"news of {name}" in screen_text(app) for name in ("web-10", "web-11", "web-12")),
        )


async def test_output_without_end_is_bounded(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    key = TaskKey("build", "web-05")
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter")
        start = 10_000
        for number in range(60):
            piece = "".join(f"line {number * 1000 + at}\n" for at in range(1000)).encode()
            await engine.print(44, key, lab.chunk(piece, start=start))
            start += len(piece)
        await until(pilot, lambda: "line 59999" in screen_text(app))
        lines = app.screen.pane.output_lines
        assert len(lines) <= 5001 and lines.forgotten > 50_000
        huge = b"x" * 5_000_000
        await engine.print(44, key, lab.chunk(huge, start=start))
        await engine.print(44, key, lab.chunk("\nafter\n", start=start + len(huge)))
        await until(pilot, lambda: "after" in screen_text(app))
        assert max(len(line.text) for line in lines.tail(5)) < 6000


async def test_what_is_not_seen_is_not_drawn(make_app: MakeApp) -> None:
    """Events of another run, or behind the screen, cost no byte; a row that changes costs a piece of the screen."""
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        drawn: list[str] = []
        display = app._display

        def counted(screen, update) -> None:
            drawn.append(type(update).__name__)
            display(screen, update)

        app._display = counted  # type: ignore[method-assign]
        for number in range(5):
            for server in lab.SERVERS:
                await engine.set_task(44, TaskKey("build", server), last_line=f"line {number}")
            await settle(pilot)
        assert drawn == []
        await engine.set_task(41, TaskKey("publish", "web-04"), why="news")
        await settle(pilot)
        assert "LayoutUpdate" not in drawn
