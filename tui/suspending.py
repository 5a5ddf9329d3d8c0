"""Ctrl-Z: the interface stops and the shell has its terminal back; `fg` draws everything anew. Runs go on elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import WindlassError
from tui import words
from tui.screens.base import Keyed

if TYPE_CHECKING:
    from tui.app import WindlassApp


async def suspend(app: WindlassApp) -> None:
    """Stops this process until it is continued; not where it executes a run, which would stand still with it."""
    from tui.app import executing

    try:
        going = [] if app.goes_on_elsewhere else await executing(app.session.engine)
    except WindlassError:
        going = []
    if going:
        if isinstance(app.screen, Keyed):
            runs = words.listed([f"run {run.number}" for run in going])
            app.screen.say(f"{runs} executes in this window and would stand still with it")
        return
    app.put_title_back()
    app.action_suspend_process()
