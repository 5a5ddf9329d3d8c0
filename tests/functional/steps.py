"""What screen tests wait for: a screen that has read everything, a condition that holds. Never a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import Static

from tui.app import WindlassApp
from tui.screens.base import Live
from tui.screens.config_edit import ConfigEditSheet
from tui.screens.dashboard import Dashboard
from tui.screens.start import StartSheet

LIMIT_S = 120.0
"""Generous: what is waited for may be the work of other processes on a busy machine."""


async def until(pilot: Pilot, holds: Callable[[], object], what: str = "") -> None:
    """Lets the app work until a condition holds; fails when it never does."""
    ends_at = time.monotonic() + LIMIT_S
    while time.monotonic() < ends_at:
        if holds():
            return
        await pilot.pause(0.01)
    raise AssertionError(f"never came: {what or holds}\n{screen_text(pilot.app)}")


async def settle(pilot: Pilot) -> None:
    """Waits until the screen on top has read what it shows and has drawn it."""
    app = pilot.app
    await until(pilot, lambda: type(app.screen).__name__ != "Screen", "the first screen")
    while True:
        screen = app.screen
        if isinstance(screen, Live):
            await screen.loaded.wait()
            await until(pilot, lambda s=screen: s.up_to_date, "an up-to-date screen")
        if isinstance(screen, StartSheet):
            await screen.planned.wait()
        if isinstance(screen, Dashboard):
            await screen.looked.wait()
        if isinstance(screen, ConfigEditSheet):
            await screen.looked.wait()
        await pilot.pause()
        await pilot.pause()
        if app.screen is screen:
            return


async def press(pilot: Pilot, *keys: str) -> None:
    """Presses keys, each on a settled screen."""
    for key in keys:
        await settle(pilot)
        await pilot.press(key)
    await settle(pilot)


def screen_text(app: WindlassApp | object) -> str:
    """The text on the terminal, one line a row."""
    strips = app.screen._compositor.render_strips()  # type: ignore[attr-defined]
    return "\n".join(strip.text.rstrip() for strip in strips)


def notices(app: object) -> list[str]:
    """The notices that are shown."""
    return [notice.message for notice in app._notifications]  # type: ignore[attr-defined]


def static_text(app: object, selector: str) -> str:
    """What a text on the top screen says."""
    return str(app.screen.query_one(selector, Static).render())  # type: ignore[attr-defined]
