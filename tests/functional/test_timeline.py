"""The timeline of a run: every key of it, the critical path in words, and thousands of tasks."""

from __future__ import annotations

import dataclasses
import time

from core.model.ids import TaskKey
from core.model.states import RunState, TaskState
from tests.functional import history, lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW, ScriptedEngine, StoredRun, run_info, task
from tests.functional.steps import press, screen_text, settle, static_text, until
from tui.screens.run import RunScreen
from tui.screens.timeline import TimelineScreen


def mixed() -> ScriptedEngine:
    """The lab with a run that is over, and that has a log."""
    engine = lab.lab()
    engine.run_list = {45: history.mixed_run()}
    history.write(engine, 45)
    return engine


def shown(app) -> TimelineScreen:
    assert isinstance(app.screen, TimelineScreen)
    return app.screen


def names(app) -> list[str]:
    return [bar.name for bar in shown(app).bars.items]


async def test_it_shows_steps_and_what_decided_the_end(make_app: MakeApp) -> None:
    app = make_app(mixed())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "enter", "v")
        assert names(app) == ["drain", "reboot", "verify"]
        told = static_text(app, "#path")
        assert "verify waited 41s for reboot on web-13, which took 1m 28s; then it was queued for 2s" in told
        assert "verify on web-13 ended last, after 27s" in told
        text = screen_text(app)
        assert "━" in text and "~" in text and "» decided the end" in text and "2m 10s" in text
        for key in ("v", "escape", "q"):
            await press(pilot, key)
            assert isinstance(app.screen, RunScreen)
            await press(pilot, "v")


async def test_enter_goes_into_a_step_and_esc_out_of_it(make_app: MakeApp) -> None:
    app = make_app(mixed())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "enter", "v", "j", "enter")
        assert names(app) == ["reboot@web-11", "reboot@web-12", "reboot@web-13"]
        assert "web-11" in screen_text(app) and "reboot@web-11" not in screen_text(app)
        await press(pilot, "enter")  # a single task: nothing is in it
        assert names(app)[0] == "reboot@web-11"
        await press(pilot, "escape")
        assert names(app) == ["drain", "reboot", "verify"]
        assert shown(app).bars.chosen is not None and shown(app).bars.chosen.name == "reboot"


async def test_the_longest_first_and_by_server(make_app: MakeApp) -> None:
    app = make_app(mixed())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "enter", "v", "s")
        assert names(app) == ["reboot", "verify", "drain"]
        await press(pilot, "b")
        assert names(app) == ["web-13", "web-12", "web-11"]
        await press(pilot, "s")
        assert names(app) == ["web-11", "web-12", "web-13"]
        await press(pilot, "enter")
        assert names(app) == ["drain@web-11", "reboot@web-11", "verify@web-11"]
        await press(pilot, "escape", "b")
        assert names(app) == ["drain", "reboot", "verify"]


async def test_it_is_plain_where_the_terminal_is(make_app: MakeApp) -> None:
    app = make_app(mixed(), ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", "v", "b")
        assert screen_text(app).isascii()
        assert "=" in screen_text(app) and ". could start, waits" in screen_text(app)


async def test_a_run_that_goes_on_is_drawn_again(make_app: MakeApp) -> None:
    engine = lab.lab()
    history.write(engine, 44)
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "j", "enter", "v")
        screen = shown(app)
        assert "so far" in screen_text(app)
        before = screen.line
        key = TaskKey("build", "web-05")
        await engine.set_task(44, key, state=TaskState.DONE, ended=NOW)
        screen._drawn_at = 0.0
        await until(pilot, lambda: screen.line is not before, "another timeline")
        assert screen.line is not None
        assert next(bar for bar in screen.line.bars if bar.key == key).state is TaskState.DONE


async def test_a_run_in_which_nothing_has_happened(make_app: MakeApp) -> None:
    engine = lab.lab()
    stored = history.mixed_run()
    stored.tasks = [task(one.index, one.step, one.server) for one in stored.tasks]
    stored.info = dataclasses.replace(stored.info, state=RunState.RUNNING, ended=None)
    engine.run_list = {45: stored}
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", "v")
        assert "No task has ended yet" in static_text(app, "#path")


async def test_thousands_of_tasks_are_drawn_only_where_they_are_seen(make_app: MakeApp) -> None:
    count = 5000
    engine = lab.lab()
    start = NOW - 600
    tasks = [
        task(at, "work", f"web-{at:04}", TaskState.DONE, started=start + at / 10, ended=start + at / 10 + 30)
        for at in range(count)
    ]
    info = run_info(45, "big", RunState.DONE, began_s=600, ended_s=60)
    engine.run_list = {45: StoredRun(info, [lab.step(0, "work")], tasks)}
    history.write(engine, 45)
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "enter", "v", "enter")
        screen = shown(app)
        assert len(screen.bars.items) == count
        screen.bars.rows_rendered = 0
        began = time.perf_counter()
        await press(pilot, "G", "pageup", "s", "g")
        assert time.perf_counter() - began < 20
        assert screen.bars.rows_rendered < 400
        await settle(pilot)
        assert "5000 servers" in screen_text(app)
