"""The past of a run on its screen: every key of it, and that nothing can be changed there."""

from __future__ import annotations

import asyncio

import pytest

from core.model.ids import TaskKey
from core.model.states import TaskState
from tests.functional import history, lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import ScriptedEngine
from tests.functional.steps import notices, press, screen_text, settle, static_text, until
from tui import replay_text
from tui.screens.output import OutputScreen
from tui.screens.replay import ReplayScreen
from tui.screens.run import RunScreen
from tui.screens.who import WhoSheet

REPLAY = ("enter", "t")
FIRST_DOUBT, ALL = 71, 120


def replay(app) -> ReplayScreen:
    assert isinstance(app.screen, ReplayScreen)
    return app.screen


def at(app) -> int:
    past = replay(app).past
    assert past is not None
    return past.position


async def test_it_says_clearly_that_the_past_is_shown_and_comes_back(make_app: MakeApp) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY)
        assert at(app) == ALL
        top, _, state, *_ = screen_text(app).splitlines()
        assert "◀ REPLAY" in top and "live" not in top and "replay" in top
        assert f"◀ REPLAY 14:00:49, event {ALL} of {ALL}" in state
        for key in ("t", "escape", "q"):
            await press(pilot, key)
            assert type(app.screen) is RunScreen and "live" in screen_text(app)
            await press(pilot, "t")
            assert at(app) == ALL


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        (("left_square_bracket",), ALL - 1),
        (("left", "left"), ALL - 2),
        (("left", "right"), ALL),
        (("left", "left", "right_square_bracket"), ALL - 1),
        (("home",), 1),
        (("home", "right"), 2),
        (("home", "end"), ALL),
        (("home", "left"), 1),
        (("end", "right"), ALL),
    ],
    ids=str,
)
async def test_it_steps_by_events_and_to_the_edges(
    make_app: MakeApp, keys: tuple[str, ...], place: int
) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, *keys)
        assert at(app) == place
        assert f"event {place} of {ALL}" in screen_text(app)


async def test_it_steps_by_ends_and_by_failures(make_app: MakeApp) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, "home", "shift+right")
        past = replay(app).past
        assert past is not None and past.event is not None
        assert (past.event.step, past.event.data["to"]) == ("build", "done")
        first = at(app)
        await press(pilot, "shift+right")
        assert at(app) > first
        await press(pilot, "shift+left")
        assert at(app) == first
        await press(pilot, "shift+left")
        assert at(app) == first and "no task ended before" in notices(app)[-1]
        await press(pilot, "right_curly_bracket")
        assert past.event.data["to"] == "failed" or past.event.data["to"] == "in_doubt"
        seen = at(app)
        await press(pilot, "right_curly_bracket")
        assert at(app) > seen
        await press(pilot, "left_curly_bracket")
        assert at(app) == seen
        await press(pilot, "left_curly_bracket")
        assert at(app) == seen and "nothing failed before" in notices(app)[-1]
        await press(pilot, "end", "right_curly_bracket")
        assert "nothing fails after this" in notices(app)[-1]


async def test_every_pane_shows_the_run_as_it_stood(make_app: MakeApp) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, "home", "right_curly_bracket")
        text = screen_text(app)
        screen = replay(app)
        assert screen.run_info is not None and screen.run_info.state.value == "running"
        assert "publish" in text and "○ waiting" in text
        assert "in doubt" in text or "failed" in text
        assert "the past is shown" in static_text(app, "#why")
        counts = next(step.counts for step in screen.steps.items if step.name == "publish")
        assert counts.get(TaskState.DONE, 0) == 0
        await press(pilot, "home")
        assert {task.state for task in screen.tasks.items} == {TaskState.WAITING}
        assert "0/49" in screen_text(app)


async def test_output_goes_no_further_than_it_had_come(make_app: MakeApp) -> None:
    engine = lab.lab()
    history.write(engine, 44)
    app = make_app(engine)
    key = TaskKey("build", "web-05")
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter", "t")
        screen = replay(app)
        screen.steps.choose("build", by_person=True)
        await settle(pilot)
        screen.tasks.choose("web-05", by_person=True)
        await settle(pilot)
        assert "linking" in screen_text(app)
        while screen.past is not None and "linking" in screen_text(app):
            await press(pilot, "left")
        assert "unused variable" in screen_text(app) and screen.chosen is not None
        assert screen.chosen.key == key
        assert screen.chosen.last_line == "warning: unused variable 'x'"
        await press(pilot, "o")
        assert isinstance(app.screen, OutputScreen)
        assert "◀ REPLAY" in screen_text(app) and "linking" not in screen_text(app)
        await press(pilot, "escape", "end")
        assert "linking" in screen_text(app)


