"""A protected environment and a read-only workspace in the interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.engine.api import Engine, PlanRequest, RunRequest
from tests.functional.steps import press, screen_text, settle, until
from tests.support.lab import ACTOR, Lab
from tui.app import WindlassApp
from tui.screens.run import RunScreen
from tui.screens.sheets import NameSheet
from tui.screens.start import StartSheet

SHOP = "name: shop\nenvironments: {dev: , prod: {protection: production}}\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    made = Lab(tmp_path / "lab")
    (made.path / "workspace.yaml").write_text(SHOP)
    made.batch("steps: {one: {run: work, undo: back}}")
    return made


@pytest.fixture
async def engine(lab: Lab) -> AsyncIterator[Engine]:
    async with lab.engine() as engine:
        yield engine


async def test_production_asks_for_its_name_before_a_start_and_a_rollback(engine: Engine) -> None:
    app = WindlassApp(engine, actor="ada", ascii_only=False)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "b")
        sheet = app.screen
        assert isinstance(sheet, StartSheet)
        await settle(pilot)
        assert "several environments" in screen_text(app)
        await press(pilot, "e", *"prod", "enter")
        await until(pilot, lambda: "PRODUCTION: shop/prod" in screen_text(app), "the plan in production")
        assert "starting it needs shop/prod typed" in screen_text(app)
        assert "type shop/prod into the field confirm" in sheet.reason("start")
        for field in sheet.query("Input"):
            if field.name == "typed-name":
                field.focus()
        await press(pilot, *"shop", "slash", *"prod", "enter")
        await until(pilot, lambda: not sheet.reason("start"), "a plan that may be started")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen), "the run")
        await engine.wait(1)
        await settle(pilot)
        assert "PRODUCTION prod" in screen_text(app)

        await press(pilot, "R")
        await until(pilot, lambda: isinstance(app.screen, NameSheet), "the question for its name")
        assert "PRODUCTION: type shop/prod" in screen_text(app)
        await press(pilot, *"yes", "enter")
        assert isinstance(app.screen, NameSheet) and (await engine.run(1)).state.value == "done"
        await press(pilot, "ctrl+u", *"shop", "slash", *"prod", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen), "the run again")
        assert (await engine.wait(1)).state.value == "rolled_back"


async def test_a_read_only_workspace_dims_what_would_change_it(lab: Lab) -> None:
    async with lab.engine() as engine:
        await engine.wait(
            (await engine.start(RunRequest(PlanRequest("work", environment="dev"), ACTOR))).number
        )
    (lab.path / "workspace.yaml").write_text(SHOP + "read_only: true\n")
    async with lab.engine() as engine:
        app = WindlassApp(engine, actor="ada", ascii_only=False)
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            session = app.screen.session  # type: ignore[attr-defined]
            assert "read-only" in session.refused("start") and "read-only" in session.refused("roll_back")
            assert session.refused("pause") == session.refused("cancel") == ""
