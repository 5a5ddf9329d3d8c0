"""What a page reads anew comes up in one frame, at once, and holds back nothing for long."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from core.model.ids import TaskKey
from core.model.states import TaskState
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import press, screen_text, settle, until
from tui.screens import base
from tui.screens.base import Page, one_frame
from tui.screens.run import RunScreen


def frames_of(page: Page[Any]) -> list[float]:
    """When the page is drawn from here on; its clock is stopped."""
    page._second.pause()
    drawn, draw = [], page._compositor_refresh

    def and_noted() -> None:
        drawn.append(time.monotonic())
        draw()

    page._compositor_refresh = and_noted  # type: ignore[method-assign]
    return drawn


async def comes(drawn: list[float]) -> None:
    """Waits for a frame, and disturbs nobody."""
    async with asyncio.timeout(60):
        while not drawn:
            await asyncio.sleep(0.005)


async def test_what_was_held_back_is_drawn_when_it_ends_without_anything_else_happening(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "ONE_FRAME_S", 3600.0)
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, Page)
        drawn = frames_of(app.screen)
        with one_frame(app):
            app.screen.entitle("#recent", "Held back")
            await pilot.pause()
            await pilot.pause()
            app.screen.entitle("#batches", "Held back too")
            await pilot.pause()
            assert not drawn
        await comes(drawn)
        assert len(drawn) == 1
        assert "Held back" in screen_text(app) and "Held back too" in screen_text(app)


async def test_nothing_is_held_back_for_long(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert isinstance(app.screen, Page)
        drawn = frames_of(app.screen)
        with one_frame(app):
            app.screen.entitle("#recent", "Held back")
            await comes(drawn)
        assert "Held back" in screen_text(app)


async def test_a_change_is_drawn_without_waiting_for_the_next_second(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        page = app.screen
        assert isinstance(page, RunScreen)
        await settle(pilot)
        drawn = frames_of(page)
        task = page.tasks.items[0]
        await engine.set_task(page.number, TaskKey(task.step, task.server), state=TaskState.SKIPPED)
        await comes(drawn)
        await until(pilot, lambda: "skipped" in screen_text(app))