async def test_what_was_chosen_stays_chosen_there_and_back(make_app: MakeApp) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "g", "t")
        screen = replay(app)
        assert screen.chosen is not None and screen.chosen.server == "web-01"
        await press(pilot, "j", "left", "left")
        assert screen.chosen.server == "web-02"
        await press(pilot, "t")
        assert isinstance(app.screen, RunScreen) and app.screen.chosen is not None
        assert app.screen.chosen.server == "web-02"


@pytest.mark.parametrize("key", ["p", "r", "d", "C", "R", "T", "c"])
async def test_what_would_change_something_says_why_it_does_not(make_app: MakeApp, key: str) -> None:
    engine = history.told_lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, key)
        assert isinstance(app.screen, ReplayScreen)
        assert notices(app)[-1] == replay_text.STAYS and not engine.calls
        await press(pilot, "question_mark")
        assert "not now: the past is shown: t returns" in screen_text(app)


async def test_who_did_what_is_of_that_time(make_app: MakeApp) -> None:
    engine = history.told_lab()
    engine.acts_told = [event for event in await engine.events(0, run=41) if event.type == "run.created"]
    engine.acts_told.insert(
        0, engine.acts_told[0]._replace(seq=10**6, type="run.control", data={"taken": True})
    )
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, "w")
        assert isinstance(app.screen, WhoSheet)
        await until(pilot, lambda: "started it" in screen_text(app))
        assert "took its control" not in screen_text(app)


# ---------------------------------------------------------------- playing


async def test_it_plays_and_holds_and_goes_faster(make_app: MakeApp) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, "minus")
        assert "this is as fast as it was" in notices(app)[-1]
        await press(pilot, "plus", "plus", "plus")
        assert "‖ 64×" in screen_text(app)
        await press(pilot, "plus")
        assert "64 times is the fastest" in notices(app)[-1]
        await press(pilot, "minus")
        screen = replay(app)
        assert screen.speed == 16
        await press(pilot, "space")  # from its end it plays from the start
        assert screen.playing and "▶ 16×" in screen_text(app)
        screen._frames.pause()  # time is ours
        past = screen.past
        assert past is not None
        began = screen._wanted
        screen.advance(4.0)
        await settle(pilot)
        moved = past.time_of(past.position) - past.time_of(began)
        assert 0 < moved <= 64.1 and screen.playing
        await press(pilot, "space")
        assert not screen.playing and "‖ 16×" in screen_text(app)
        await press(pilot, "space")
        screen._frames.pause()
        screen.advance(10_000.0)
        await settle(pilot)
        assert past.position == ALL and not screen.playing


async def test_a_step_and_another_screen_hold_it(make_app: MakeApp) -> None:
    app = make_app(history.told_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, "home", "space")
        screen = replay(app)
        assert screen.playing
        await press(pilot, "right")
        assert not screen.playing
        await press(pilot, "space", "o")
        assert not screen.playing


# ---------------------------------------------------------------- while it goes on


async def test_a_run_that_goes_on_grows_behind_the_place_that_is_shown(make_app: MakeApp) -> None:
    engine = history.told_lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *REPLAY, "left")
        await engine.set_task(41, TaskKey("publish", "web-05"), state=TaskState.DONE)
        await until(pilot, lambda: f"event {ALL - 1} of {ALL + 1}" in screen_text(app))
        await press(pilot, "end")
        assert at(app) == ALL + 1


async def test_reading_many_events_is_told_meanwhile(make_app: MakeApp) -> None:
    engine = history.told_lab()
    gate = asyncio.Event()
    read = engine.events

    async def slow(*args, **options):
        await gate.wait()
        return await read(*args, **options)

    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        engine.events = slow  # type: ignore[method-assign]
        await pilot.press("t")
        await until(pilot, lambda: "REPLAY  reading the events of the run" in screen_text(app))
        await pilot.press("left")
        await until(pilot, lambda: "the events are being read" in notices(app))
        gate.set()
        await settle(pilot)
        assert at(app) == ALL


async def test_a_run_without_events_has_no_past(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *REPLAY)
        assert "this run has no events" in screen_text(app)
        await press(pilot, "left", "space", "home", "right_curly_bracket", "plus", "t")
        assert type(app.screen) is RunScreen


async def test_it_is_plain_where_the_terminal_is(make_app: MakeApp) -> None:
    app = make_app(history.told_lab(), ascii_only=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *REPLAY)
        assert "< REPLAY" in screen_text(app) and '" 1x' in screen_text(app)
        assert screen_text(app).isascii()


def test_the_engine_of_these_tests_has_a_log() -> None:
    assert isinstance(history.told_lab(), ScriptedEngine)
