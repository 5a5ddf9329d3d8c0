"""The tiles of the dashboard and the screen of providers: where each leads, and how they stay current."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from core.errors import InputError
from core.model.ids import TaskKey
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW, ScriptedEngine
from tests.functional.steps import notices, press, screen_text, settle, until
from tests.functional.test_going import enter
from tests.functional.test_pictures import sick_lab, telling_lab
from tui.app import WindlassApp
from tui.news import PAGE, PAGES, News
from tui.screens.batches import BatchesScreen
from tui.screens.configuration import ConfigurationScreen
from tui.screens.dashboard import Dashboard
from tui.screens.events import EventsScreen
from tui.screens.providers import ProvidersScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.servers import ServersScreen
from tui.screens.sheets import FaultsSheet
from tui.screens.start import StartSheet
from tui.screens.tiles import TILES


def tile(app: WindlassApp, name: str):
    return app.screen.query_one(f"#{name}")


# ---------------------------------------------------------------- going round


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 24)], ids=str)
async def test_tab_goes_round_every_tile(make_app: MakeApp, tmp_path: Path, size: tuple[int, int]) -> None:
    app = make_app(lab.in_folder(telling_lab(), tmp_path, lab.FILES))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        seen = []
        for _ in TILES:
            seen.append(app.screen.focused.id)
            await press(pilot, "tab")
        assert seen == list(TILES) and app.screen.focused.id == "needs"
        await press(pilot, "shift+tab")
        assert app.screen.focused.id == "events"


async def test_left_and_right_go_to_the_tile_beside(make_app: MakeApp) -> None:
    app = make_app(telling_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j")
        assert app.screen.focused.id == "running"
        await press(pilot, "right")
        assert app.screen.focused.id == "servers"
        await press(pilot, "right")
        assert app.screen.focused.id == "servers", "there is nothing further on the right"
        await press(pilot, "left")
        assert app.screen.focused.id == "running"
        tile(app, "events").focus()
        await press(pilot, "left")
        assert app.screen.focused.id == "recent"
    app = make_app(telling_lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        tile(app, "servers").focus()
        await press(pilot, "right")
        assert app.screen.focused.id == "configuration"
        await press(pilot, "j", "right")
        assert app.screen.focused.id == "events"
        await press(pilot, "left")
        assert app.screen.focused.id == "batches"


async def test_where_there_is_no_room_the_focus_stays_on_runs(make_app: MakeApp) -> None:
    app = make_app(telling_lab())
    async with app.run_test(size=(60, 24)) as pilot:
        await settle(pilot)
        seen = set()
        for _ in range(6):
            await press(pilot, "j")
            seen.add(app.screen.focused.id)
        await press(pilot, "tab", "tab", "right")
        assert seen | {app.screen.focused.id} <= {"needs", "running", "recent"}
        await press(pilot, "e")
        assert isinstance(app.screen, EventsScreen)


# ---------------------------------------------------------------- where each leads


async def test_enter_leads_from_each_row_to_its_screen_and_esc_back(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(lab.in_folder(telling_lab(), tmp_path, lab.FILES))
    wanted = {
        "needs": RunScreen,
        "running": RunScreen,
        "recent": RunScreen,
        "servers": ServersScreen,
        "configuration": ConfigurationScreen,
        "batches": StartSheet,
        "events": EventsScreen,
    }
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        for name, screen in wanted.items():
            tile(app, name).focus()
            await press(pilot, "enter")
            assert isinstance(app.screen, screen), name
            await press(pilot, "escape")
            if name == "servers":
                await press(pilot, "escape")  # the first one clears the filter
            assert isinstance(app.screen, Dashboard), name
            assert app.screen.focused.id == name


async def test_enter_leads_from_each_empty_tile_to_its_screen(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(lab.in_folder(lab.empty_lab(), tmp_path, lab.BARE))
    wanted = {
        "needs": RunsScreen,
        "running": RunsScreen,
        "recent": RunsScreen,
        "servers": ServersScreen,
        "configuration": ConfigurationScreen,
        "batches": BatchesScreen,
        "events": EventsScreen,
    }
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        for told in ("Nothing needs you", "b starts one", "List them in servers/NAME.yaml",
                     "c tells how to set the first one", "Write one as batches/NAME.yaml", "b starts a run"):  # fmt: skip
            assert told in text, told
        for name, screen in wanted.items():
            tile(app, name).focus()
            await press(pilot, "enter")
            assert isinstance(app.screen, screen), name
            await press(pilot, "escape")
            assert isinstance(app.screen, Dashboard), name


async def test_the_rows_of_servers_configuration_and_events_are_found_again(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(lab.in_folder(telling_lab(), tmp_path, lab.FILES))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        tile(app, "servers").focus()
        await press(pilot, "j", "enter")
        assert app.screen.find == "provider:static" and len(app.screen.table.items) == 1
        await press(pilot, "escape", "escape")
        tile(app, "configuration").focus()
        await press(pilot, "j", "enter")
        assert app.screen.crumbs() == ("configuration", "prod") and "shop.example" in screen_text(app)
        await press(pilot, "escape", "alt+right")
        assert isinstance(app.screen, ConfigurationScreen)
        await press(pilot, "escape")
        tile(app, "events").focus()
        await press(pilot, "j", "j", "j", "enter")
        assert app.screen.table.chosen.seq == 6, "the one that the cursor stood on"


# ---------------------------------------------------------------- staying current


async def test_what_is_known_of_reaching_servers_is_told(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        text = screen_text(app)
        assert "✓ 12 started  ⌁ 1 unreachable" in text and "○ 1 unknown  – 1 never contacted" in text
        engine.server_list = [
            dataclasses.replace(server, unreachable="", reached=NOW) for server in engine.server_list
        ]
        await engine.set_run(44, why="on")
        await until(pilot, lambda: "unreachable" not in screen_text(app).partition("Servers")[2])
        assert "never contacted" not in screen_text(app)


async def test_the_configuration_is_looked_at_again_once_a_file_changes(
    make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(lab.in_folder(lab.lab(), tmp_path, lab.FILES))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert screen_text(app).count("✓ valid") == 2
        prod = tmp_path / "config" / "environments" / "prod.yaml"
        prod.write_text('web:\n  host: "{{ config.webb.host }}"\n')
        await until(pilot, lambda: "✗ 1 fault" in screen_text(app))
        assert "config/environments/prod.yaml:2" in screen_text(app)
        (tmp_path / "workspace.yaml").write_text("nmae: lab\n")
        await until(pilot, lambda: "workspace.yaml:1" in screen_text(app))
        tile(app, "configuration").focus()
        await press(pilot, "enter")
        await until(pilot, lambda: "Faults" in screen_text(app))


async def test_events_worth_a_glance_come_by_themselves(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await engine.tell("task.state", 44, TaskKey("build", "web-01"), to="done")
        await engine.tell("task.output", 44, TaskKey("build", "web-01"), end=9)
        await engine.tell("task.state", 44, TaskKey("build", "web-02"), to="failed", why="exit status 9")
        await until(pilot, lambda: "build@web-02 failed: exit status 9" in screen_text(app))
        assert "build@web-01" not in screen_text(app)
        assert len(tile(app, "events").items) == 1


async def test_a_long_log_is_looked_through_from_its_end_and_each_event_once() -> None:
    engine = ScriptedEngine()
    engine.info = dataclasses.replace(engine.info, last_seq=0)
    asked: list[tuple[int, int]] = []
    events = engine.events

    async def counted(after: int, **options: object) -> object:
        asked.append((after, int(str(options["limit"]))))
        return await events(after, **options)  # type: ignore[arg-type]

    engine.events = counted  # type: ignore[method-assign, assignment]
    await engine.tell("run.created", 1)
    for _ in range(PAGE * (PAGES + 2)):
        await engine.tell("task.output", 1)
    await engine.tell("run.state", 1, to="failed", why="1 failed")
    news = News()
    await news.read(engine, engine.info)
    assert [event.type for event in news.events] == ["run.state"], "what is older than that is not looked for"
    assert len(asked) == PAGES and all(limit <= PAGE for _, limit in asked)
    asked.clear()
    await news.read(engine, engine.info)
    assert asked == [], "nothing is new"
    for _ in range(PAGE * (PAGES + 3)):
        await engine.tell("task.output", 2)
    await engine.tell("engine.opened")
    await news.read(engine, engine.info)
    assert [event.type for event in news.events] == ["engine.opened", "run.state"]
    assert len(asked) <= PAGES + 1, "a log that grows faster than it is read is skipped"
    engine.info = dataclasses.replace(engine.info, incarnation="1" * 32, last_seq=0)
    await news.read(engine, engine.info)
    assert list(news.events) == [], "another incarnation has another log"


# ---------------------------------------------------------------- providers


async def test_providers_lead_to_their_servers(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "p")
        assert isinstance(app.screen, ProvidersScreen)
        text = screen_text(app)
        assert "servers/local.yaml:1" in text and "Windlass starts and stops them" in text
        await press(pilot, "j")
        assert "not started or stopped by Windlass" in screen_text(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, ServersScreen) and app.screen.find == "provider:static"
        await press(pilot, "escape", "escape", "escape", "alt+right")
        assert isinstance(app.screen, ProvidersScreen)


async def test_providers_are_asked_again_filtered_and_copied(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await enter(pilot, "providers stat")
        await until(pilot, lambda: isinstance(app.screen, ProvidersScreen))
        await settle(pilot)
        assert "Providers 1 of 2" in screen_text(app)
        await press(pilot, "u")
        await until(pilot, lambda: engine.reads["providers again"] == 1)
        await press(pilot, "y")
        await until(pilot, lambda: any("servers list provider:static" in told for told in notices(app)))
        await press(pilot, "o")
        assert isinstance(app.screen, ProvidersScreen)
        await press(pilot, "escape")
        assert "Providers 2" in screen_text(app)


async def test_a_provider_with_faults_leads_to_them(make_app: MakeApp) -> None:
    app = make_app(sick_lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "p", "j")
        text = screen_text(app)
        assert "Permission denied" in text and "no server is known before every fault is mended" in text
        await press(pilot, "j")
        assert "unknown key 'adress'  and 1 more" in screen_text(app)
        await press(pilot, "enter")
        assert isinstance(app.screen, FaultsSheet) and "servers/west.yaml:9:3" in screen_text(app)
        await press(pilot, "escape", "slash", *"failed")
        await until(pilot, lambda: "Providers 2 of 3" in screen_text(app))


async def test_what_the_engine_cannot_tell_of_providers_is_said(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = lab.lab()

    async def providers(*, refresh: bool = False) -> object:
        raise InputError("servers holds 1001 files; at most 1000 are read")

    monkeypatch.setattr(engine, "providers", providers)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("p")
        await until(pilot, lambda: any("at most 1000 are read" in told for told in notices(app)))
