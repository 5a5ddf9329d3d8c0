"""The command bar, the lists it leads to, back and forward, and what slow links and clipboards are given."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from textual.widgets import Input

from core.errors import InputError
from core.model.events import Event
from core.model.states import RunState
from core.store.audit import AuditLog
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW, ScriptedEngine
from tests.functional.steps import notices, press, screen_text, settle, static_text, until
from tests.functional.test_keys import called
from tui import clipboard
from tui.app import LOW_INTERVAL_S, LOW_STEADY_S, WindlassApp
from tui.commands import COMMANDS, offers, parse
from tui.going import PLACES
from tui.screens.audit import AuditScreen
from tui.screens.batches import BatchesScreen
from tui.screens.command import CommandBar
from tui.screens.configuration import ConfigurationScreen
from tui.screens.dashboard import Dashboard
from tui.screens.engine_log import EngineLogScreen
from tui.screens.events import EventsScreen
from tui.screens.help import HelpSheet
from tui.screens.output import OutputScreen
from tui.screens.providers import ProvidersScreen
from tui.screens.run import RunScreen
from tui.screens.runs import RunsScreen
from tui.screens.servers import ServersScreen
from tui.screens.start import StartSheet
from tui.screens.workspaces import WorkspacesSheet


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "workspace.yaml").write_text("format: 1\nname: lab\n")
    return tmp_path / "lab"


def in_folder(folder: Path) -> ScriptedEngine:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, path=str(folder))
    return engine


async def enter(pilot: object, line: str) -> None:
    await press(pilot, "colon")
    app = pilot.app  # type: ignore[attr-defined]
    await until(pilot, lambda: isinstance(app.screen, CommandBar))
    app.screen.query_one("#line", Input).value = line
    await press(pilot, "enter")


# ---------------------------------------------------------------- the language


def test_every_command_leads_somewhere() -> None:
    assert {command.name for command in COMMANDS} == set(PLACES)


@pytest.mark.parametrize(
    ("line", "name", "given"),
    [
        ("servers web", "servers", "web"),
        (":run 41", "run", "41"),
        ("41", "run", "41"),
        ("inventory", "servers", ""),
        ("eve failed now", "events", "failed now"),
        ("  AUDIT  ", "audit", ""),
    ],
)
def test_lines_that_lead_somewhere(line: str, name: str, given: str) -> None:
    command, found = parse(line)
    assert (command.name, found) == (name, given)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("9" * 5000, ":run 41"),
        ("servrs", "servers"),
        ("ru", "runs or run"),
        ("run", ":run NUMBER"),
        ("run x", ":run 41"),
        ("quit now", ":quit"),
        ("", "tab"),
    ],
)
def test_lines_that_do_not(line: str, hint: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(line)
    assert hint in refused.value.hint


def test_offers_begin_with_what_was_typed() -> None:
    assert [offer.line for offer in offers("ru", {})] == ["runs ", "run "]
    words = {"run": [("44", "deploy, running"), ("41", "web, failed")]}
    assert [offer.line for offer in offers("run 4", words)] == ["run 44", "run 41"]
    assert [offer.line for offer in offers("run 1", words)] == ["run 41"]
    assert offers("nowhere x", words) == []


# ---------------------------------------------------------------- the bar


@pytest.mark.parametrize(
    ("line", "screen"),
    [
        ("runs", RunsScreen),
        ("run 44", RunScreen),
        ("44", RunScreen),
        ("batches", BatchesScreen),
        ("start deploy", StartSheet),
        ("servers db", ServersScreen),
        ("providers", ProvidersScreen),
        ("config", ConfigurationScreen),
        ("events", EventsScreen),
        ("audit", AuditScreen),
        ("log", EngineLogScreen),
        ("workspaces", WorkspacesSheet),
        ("help", HelpSheet),
    ],
)
async def test_each_line_leads_to_its_screen(
    make_app: MakeApp, workspace: Path, line: str, screen: type
) -> None:
    app = make_app(in_folder(workspace))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await enter(pilot, line)
        await until(pilot, lambda: isinstance(app.screen, screen), line)
        await press(pilot, "escape")
        if line.startswith("servers"):
            await press(pilot, "escape")  # the first one clears the filter
        await until(pilot, lambda: isinstance(app.screen, Dashboard))


async def test_the_bar_offers_completes_remembers_and_tells_what_is_wrong(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "colon")
        await until(pilot, lambda: isinstance(app.screen, CommandBar))
        await press(pilot, *"serv")
        assert "servers [FILTER]" in static_text(app, "#offers")
        await press(pilot, "tab", *"web-01", "enter")
        await until(pilot, lambda: isinstance(app.screen, ServersScreen))
        assert "Servers 1 of 13" in screen_text(app)
        await press(pilot, "escape", "escape")
        await enter(pilot, "nowhere")
        assert isinstance(app.screen, CommandBar) and "there is no command" in static_text(app, "#wrong")
        await press(pilot, "up")
        assert app.screen.query_one("#line", Input).value == "servers web-01"
        await press(pilot, "down")
        assert app.screen.query_one("#line", Input).value == ""
        await press(pilot, "escape")
        assert isinstance(app.screen, Dashboard)


async def test_what_is_typed_right_behind_the_colon_goes_into_the_bar(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = lab.lab()
    slow = engine.runs

    async def runs(**asked: object) -> object:
        await asyncio.sleep(0.3)
        return await slow(**asked)  # type: ignore[arg-type]

    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "j", "enter")
        monkeypatch.setattr(engine, "runs", runs)
        await pilot.press("colon", "p", "a")
        await until(pilot, lambda: isinstance(app.screen, CommandBar))
        assert app.screen.query_one("#line", Input).value == "pa" and not called(engine, "pause")


async def test_a_colon_in_a_field_is_typed(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "i", "slash", *"group", "colon", *"db")
        assert isinstance(app.screen, ServersScreen) and "Servers 1 of 13" in screen_text(app)


async def test_back_and_forward(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, "alt+right")
        assert "nothing to go forward to" in notices(app)[-1]
        await enter(pilot, "runs")
        await enter(pilot, "44")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await press(pilot, "alt+left")
        assert isinstance(app.screen, RunsScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, Dashboard)
        await press(pilot, "alt+right")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await press(pilot, "alt+right")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert app.screen.number == 44 and not app.forward
        await press(pilot, "escape")
        await enter(pilot, "servers")
        assert not app.forward, "what was opened anew ends the way forward"
        await enter(pilot, "dashboard")
        assert isinstance(app.screen, Dashboard)


async def test_a_theme_by_its_name(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await enter(pilot, "theme windlass-light")
        assert app.theme == "windlass-light"
        await enter(pilot, "theme nowhere")
        assert "there is no theme" in notices(app)[-1]


# ---------------------------------------------------------------- lists


async def test_runs_are_filtered_opened_and_read_further(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "h")
        assert isinstance(app.screen, RunsScreen)
        text = screen_text(app)
        assert "Runs " in text and "44" in text
        await press(pilot, "slash", *"failed")
        assert all("failed" in line for line in screen_text(app).splitlines() if "41 " in line)
        await press(pilot, "escape", "enter")
        assert isinstance(app.screen, RunScreen)
        await press(pilot, "escape", "o")
        assert "there is nothing older" in notices(app)[-1]


async def test_events_are_told_as_they_happen(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, last_seq=0)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "e")
        assert "Nothing has happened here yet" in screen_text(app)
        await engine.tell("run.created", 44)
        await engine.tell("task.output", 44, end=9)
        await engine.tell("run.state", 44, to="failed", why="1 failed")
        await until(pilot, lambda: "failed: 1 failed" in screen_text(app))
        assert "test started it" in screen_text(app) and "byte 9" not in screen_text(app)
        await engine.tell("engine.opened")
        await until(pilot, lambda: "opened an engine" in screen_text(app))
        assert "Events 3" in screen_text(app)
        await press(pilot, "enter")
        assert "this event belongs to no run" in notices(app)[-1]
        await press(pilot, "slash", *"failed")
        await until(pilot, lambda: "Events 1 of 3" in screen_text(app))
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, RunScreen)


async def test_the_audit_log_and_its_chain(make_app: MakeApp, workspace: Path) -> None:
    log = AuditLog(workspace / ".windlass")
    log.append("ada@desk (pts/1; pid 7)", "run.cancel", {"run": 44, "reason": "wrong \x1b[31mrelease"})
    log.append("token ci", "token.create", {"name": "ci"})
    app = make_app(in_folder(workspace))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "a")
        text = screen_text(app)
        assert "Audit 2" in text and "token.create" in text and "ada@desk (pts/1)" in text
        assert "\x1b" not in text
        await press(pilot, "v")
        await until(pilot, lambda: any("chain of 2 entries holds" in told for told in notices(app)))
        await press(pilot, "enter")
        assert "about no run" in notices(app)[-1]
        await press(pilot, "j", "enter")
        assert isinstance(app.screen, RunScreen)
        await press(pilot, "escape")
        log.path.write_text(log.path.read_text().replace('"ci"', '"cx"'))
        await press(pilot, "v")
        await until(pilot, lambda: any("was changed after it was written" in told for told in notices(app)))


async def test_the_log_of_the_engine_is_followed(make_app: MakeApp, workspace: Path) -> None:
    app = make_app(in_folder(workspace))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "l")
        assert "No background engine has written a log" in screen_text(app)
        folder = workspace / ".windlass" / "logs"
        folder.mkdir(parents=True)
        (folder / "engine.log").write_text("2026-03-01 14:02:11,000 7 INFO the engine owns \x1b[2J it\n")
        await until(pilot, lambda: "the engine owns" in screen_text(app))
        assert "\x1b" not in screen_text(app)
        with (folder / "engine.log").open("a") as more:
            more.write("2026-03-01 14:02:12,000 7 WARNING the disk is full\n")
        await until(pilot, lambda: "the disk is full" in screen_text(app))
        assert app.screen.rows[-1].level == "WARNING"


async def test_a_batch_with_its_document_and_faults(make_app: MakeApp, workspace: Path) -> None:
    (workspace / "batches").mkdir()
    (workspace / "batches" / "deploy.yaml").write_text("# The deploy.\nsteps: {one: {run: x}}\n")
    (workspace / "batches" / "broken.yaml").write_text("steps:\n  one:\n    x: 1\n  comand: y\n")
    app = make_app(in_folder(workspace))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "d")
        assert isinstance(app.screen, BatchesScreen)
        await until(pilot, lambda: "unknown key 'comand'" in screen_text(app))
        await press(pilot, "j")
        await until(pilot, lambda: "# The deploy." in screen_text(app))
        await press(pilot, "tab", *"xx")
        assert "xx" not in app.screen.text.text, "the document is only looked at"
        await press(pilot, "escape", "slash", *"dep")
        await until(pilot, lambda: "Batches 1 of " in screen_text(app))
        await press(pilot, "enter", "enter")
        assert isinstance(app.screen, StartSheet)


# ---------------------------------------------------------------- slow links, clipboards, bells


async def test_low_bandwidth_draws_less_often(make_app: MakeApp) -> None:
    app = make_app(lab.lab(), low_bandwidth=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app._bridge.interval_s == LOW_INTERVAL_S and app.animation_level == "none"
        assert app._bridge.steady_s == LOW_STEADY_S
        await press(pilot, "ctrl+b")
        assert app._bridge.interval_s < LOW_INTERVAL_S and "full bandwidth" in notices(app)[-1]
        assert app._bridge.interval_s < app._bridge.steady_s < LOW_STEADY_S
        await enter(pilot, "low")
        assert app._bridge.interval_s == LOW_INTERVAL_S


async def test_what_is_copied_is_sent_saved_and_shown(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clipboard, "user_folder", lambda: tmp_path / "data")
    monkeypatch.delenv("TMUX", raising=False)
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter", "y")
        await until(
            pilot, lambda: any("sent to the terminal: windlass runs" in told for told in notices(app))
        )
        saved = tmp_path / "data" / "copied.txt"
        assert f"saved in {saved}" in notices(app)[-1] and not any("copied:" in told for told in notices(app))
        assert saved.read_text() == app.clipboard and saved.stat().st_mode & 0o777 == 0o600


async def test_the_end_of_a_run_rings(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[bool] = []
    monkeypatch.setattr(WindlassApp, "bell", lambda app: rung.append(True))
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter", "b", "escape")
        await engine.set_run(44, why="still at it")
        await settle(pilot)
        assert not rung
        await engine.set_run(44, state=RunState.FAILED, ended=NOW)
        await until(pilot, lambda: rung)
        assert any("run 44 (" in told and "failed" in told for told in notices(app))
        await engine.set_run(44, state=RunState.DONE)
        await settle(pilot)
        assert len(rung) == 1


def test_an_event_of_a_later_version_is_a_line_as_well() -> None:
    from core.model.events import RUN_STATE
    from tui.event_text import said

    for type_, data in (("moon.rose", {}), (RUN_STATE, {"to": "sleeping"}), ("task.state", {"to": 7})):
        assert said(Event(1, type_, 1, "a", "b", None, "engine", NOW, data))


# ---------------------------------------------------------------- output


async def test_output_is_searched_saved_and_shown_with_and_without_times(
    make_app: MakeApp, workspace: Path
) -> None:
    app = make_app(in_folder(workspace))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "j", "enter", "o")
        screen = app.screen
        assert isinstance(screen, OutputScreen)
        lines = [screen.pane.output_lines[at].text for at in range(len(screen.pane.output_lines))]
        word = lines[-1].split()[-1]
        first = next(at for at, line in enumerate(lines) if word.lower() in line.lower())
        await press(pilot, "n")
        assert "nothing is looked for" in notices(app)[-1]
        await press(pilot, "slash", *word, "enter")
        assert screen.pane._found_at >= first and not screen.pane.follow
        found = screen.pane._found_at
        await press(pilot, "n", "N")
        assert screen.pane._found_at == found
        assert screen.pane.count_found() == sum(word.lower() in line.lower() for line in lines)
        await press(pilot, "slash", *"nowhere-at-all", "enter")
        assert "no line that is kept here" in notices(app)[-1]
        await press(pilot, "escape")
        assert isinstance(app.screen, OutputScreen)
        shown = screen.pane.shows_times
        await press(pilot, "t")
        assert screen.pane.shows_times is not shown
        await press(pilot, "s")
        await until(pilot, lambda: any("saved in" in told for told in notices(app)))
        (saved,) = (workspace / ".windlass" / "saved").iterdir()
        text = saved.read_text()
        assert lines[-1] in text and saved.stat().st_mode & 0o777 == 0o600
        assert "\x1b" not in text
        await press(pilot, "escape")
        assert isinstance(app.screen, RunScreen)


async def test_a_report_of_the_run_is_written(make_app: MakeApp, workspace: Path) -> None:
    app = make_app(in_folder(workspace))
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", "i")
        await until(pilot, lambda: any("the report is in" in told for told in notices(app)))
        (saved,) = (workspace / ".windlass" / "saved").iterdir()
        assert saved.name.startswith("run-41-") and saved.suffix == ".md"
        assert saved.read_text().startswith("# Run 41 of web") and saved.stat().st_mode & 0o777 == 0o600
