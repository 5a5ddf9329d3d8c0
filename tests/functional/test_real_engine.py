"""The interface on the real engine and real servers on this machine: started, watched, repaired, undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.engine.api import Engine
from core.engine.open import open_engine, open_reader
from core.model.states import RunState
from core.workspace.template import create_workspace
from tests.functional.steps import press, screen_text, settle, until
from tui.app import WindlassApp
from tui.screens.run import RunScreen
from tui.screens.start import StartSheet

BATCH = """\
description: Fails on web-1 until it is repaired
params:
  word: {type: string, default: hello}
strategy: {max_failures: 0}
steps:
  greet:
    on: group:web
    run: |
      printf '{{ params.word }} from %s\\n' "$WINDLASS_SERVER"
      printf '\\033[2Jhostile\\n' >&2
    undo: echo undone
  check-in:
    on: group:web
    run: |
      echo looking
      test "{{ server.name }}" != web-1 || test -f repaired
    undo: rm -f nothing
  finish:
    on: group:web
    run: echo finished
    undo: ":"
"""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    folder = tmp_path / "w"
    create_workspace(folder, "demo")
    (folder / "batches" / "quick.yaml").write_text(BATCH)
    engine = await open_engine(folder, actor="ada")
    try:
        yield engine
    finally:
        await engine.stop_servers()
        await engine.close()


async def test_a_run_from_the_first_key_to_the_last(engine: Engine) -> None:
    app = WindlassApp(engine, actor="ada", ascii_only=False, started_notice="welcome")
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "12 stopped: s starts them" in screen_text(app)
        await pilot.press("s")
        await until(pilot, lambda: "12 started" in screen_text(app), "started servers")

        await press(pilot, "b")
        sheet = app.screen
        assert isinstance(sheet, StartSheet)
        sheet.planned.clear()
        assert sheet.table.choose("quick", by_person=True)
        await settle(pilot)
        assert "3 steps, 24 tasks on 8 servers (local 8)" in screen_text(app)
        await press(pilot, "e", "end", "exclamation_mark", "enter", "enter")
        await until(pilot, lambda: not sheet.reason("start"), "a plan with the new word")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen), "the run")
        await until(pilot, lambda: "✗ failed: 1 failed" in screen_text(app), "the failure")
        text = screen_text(app)
        assert "check-in · 8 tasks" in text and "web-1 · output" in text and "looking" in text

        await press(pilot, "t", "home")
        assert "◀ REPLAY" in screen_text(app) and "0/24" in screen_text(app)
        await press(pilot, "right_curly_bracket")
        assert "check-in@web-1 failed" in screen_text(app) and "looking" in screen_text(app)
        await press(pilot, "t", "v")
        assert "» check-in waited" in screen_text(app) and "for greet on web-" in screen_text(app)
        await press(pilot, "escape")
        assert "✗ failed: 1 failed" in screen_text(app)

        app.screen.steps.focus()
        await press(pilot, "g")
        await until(pilot, lambda: "hello! from web-1" in screen_text(app), "output of the first step")
        assert "^[[2Jhostile" in screen_text(app)

        # What failed is mended on the server, retried, and the run goes on to its end.
        await _repair(engine)
        await press(pilot, "r")
        assert "1 task opens again: check-in@web-1" in screen_text(app)
        await press(pilot, "y")
        await until(pilot, lambda: "✓ done: 24/24 on 8 servers" in screen_text(app), "the end")

        await press(pilot, "R", "y")
        await until(pilot, lambda: "↺ rolled back" in screen_text(app), "the rollback")
        await press(pilot, "escape")
        await until(pilot, lambda: "rolled back" in screen_text(app))
        assert (await engine.run(1)).state is RunState.ROLLED_BACK


async def _repair(engine: Engine) -> None:
    workspace = Path((await engine.workspace()).path)
    (home,) = workspace.glob(".windlass/providers/local/servers/web-1/home")
    (home / "repaired").touch()


async def test_a_second_interface_only_watches(engine: Engine) -> None:
    folder = Path((await engine.workspace()).path)
    reader = await open_reader(folder)
    try:
        app = WindlassApp(reader, actor="bob", ascii_only=False)
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            await until(pilot, lambda: "READ-ONLY" in screen_text(app))
            await press(pilot, "b")
            sheet = app.screen
            assert isinstance(sheet, StartSheet)
            assert "can only be watched" in sheet.reason_against("start")
    finally:
        await reader.close()
