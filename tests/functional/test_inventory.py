"""The inventory and the page of a server: every key, on a settled screen."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from pathlib import Path

import pytest
from textual.widgets import Input

from core.engine.api import RunRequest
from core.errors import InputError, ServersUnreachable
from core.model.states import TaskState
from core.model.views import Plan, PlannedStep
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import notices, press, screen_text, settle, static_text, until
from tui.inventory.reaching import NEVER
from tui.inventory.view import Heading
from tui.screens.dashboard import Dashboard
from tui.screens.inventory_filters import FiltersSheet
from tui.screens.inventory_view import ViewSheet
from tui.screens.output import OutputScreen
from tui.screens.run import RunScreen
from tui.screens.run_command import CommandSheet
from tui.screens.server import ServerScreen
from tui.screens.servers import ServersScreen
from tui.screens.sheets import ConfirmSheet, TrustSheet
from tui.screens.start import StartSheet


def called(engine, name: str) -> list:
    return [call for call in engine.calls if call[0] == name]


def names(app) -> list[str]:
    return [row.value if isinstance(row, Heading) else row.name for row in app.screen.table.items]


# ---------------------------------------------------------------- what is shown


async def test_the_filter_narrows_at_every_key_and_esc_clears_it(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "slash", *"group:can")
        assert names(app) == ["web-09", "web-10", "web-11", "web-12"]
        assert "Servers 4 of 13" in screen_text(app) and "group:can*" in screen_text(app)
        await press(pilot, *"ary not name:web-1", "enter")
        assert "No server fits" not in screen_text(app)
        await press(pilot, "slash", *" nothing", "enter")
        assert "No server fits the filter" in screen_text(app)
        await press(pilot, "escape")
        assert len(names(app)) == 13 and isinstance(app.screen, ServersScreen)
        await press(pilot, "escape")
        assert isinstance(app.screen, Dashboard)


async def test_the_cursor_stays_on_its_server_while_the_rows_change(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "j", "j", "j")
        assert app.screen.table.chosen.name == "web-03"
        await press(pilot, "slash", *"web-0", "enter")
        assert app.screen.table.chosen.name == "web-03"
        await press(pilot, "escape")
        assert app.screen.table.chosen.name == "web-03"


async def test_columns_order_and_groups_are_chosen_and_seen_at_once(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i")
        assert "labels" not in screen_text(app).splitlines()[2]
        await press(pilot, "v")
        assert isinstance(app.screen, ViewSheet)
        app.screen.table.choose("labels")
        await press(pilot, "space")
        app.screen.table.choose("state")
        await press(pilot, "enter", "enter", "b", "escape")
        header = screen_text(app).splitlines()[2]
        assert "labels" in header and "by state, state descending" in screen_text(app)
        assert names(app)[0] == "started" and names(app)[13] == "unknown"
        assert names(app)[-1] == "db-1"
        await press(pilot, "v", "space")
        assert notices(app)[-1] == "the name is always shown"
        await press(pilot, "0", "escape")
        assert names(app)[0] == "db-1" and "labels" not in screen_text(app).splitlines()[2]


async def test_groups_fold_and_are_marked_as_a_whole(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "v")
        app.screen.table.choose("state")
        await press(pilot, "b", "escape", "g", "enter")
        assert names(app) == ["started", "unknown", "db-1"]
        await press(pilot, "space")
        assert len(app.screen.marked) == 12 and "12 marked" in screen_text(app)
        await press(pilot, "enter", "space")
        assert not app.screen.marked and len(names(app)) == 15


async def test_marks_stay_through_filters_and_esc_takes_them_away_last(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "space", "space", "slash", *"canary", "enter", "a")
        assert list(app.screen.marked) == ["db-1", "web-01", "web-09", "web-10", "web-11", "web-12"]
        assert "Servers 4 of 13  6 marked" in screen_text(app)
        await press(pilot, "slash", *[*["backspace"] * 6, *"marked"], "enter")
        assert len(names(app)) == 6
        await press(pilot, "a")
        assert not app.screen.marked
        await press(pilot, "escape", "space", "escape")
        assert not app.screen.marked and isinstance(app.screen, ServersScreen)


async def test_a_marked_server_that_is_gone_is_no_longer_marked(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "space", "space")
        assert list(app.screen.marked) == ["db-1", "web-01"]
        engine.server_list = [each for each in engine.server_list if each.name != "db-1"]
        await press(pilot, "u")
        assert list(app.screen.marked) == ["web-01"] and "db-1" not in names(app)


async def test_filters_are_saved_used_and_removed(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    app = make_app(lab.lab(), own_folder=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "f", "s")
        assert notices(app)[-1] == "nothing is filtered now: / filters"
        await press(pilot, "escape", "slash", *"group:canary", "enter", "f", "s", *"birds", "enter")
        assert "saved as birds" in notices(app)
        kept = tmp_path / "data" / "windlass" / "inventory.json"
        await until(pilot, lambda: kept.exists() and json.loads(kept.read_text())["filters"])
        assert json.loads(kept.read_text())["filters"] == {"/srv/lab": {"birds": "group:canary"}}
        await press(pilot, "escape", "escape")
        assert len(names(app)) == 13
        await press(pilot, "f")
        assert isinstance(app.screen, FiltersSheet) and "group:canary" in screen_text(app)
        await press(pilot, "enter")
        assert len(names(app)) == 4 and app.screen.find == "group:canary"
    again = make_app(lab.lab(), own_folder=tmp_path)
    async with again.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "f", "D")
        assert isinstance(again.screen, ConfirmSheet)
        await press(pilot, "y")
        assert "None is saved yet" in screen_text(again)
        await until(pilot, lambda: not json.loads(kept.read_text())["filters"])


async def test_how_it_is_shown_is_remembered(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    kept = tmp_path / "data" / "windlass" / "inventory.json"
    app = make_app(lab.lab(), own_folder=tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "v")
        app.screen.table.choose("user")
        await press(pilot, "space", "enter")
        await until(pilot, lambda: kept.exists() and json.loads(kept.read_text())["sort"] == "user")
    again = make_app(lab.lab(), own_folder=tmp_path)
    async with again.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i")
        assert "user ascending" in screen_text(again) and names(again)[-1] == "db-1"


# ---------------------------------------------------------------- acting


async def test_asking_whether_servers_answer(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.host_keys["web-01"] = ServersUnreachable("web-01 cannot be reached: connection refused")
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "r")
        await until(pilot, lambda: not app.screen.reaching.open and "no answer" in screen_text(app))
        assert len(called(engine, "host_key")) == 13
        app.screen.table.choose("web-01")
        await until(pilot, lambda: "connection refused, now" in static_text(app, "#detail"))
        app.screen.table.choose("web-09")
        await until(pilot, lambda: "answered after" in static_text(app, "#detail"))
        engine.calls.clear()
        await press(pilot, "space", "r")
        await until(pilot, lambda: called(engine, "host_key"))
        assert called(engine, "host_key") == [("host_key", "web-09")]


async def test_asking_on_says_so_and_stops(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "R")
        await until(pilot, lambda: len(called(engine, "host_key")) == 13)
        await until(pilot, lambda: not app.screen.reaching.open)
        app.screen._reach_again()
        await until(pilot, lambda: len(called(engine, "host_key")) == 26)
        await press(pilot, "R")
        assert notices(app)[-1] == "no longer asking"
        app.screen._reach_again()
        await settle(pilot)
        assert len(called(engine, "host_key")) == 26


def adhoc_lab(path: Path):
    """A lab in a real folder, whose engine plans what is written there."""
    (path / "workspace.yaml").write_text("name: lab\nformat: 1\n")
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, path=str(path))

    async def plan(request):
        document = json.loads(Path(request.batch).read_text())
        step = document["steps"]["command"]
        engine.calls.append(("plan", step))
        names = tuple(part.removeprefix("name:") for part in step["on"].split(" or "))
        planned = PlannedStep("command", "run", step["run"], names, (), "irreversible", False, 1)
        return Plan(
            "exec",
            request.batch,
            "d",
            (planned,),
            names,
            {"local": len(names)},
            len(names),
            {},
            {},
            ("command",),
        )

    engine.plan = plan
    return engine


async def test_a_command_on_the_marked_servers_is_planned_then_started(
    make_app: MakeApp, tmp_path: Path
) -> None:
    engine = adhoc_lab(tmp_path)
    started: list[RunRequest] = []

    async def start(request: RunRequest):
        started.append(request)
        return engine.run_list[44].info

    engine.start = start
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "space", "space", "x")
        assert isinstance(app.screen, CommandSheet)
        assert "2 servers  db-1, web-01" in screen_text(app)
        await press(
            pilot,
            *"df -h | tail -1",
            "tab",
            *"yes",
            "tab",
            "tab",
            *"30s",
            "enter",
        )
        await until(pilot, lambda: isinstance(app.screen, StartSheet))
        await settle(pilot)
        (step,) = [call[1] for call in called(engine, "plan")]
        assert step["on"] == "name:db-1 or name:web-01" and step["run"] == "df -h | tail -1"
        assert step["sudo"] is True and step["timeout"] == "30s"
        assert "1 step, 2 tasks on 2 servers" in screen_text(app)
        (document,) = (tmp_path / ".windlass" / "adhoc").iterdir()
        assert document.stat().st_mode & 0o777 == 0o600 and not started
        await press(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert [request.plan.batch for request in started] == [str(document)] and document.exists()
        await press(pilot, "q")
        assert isinstance(app.screen, ServersScreen) and len(app.screen.marked) == 2


async def test_a_command_that_was_not_started_leaves_nothing(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(adhoc_lab(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "x", *"uptime", "enter")
        await until(pilot, lambda: isinstance(app.screen, StartSheet))
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, ServersScreen))
        assert not list((tmp_path / ".windlass" / "adhoc").iterdir())


async def test_every_fault_of_a_command_is_told_at_once(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(adhoc_lab(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "x")
        for selector, value in (("#sudo", "maybe"), ("#parallel", "0"), ("#timeout", "soon")):
            app.screen.query_one(selector, Input).value = value
        await press(pilot, "enter")
        assert notices(app)[-1].splitlines() == [
            "a command is needed",
            "as root: yes or no",
            "at once: a number from 1 to 10000",
            "timeout: a time like 30s, 5m, 1h",
        ]
        assert isinstance(app.screen, CommandSheet) and not (tmp_path / ".windlass" / "adhoc").exists()


async def test_in_a_read_only_workspace_nothing_is_run(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, read_only=True)
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "x")
        assert isinstance(app.screen, ServersScreen) and "read-only" in notices(app)[-1]
        await press(pilot, "s")
        assert "nobody would know what is done there" in notices(app)[-1]


async def test_stopped_ones_that_are_marked_are_started(make_app: MakeApp) -> None:
    engine = lab.fresh_lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "s")
        assert notices(app)[-1] == "web-01 is stopped"
        await press(pilot, "space", "space", "S")
        await until(pilot, lambda: called(engine, "start_servers"))
        assert engine.calls == [("start_servers", ("web-01", "web-02"))]


async def test_copying_the_command_and_the_address(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    sent: list[str] = []
    app.copy_to_clipboard = sent.append
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "y")
        await until(pilot, lambda: len(sent) == 1)
        await press(pilot, "slash", *"group:db", "enter", "y")
        await until(pilot, lambda: len(sent) == 2)
        await press(pilot, "c")
        await until(pilot, lambda: len(sent) == 3)
        await press(pilot, "slash", *" state:unknown", "enter", "y")
        await until(pilot, lambda: len(sent) == 4)
        await press(pilot, "escape", "space", "space", "y")
        await until(pilot, lambda: len(sent) == 5)
    assert sent == [
        "windlass servers list -w /srv/lab",
        "windlass servers list group:db -w /srv/lab",
        "ops@db-1.example.net:22",
        "windlass servers list name:db-1 -w /srv/lab",
        "windlass servers list 'name:db-1 or name:web-01' -w /srv/lab",
    ]


# ---------------------------------------------------------------- one server


async def test_the_page_of_a_server_leads_to_its_runs_and_output(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.server_list = [dataclasses.replace(each, last_run=44) for each in engine.server_list]
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "j", "enter")
        assert isinstance(app.screen, ServerScreen) and app.screen.server == "web-01"
        assert "servers ▸ web-01" in screen_text(app) and "held by run 44" in static_text(app, "#known")
        assert app.screen.table.items[0].run == 44
        await press(pilot, "enter")
        assert isinstance(app.screen, RunScreen) and app.screen.number == 44
        await press(pilot, "q", "o")
        assert isinstance(app.screen, OutputScreen) and app.screen.key.server == "web-01"
        await press(pilot, "q", "q", "o")
        assert isinstance(app.screen, OutputScreen)
        await press(pilot, "q", "q", "colon", *"server db-1", "enter")
        await settle(pilot)
        assert isinstance(app.screen, ServerScreen) and app.screen.server == "db-1"
        assert "No run had tasks here yet" in screen_text(app) or app.screen.table.items
        await press(pilot, "r")
        await until(pilot, lambda: "answered after" in static_text(app, "#known"))
        await press(pilot, "T")
        await until(pilot, lambda: isinstance(app.screen, TrustSheet))


async def test_a_server_that_nobody_lists_says_so(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "colon", *"server web-99", "enter")
        await settle(pilot)
        assert "No provider lists a server of this name" in screen_text(app)
        await press(pilot, "x")
        assert notices(app)[-1] == "no server is chosen"


async def test_an_order_that_moves_the_chosen_one_keeps_it_in_view(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.server_list = [
        dataclasses.replace(engine.server_list[0], name=f"web-{at:03d}") for at in range(500)
    ]
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "i", "v", "enter", "escape")
        table = app.screen.table
        first, last = table.visible_range()
        assert table.chosen.name == "web-000" and first <= table.cursor < last
        assert "web-000" in screen_text(app)


async def test_faults_of_files_silence_nobody(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.host_keys["db-1"] = InputError("the servers have 2 faults")
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "R")
        await until(pilot, lambda: any("2 faults" in told for told in notices(app)))
        assert app.screen.reaching.of("db-1") is NEVER and not app.screen.asking_on


async def test_a_shell_that_cannot_be_started_gives_the_terminal_back(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app(lab.lab())
    given: list[str] = []

    @contextlib.contextmanager
    def suspend():
        given.append("away")
        yield
        given.append("back")

    monkeypatch.setattr("tui.shell.COMMAND", ("/nonexistent/python",))
    monkeypatch.setattr(app, "suspend", suspend)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "s")
        await until(pilot, lambda: any("did not start" in told for told in notices(app)))
    assert given == ["away", "back"]


async def test_no_command_is_copied_that_would_list_others(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.server_list = [
        dataclasses.replace(engine.server_list[0], name=f"web-{at:03d}") for at in range(50)
    ]
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "slash", *"group:we", "enter", "y")
        assert notices(app)[-1] == "no command lists exactly these 50 servers"


async def test_the_output_is_that_of_the_last_task_that_began(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.server_list = [dataclasses.replace(each, last_run=44) for each in engine.server_list]
    waiting = await engine.server_runs("web-01")
    began = next(run for run in waiting if run.task_state is TaskState.DONE)
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "j")
        assert app.screen.chosen.name == "web-01" and waiting[0].task_state is TaskState.WAITING
        await press(pilot, "o")
        assert isinstance(app.screen, OutputScreen) and app.screen.number == began.run
