"""What every key does, and what it says where it does nothing."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest
from textual.widgets import Input

from core.engine.api import RunRequest
from core.errors import Fault, InputError, NotPossible
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Decision, RunState, TaskState
from core.model.views import OwnerInfo, RunInfo, Watcher
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW
from tests.functional.steps import notices, press, screen_text, settle, static_text, until
from tui.screens.base import Keyed
from tui.screens.dashboard import Dashboard
from tui.screens.decide import DecideScreen
from tui.screens.help import HelpSheet
from tui.screens.output import OutputScreen
from tui.screens.plan_tasks import PlanTasksSheet
from tui.screens.run import RunScreen
from tui.screens.servers import ServersScreen
from tui.screens.sheets import ConfirmSheet, FaultsSheet, TrustSheet
from tui.screens.start import StartSheet
from tui.screens.tiles import TILES
from tui.screens.who import WhoSheet
from tui.widgets.table import VirtualTable

LIVE = ("j", "enter")
STANDS = ("enter",)


def called(engine, name: str) -> list:
    return [call for call in engine.calls if call[0] == name]


# ---------------------------------------------------------------- the dashboard


async def test_the_cursor_goes_on_to_the_next_panel(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        seen = [app.screen.focused.id]
        for _ in range(14):
            await press(pilot, "j")
            seen.append(app.screen.focused.id)
        assert list(dict.fromkeys(seen)) == list(TILES)
        await press(pilot, "k", "k", "k", "k")
        assert app.screen.focused.id == "configuration"


async def test_the_focus_goes_on_where_its_panel_has_become_empty(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for stored in list(engine.run_list):
            del engine.run_list[stored]
        await engine.tell("run.state", 41)
        await until(pilot, lambda: app.screen.focused is not None and app.screen.focused.id == "batches")


async def test_the_top_line_names_who_else_is_here(make_app: MakeApp) -> None:
    engine = lab.lab()
    there = Watcher("1", "grace@desk (pts/4)", "interface", NOW)
    engine.info = dataclasses.replace(
        engine.info, watchers=(there, Watcher("me", "ada@desk", "interface", NOW))
    )
    app = make_app(engine)
    app.session.here = "me"
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "also here: grace@desk (pts/4)" in screen_text(app) and "ada@desk (" not in screen_text(app)


async def test_settings_may_be_read_while_a_screen_is_being_made(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        app.push_screen(RunScreen(app.session, 41))  # not awaited: it has no widgets yet
        await app.read_settings()
        await until(pilot, lambda: "rollout" in screen_text(app))


async def test_enter_opens_what_the_cursor_stands_on(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        assert isinstance(app.screen, RunScreen) and app.screen.number == 41
        await press(pilot, "q", "j", "enter")
        assert isinstance(app.screen, RunScreen) and app.screen.number == 44
        await press(pilot, "escape")
        app.screen.query_one("#batches").focus()
        await press(pilot, "j", "enter")
        assert isinstance(app.screen, StartSheet)
        assert app.screen.table.chosen.name == "deploy"
        await press(pilot, "escape")
        app.screen.query_one("#servers").focus()
        await press(pilot, "enter")
        assert isinstance(app.screen, ServersScreen)
        assert len(app.screen.table.items) == 12  # the provider's own


async def test_resume_carries_on_a_run_that_stands(make_app: MakeApp) -> None:
    engine = lab.lab()
    stored = lab.live_run()
    stored.info = dataclasses.replace(stored.info, interrupted=True)
    engine.run_list = {44: stored}
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "r")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert engine.calls == [("resume", 44)]


async def test_resume_says_why_not(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "r")
        assert "stand still" in notices(app)[-1]
        assert not called(engine, "resume")


async def test_stopped_servers_are_offered_and_started(make_app: MakeApp) -> None:
    engine = lab.fresh_lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "12 stopped: s starts them" in screen_text(app)
        await press(pilot, "s")
        await until(pilot, lambda: "12 started" in screen_text(app))
        assert engine.calls == [("start_servers", ())]
        assert "stopped" not in screen_text(app)
        await press(pilot, "s")
        assert notices(app)[-1] == "no server is stopped"


async def test_faults_of_the_servers_files_are_shown(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.servers_error = InputError(
        "bad", faults=[Fault("servers/static.yaml", 3, 5, "unknown key 'adress'")]
    )
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "servers/static.yaml:3:5" in screen_text(app)
        await press(pilot, "i")
        assert isinstance(app.screen, FaultsSheet)
        assert "unknown key 'adress'" in screen_text(app)


async def test_new_runs_appear_by_themselves(make_app: MakeApp) -> None:
    engine = lab.fresh_lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        engine.run_list[1] = lab.live_run(1)
        await engine.tell("run.created", 1)
        await until(pilot, lambda: "run 1 " in screen_text(app))


# ---------------------------------------------------------------- starting


async def test_the_first_path_ends_in_a_live_run(make_app: MakeApp) -> None:
    """Dashboard, b, s: and the run is watched."""
    engine = lab.fresh_lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "b")
        assert "Deploys a small web page" in screen_text(app)
        engine.run_list[1] = lab.live_run(1)
        await press(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        await settle(pilot)
        assert called(engine, "start") == [("start", "deploy", False, "d1", {})]
        assert app.screen.number == 1


async def test_enter_on_the_list_never_starts(make_app: MakeApp) -> None:
    engine = lab.fresh_lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "b", "enter", "enter")
        assert isinstance(app.screen, StartSheet)
        assert not called(engine, "start")


async def test_a_batch_given_at_the_start_is_chosen(make_app: MakeApp) -> None:
    app = make_app(lab.lab(), batch="patch")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert app.screen.table.chosen.name == "patch"


async def test_a_faulty_batch_shows_every_fault_and_does_not_start(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b")
        text = screen_text(app)
        for place in ("batches/broken.yaml:4:3", "batches/broken.yaml:9:12", "batches/broken.yaml:15:7"):
            assert place in text
        await press(pilot, "s")
        assert "cannot be started" in notices(app)[-1]
        assert not called(engine, "start")


async def test_parameters_and_the_limit_go_into_plan_and_start(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "j", "e")
        assert isinstance(app.screen.focused, Input) and app.screen.focused.name == "param-version"
        await press(pilot, "end", "backspace", "5", "enter")
        await press(pilot, "enter", *"north", "enter", *"group:web", "enter")
        await until(pilot, lambda: engine.calls[-1][3] == "group:web")
        assert engine.calls[-1] == ("plan", "deploy", {"version": "1.5", "site": "north"}, "group:web")
        await press(pilot, "s")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert called(engine, "start")[0][4] == {"version": "1.5", "site": "north"}


async def test_letters_in_a_field_are_text(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "j", "e", "s", "q", "question_mark")
        assert isinstance(app.screen, StartSheet)
        assert app.screen.focused.value == "1.4sq?"
        await press(pilot, "escape")
        assert isinstance(app.screen, StartSheet) and app.screen.focused.id == "batches"
        await press(pilot, "escape")
        assert isinstance(app.screen, Dashboard)


async def test_a_start_that_the_engine_refuses_is_told(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.refuse["start"] = NotPossible("the batch changed since it was planned", hint="look at it again")
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "j", "s")
        await until(pilot, lambda: notices(app))
        assert "changed since it was planned" in notices(app)[-1]
        await settle(pilot)
        assert isinstance(app.screen, StartSheet)


async def test_a_plan_task_by_task(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "j", "t")
        assert isinstance(app.screen, PlanTasksSheet) and "+ prepare  12 servers" in screen_text(app)
        assert not engine.reads["plan_tasks"]
        await press(pilot, "enter", "j")
        assert "mkdir -p site logs # on web-01" in screen_text(app) and engine.reads["plan_tasks"] == 1
        assert "env RELEASE    1.4" in static_text(app, "#handed-text")
        assert "it depends on what earlier tasks print" in static_text(app, "#handed-text")
        await press(pilot, "enter")
        assert "web-01" in screen_text(app)  # a task leads nowhere
        await press(pilot, "g", "enter", "escape")
        assert isinstance(app.screen, StartSheet) and not called(engine, "start")


async def test_servers_held_by_another_run_need_alongside(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "G", "s")
        assert "run 44 holds" in notices(app)[-1]
        assert not called(engine, "start")
        await press(pilot, "A")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        assert called(engine, "start")[0][:3] == ("start", "patch", True)


# ---------------------------------------------------------------- a run


async def test_pause_and_resume(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        assert "p pause" in screen_text(app)
        await press(pilot, "p")
        assert "5 tasks in flight end first; 28 that wait do not start." in screen_text(app)
        assert not engine.calls, "it is said before it is done"
        await press(pilot, "y")
        await until(pilot, lambda: "p resume" in screen_text(app))
        await press(pilot, "p")
        assert "28 tasks that wait start when their needs are met." in screen_text(app)
        await press(pilot, "y")
        await until(pilot, lambda: "p pause" in screen_text(app))
        assert engine.calls == [("pause", 44), ("resume", 44)]


async def test_a_failed_run_opens_on_its_failed_task_and_goes_on_in_two_keys(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.run_list = {41: lab.failed_run(doubt=False)}
    engine.outputs[(41, TaskKey("publish", "web-03"))] = [
        lab.chunk("write error: no space left\n", ago_s=799)
    ]
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter")
        assert app.screen.chosen.key == TaskKey("publish", "web-03")
        text = screen_text(app)
        assert "write error: no space left" in text, "its last lines"
        assert "Retry this task: runs again on web-03" in text, "the choices with their consequence"
        assert "Roll back the run: undoes what this run did" in text
        await press(pilot, "r")
        text = screen_text(app)
        assert "2 tasks open again: publish@web-03, publish@web-09." in text
        assert "(2 tasks), once they end well." in text, "what is blocked by them"
        await press(pilot, "y")
        await until(pilot, lambda: engine.calls == [("retry", 41, (), False)])


async def test_a_run_in_doubt_opens_on_what_is_certain_and_what_is_not(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS)
        assert app.screen.chosen.key == TaskKey("publish", "web-05")
        text = " ".join(line[:53] for line in screen_text(app).splitlines())
        assert "the intent of run attempt 1 was stored at" in text
        assert "whether run attempt 1 started, and how it ended" in text
        assert "Skip it: counts as skipped; dependents go on" in text
        await press(pilot, "p")
        assert "The servers are asked about 2 tasks in doubt" in screen_text(app)
        await press(pilot, "y")
        await until(pilot, lambda: engine.calls == [("resume", 41)])


@pytest.mark.parametrize(
    ("walk", "told", "command"),
    [
        (("j", "enter", "p"), "28 that wait do not start", "runs pause 44"),
        (("j", "enter", "C"), "28 that wait never start", "runs cancel 44"),
        (("enter", "p"), "what they cannot settle still waits", "runs resume 41"),
        (("enter", "r"), "2 tasks open again", "runs retry 41"),
        (("enter", "R"), "In this order: publish, build, prepare.", "runs rollback 41"),
    ],
)
async def test_an_action_says_what_it_will_do_and_gives_its_command(
    make_app: MakeApp, walk: tuple[str, ...], told: str, command: str
) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *walk)
        text = static_text(app, "#sheet .text")
        assert told in text and f"the same: windlass {command} -w /srv/lab" in text
        await press(pilot, "c")
        assert app.clipboard == f"windlass {command} -w /srv/lab"
        await press(pilot, "escape")
        assert isinstance(app.screen, RunScreen) and not engine.calls


async def test_a_read_only_workspace_pauses_but_does_not_resume(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, read_only=True)
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS)
        assert "p asks the servers" not in screen_text(app) and "d decides" not in screen_text(app)
        for key in ("p", "r", "s", "d", "R"):
            await press(pilot, key)
            assert "read-only" in notices(app)[-1] and isinstance(app.screen, RunScreen), key
        await press(pilot, "escape", "j", "enter", "p", "y")
        await until(pilot, lambda: engine.calls == [("pause", 44)])


async def test_a_task_in_doubt_is_skipped_and_no_other(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS)
        app.screen.tasks.choose("web-03", by_person=True)
        await press(pilot, "s")
        assert "only a task in doubt can be skipped, and this one is failed" in notices(app)[-1]
        app.screen.tasks.choose("web-06", by_person=True)
        await press(pilot, "s")
        assert isinstance(app.screen, DecideScreen)
        assert "counts as skipped; dependents go on without it" in screen_text(app)
        await press(pilot, "y")
        assert app.clipboard.startswith("windlass runs decide 41 publish@web-06 skip --reason WHY")
        await press(pilot, "enter", *"gone", "enter")
        await until(pilot, lambda: engine.calls)
        assert engine.calls == [("decide", 41, TaskKey("publish", "web-06"), Decision.SKIP, "ada", "gone")]


async def test_tasks_as_a_matrix(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE, "m")
        assert app.screen.focused.id == "matrix"
        assert "✓✓✓✓▶▶▶▶▶○○○" in screen_text(app) and "m list" not in screen_text(app)
        await press(pilot, "l", "l")
        assert app.screen.chosen.server == "web-07"
        assert "web-07  ▶ running" in screen_text(app) and "web-07 · output" in screen_text(app)
        await press(pilot, "G", "enter")
        assert isinstance(app.screen, OutputScreen) and app.screen.key == TaskKey("build", "web-12")
        await press(pilot, "escape", "m")
        assert app.screen.focused.id == "tasks" and "▌web-12" in screen_text(app)


@pytest.mark.parametrize(("key", "call"), [("C", ("cancel", 44)), ("R", ("roll_back", 44))])
async def test_what_destroys_asks_with_another_key(make_app: MakeApp, key: str, call: tuple) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE, key)
        assert isinstance(app.screen, ConfirmSheet)
        await press(pilot, key, "enter")
        assert isinstance(app.screen, ConfirmSheet)  # neither the same key nor enter says yes
        await press(pilot, "n")
        assert isinstance(app.screen, RunScreen) and not engine.calls
        await press(pilot, key, "y")
        await until(pilot, lambda: engine.calls)
        assert engine.calls == [call]


async def test_retry_opens_what_failed(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS, "r", "y")
        await until(pilot, lambda: engine.calls)
        assert engine.calls == [("retry", 41, (), False)]


@pytest.mark.parametrize(
    ("key", "why"),
    [("r", "no task failed"), ("d", "no task is in doubt"), ("T", "no unknown host key")],
)
async def test_a_key_that_does_nothing_says_why(make_app: MakeApp, key: str, why: str) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE, key)
        assert why in notices(app)[-1]
        assert not engine.calls
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpSheet)
        assert f"not now: {why}" in static_text(app, "#help-text").replace("\n" + " " * 27, " ")


async def test_copy_gives_the_command_for_what_is_chosen(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE, "y")
        assert app.clipboard == "windlass runs watch 44 -w /srv/lab"
        await press(pilot, "tab", "y")
        assert app.screen.focused.id == "output"
        assert app.clipboard == "windlass runs logs 44 build@web-05 -w /srv/lab"
        await press(pilot, "escape", "k", "enter", "y")
        assert app.clipboard == "windlass runs watch 41 -w /srv/lab"


async def test_tab_goes_round_the_panels(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        seen = [app.screen.focused.id]
        for _ in range(3):
            await press(pilot, "tab")
            seen.append(app.screen.focused.id)
        assert seen == ["tasks", "output", "steps", "tasks"]
        await press(pilot, "shift+tab")
        assert app.screen.focused.id == "steps"


async def test_choosing_a_step_shows_its_tasks_and_stops_following(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE, "shift+tab", "g")
        await until(pilot, lambda: "prepare · 12 tasks" in screen_text(app))
        await engine.set_task(44, TaskKey("build", "web-10"), state=TaskState.RUNNING)
        await settle(pilot)
        assert "prepare · 12 tasks" in screen_text(app)
        await press(pilot, "f")
        await until(pilot, lambda: "build · 12 tasks" in screen_text(app))


async def test_the_screen_follows_what_runs(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        for server in lab.SERVERS:
            await engine.set_task(44, TaskKey("build", server), state=TaskState.DONE, ended=NOW)
        await engine.set_task(44, TaskKey("publish", "web-07"), state=TaskState.RUNNING, started=NOW)
        await until(pilot, lambda: "publish · 12 tasks" in screen_text(app))
        await until(pilot, lambda: app.screen.chosen is not None and app.screen.chosen.server == "web-07")
        assert "48 %" in screen_text(app)


async def test_rows_keep_their_place_and_the_cursor_its_thing(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE, "j", "j")
        assert app.screen.chosen.server == "web-07"
        before = [task.server for task in app.screen.tasks.items]
        await engine.set_task(44, TaskKey("build", "web-07"), state=TaskState.DONE, last_line="built at last")
        await until(pilot, lambda: "built at last" in screen_text(app))
        assert [task.server for task in app.screen.tasks.items] == before
        assert app.screen.chosen.server == "web-07"


async def test_output_follows_its_tail_until_scrolled(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    watched = TaskKey("build", "web-05")
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        await engine.print(44, watched, lab.chunk(" done\nfirst news\n", start=5000))
        await until(pilot, lambda: "first news" in screen_text(app))
        assert "linking" in screen_text(app)
        await press(pilot, "tab", "g")
        assert "configuring for x86_64" in screen_text(app)
        assert "held: f follows" in screen_text(app)
        await engine.print(44, watched, lab.chunk("second news\n", start=6000))
        await until(
            pilot, lambda: any(line.text == "second news" for line in app.screen.pane.output_lines.tail(3))
        )
        assert "second news" not in screen_text(app) and "configuring for x86_64" in screen_text(app)
        await press(pilot, "G")
        assert "second news" in screen_text(app)


async def test_output_on_the_whole_screen(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *LIVE, "o")
        assert isinstance(app.screen, OutputScreen)
        assert "linking" in screen_text(app)
        await press(pilot, "y")
        assert app.clipboard == "windlass runs logs 44 build@web-05 -w /srv/lab"
        await press(pilot, "f", "g")
        assert "configuring" in screen_text(app)
        await press(pilot, "escape", "enter")
        assert isinstance(app.screen, OutputScreen)


async def test_long_lines_are_wrapped_or_moved_aside(make_app: MakeApp) -> None:
    engine = lab.long_lab()
    watched = TaskKey("build", "web-05")
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *LIVE, "o")
        assert "060 rsync" in screen_text(app) and "ok" not in screen_text(app).splitlines()[-4]
        await press(pilot, "right", "right")
        assert "from column 17" in screen_text(app) and "/srv/releases" in screen_text(app)
        await press(pilot, "w")
        text = screen_text(app)
        assert "wrapped" in text and "from column" not in text and "w no wrap" in text
        assert "世界" in text or text.count("↪") > 5
        assert "the disk is nearly full" in text.splitlines()[-2] + text.splitlines()[-3], (
            "it follows the tail"
        )
        await engine.print(44, watched, lab.chunk("x" * 300 + "END\n", start=90_000))
        await until(pilot, lambda: "END" in screen_text(app))
        # A search goes to the line, over the place where it is cut, and what is on top stays when the width changes.
        await press(pilot, "slash", *"gallery-031.jpg to", "enter")
        assert "031 rsync" in screen_text(app) and not app.screen.pane.follow
        held = app.screen.pane
        first = held._at(held.scroll_offset.y)[0]
        for key in ("t", "t", "w", "w"):
            await press(pilot, key)
            assert abs(held._at(held.scroll_offset.y)[0] - first) <= 1, key
            assert ("031 rsync" if held.wraps else "gallery-031") in screen_text(app)
        await engine.print(44, watched, lab.chunk("news\n", start=91_000))
        await until(pilot, lambda: held.output_lines.tail(1)[0].text == "news")
        assert "news" not in screen_text(app), "held still"
        await press(pilot, "G")
        assert "news" in screen_text(app) and held.follow
        # The same holds where the run screen shows it.
        await press(pilot, "escape", "escape")
        assert isinstance(app.screen, RunScreen) and "↪" in screen_text(app)


async def test_what_is_wrapped_is_bounded_and_lets_go_of_its_beginning(make_app: MakeApp) -> None:
    engine = lab.long_lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *LIVE, "o", "w", "g")
        pane = app.screen.pane
        pane.output_lines._max_lines = 50
        before = [pane._at(pane.scroll_offset.y + y)[0] for y in range(3)]
        assert before == [0, 0, 1] or before == [0, 1, 1]
        pane.scroll_to(y=pane._row_of(40), animate=False)
        await settle(pilot)
        shown = pane.output_lines[pane._at(pane.scroll_offset.y)[0]].text
        await engine.print(44, TaskKey("build", "web-05"), lab.chunk("more\n" * 20, start=90_000))
        await until(pilot, lambda: pane.output_lines.forgotten)
        assert len(pane.output_lines) == 50
        assert pane.output_lines[pane._at(pane.scroll_offset.y)[0]].text == shown, (
            "what was read stays in view"
        )
        assert sum(1 for row in range(pane._rows()) if pane._at(row)[1] == 0) == 50


async def test_hostile_output_is_shown_and_not_obeyed(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        text = screen_text(app)
        assert "^[]52;c;ZXZpbA==^G a hostile line" in text
        assert "[bold]this is no markup[/bold]" in text
        assert "↵progress 100%" in text
        assert app.clipboard == ""


async def test_an_unknown_host_key_is_offered_on_the_run(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS)
        assert app.screen.tasks.choose("web-09", by_person=True)
        await settle(pilot)
        assert "T looks at its host key" in screen_text(app)
        await press(pilot, "T")
        await until(pilot, lambda: isinstance(app.screen, TrustSheet))
        assert "SHA256:" in screen_text(app)
        await press(pilot, "T", "enter")
        assert isinstance(app.screen, TrustSheet)
        await press(pilot, "y")
        await until(pilot, lambda: called(engine, "trust"))
        assert engine.calls == [("host_key", "web-09"), ("trust", "web-09", "ada")]


async def test_a_changed_host_key_is_never_offered(make_app: MakeApp) -> None:
    engine = lab.lab()
    key = TaskKey("publish", "web-09")
    stored = engine.run_list[41]
    at = stored.at(key)
    stored.tasks[at] = dataclasses.replace(stored.tasks[at], why="the host key of web-09 changed")
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS)
        app.screen.tasks.choose("web-09", by_person=True)
        await press(pilot, "T")
        assert not engine.calls and not isinstance(app.screen, TrustSheet)


# ---------------------------------------------------------------- deciding


async def test_deciding_needs_a_reason_and_goes_on_to_the_next(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS, "d")
        assert isinstance(app.screen, DecideScreen)
        text = screen_text(app)
        assert "the connection was lost 2s later" in text
        assert "whether run attempt 1 started" in text
        assert "1 of 2 in doubt" in text
        await press(pilot, "enter", "enter")
        assert "a reason is needed" in notices(app)[-1]
        assert not engine.calls
        await press(pilot, *"seen", "enter")
        await until(pilot, lambda: engine.calls)
        assert engine.calls == [("decide", 41, TaskKey("publish", "web-05"), Decision.DONE, "ada", "seen")]
        await until(pilot, lambda: app.screen.wanted == TaskKey("publish", "web-06"))
        await press(pilot, "j", "j", "j", "enter", "x", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        decided = ("decide", 41, TaskKey("publish", "web-06"), Decision.RETRY, "ada", "x")
        assert engine.calls[1:] == [decided, ("resume", 41)]  # nothing is in doubt any more


async def test_all_tasks_in_doubt_of_a_step_are_decided_alike(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS, "d")
        assert "Choices · web-05" in screen_text(app)
        await press(pilot, "a")
        assert "Choices · all 2 tasks in doubt of publish" in screen_text(app)
        assert "runs again on all 2 servers" in screen_text(app)
        await press(pilot, "y")
        assert app.clipboard.startswith("windlass runs decide 41 publish@web-05 publish@web-06 done")
        await press(pilot, "a")
        assert "Choices · web-05" in screen_text(app)
        await press(pilot, "a", "enter", *"known", "enter")
        await until(pilot, lambda: isinstance(app.screen, RunScreen))
        decided = [
            ("decide", 41, TaskKey("publish", name), Decision.DONE, "ada", "known")
            for name in ("web-05", "web-06")
        ]
        assert engine.calls == [*decided, ("resume", 41)]


async def test_next_and_copy_on_decide(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS, "d", "n")
        assert app.screen.wanted == TaskKey("publish", "web-06")
        await press(pilot, "y")
        assert app.clipboard.startswith("windlass runs decide 41 publish@web-06")
        await press(pilot, "n")
        assert app.screen.wanted == TaskKey("publish", "web-05")
        await press(pilot, "enter", "escape")
        assert isinstance(app.screen, DecideScreen) and app.screen.focused.id == "choices"
        await press(pilot, "escape")
        assert isinstance(app.screen, RunScreen)


async def test_a_decision_that_the_engine_refuses_is_told(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.refuse["decide"] = NotPossible("publish@web-05 is not in doubt any more")
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *STANDS, "d", "enter", "x", "enter")
        await until(pilot, lambda: notices(app))
        assert "not in doubt any more" in notices(app)[-1]
        assert isinstance(app.screen, DecideScreen)


@pytest.mark.parametrize(
    ("down", "call"),
    [
        (0, ("retry", 41, (TaskKey("publish", "web-03"),), False)),
        (1, ("retry", 41, (), False)),
        (2, ("roll_back", 41)),
    ],
)
async def test_a_failed_task_offers_retry_and_roll_back(make_app: MakeApp, down: int, call: tuple) -> None:
    engine = lab.lab()
    engine.run_list = {41: lab.failed_run(doubt=False)}
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "d")
        assert isinstance(app.screen, DecideScreen)
        await press(pilot, *["j"] * down, "enter", "y")
        await until(pilot, lambda: engine.calls)
        assert engine.calls == [call]
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


async def test_a_retry_of_what_may_have_run_accepts_the_risk_in_words(make_app: MakeApp) -> None:
    engine = lab.lab()
    stored = lab.failed_run(doubt=False)
    at = stored.at(TaskKey("publish", "web-03"))
    stored.tasks[at] = dataclasses.replace(stored.tasks[at], may_have_run=True)
    engine.run_list = {41: stored}
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "enter", "d")
        assert "though it may have run already" in screen_text(app)
        await press(pilot, "enter", "y")
        await until(pilot, lambda: engine.calls)
        assert engine.calls == [("retry", 41, (TaskKey("publish", "web-03"),), True)]


# ---------------------------------------------------------------- host keys


async def test_trust_on_the_servers_screen(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i", "g", "T")
        await until(pilot, lambda: isinstance(app.screen, TrustSheet))
        await press(pilot, "n")
        assert engine.calls == [("host_key", "db-1")]
        await press(pilot, "T")
        await until(pilot, lambda: isinstance(app.screen, TrustSheet))
        await press(pilot, "y")
        await until(pilot, lambda: called(engine, "trust"))


async def test_update_asks_the_providers(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "i")
        reads = engine.reads["servers"]
        await press(pilot, "u")
        assert engine.reads["servers"] == reads + 1


# ---------------------------------------------------------------- leaving, help, reading only


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
async def test_leaving_without_a_run(make_app: MakeApp, key: str) -> None:
    app = make_app(lab.fresh_lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(key)
        await until(pilot, lambda: app._exit)
    assert app.return_value == 0 and not app.farewell


async def test_leaving_names_the_runs_that_go_on(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.return_value == 0 and not engine.calls
    assert app.farewell == ["run 44 deploy goes on"]


async def test_leaving_an_engine_of_someone_else_names_what_goes_on(make_app: MakeApp) -> None:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, owned=False)
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("q")
        await until(pilot, lambda: app._exit)
    assert app.farewell == ["run 44 deploy goes on"] and not engine.calls


async def test_a_workspace_of_someone_else_can_only_be_watched(make_app: MakeApp) -> None:
    engine = lab.lab()
    owner = OwnerInfo(pid=99, user="bob", host="far", since=NOW)
    engine.info = dataclasses.replace(engine.info, owned=False, owner=owner)
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert "READ-ONLY: pid 99, bob@far owns it" in screen_text(app)
        await press(pilot, *LIVE, "p", "C", "R")
        assert not engine.calls and isinstance(app.screen, RunScreen)
        assert "can only be watched" in notices(app)[-1]


async def test_the_end_of_the_engine_is_said(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await engine.close()
        await until(pilot, lambda: "disconnected" in screen_text(app))
        assert "last seen 14:02:11" in screen_text(app)


async def test_help_closes_with_its_own_key(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        for keys in ((), ("b", "j"), ("i",)):
            await press(pilot, *keys, "question_mark")
            assert isinstance(app.screen, HelpSheet)
            await press(pilot, "question_mark")
            assert not isinstance(app.screen, HelpSheet)
            if keys:
                await press(pilot, "escape")
        assert isinstance(app.screen, Dashboard)


async def test_every_binding_has_an_id_and_a_tooltip(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        for keys in (
            (),
            ("b",),
            ("escape", "enter"),
            ("C",),
            ("escape", "d"),
            ("escape", "o"),
            ("q", "q", "i"),
        ):
            await press(pilot, *keys)
            assert isinstance(app.screen, Keyed)
            nodes = (
                [app, *app.screen.focused.ancestors_with_self] if app.screen.focused else [app, app.screen]
            )
            for node in nodes:
                if not type(node).__module__.startswith("tui."):
                    continue
                for binding in type(node).BINDINGS:
                    assert binding.id and binding.tooltip, binding


async def test_the_bottom_line_holds_at_most_eight_keys_and_always_help(make_app: MakeApp) -> None:
    for size in ((80, 24), (120, 40), (50, 14)):
        app = make_app(lab.lab())
        async with app.run_test(size=size) as pilot:
            for keys in ((), ("enter",), ("q", "j", "enter"), ("q", "i")):
                await press(pilot, *keys)
                line = app.screen.query_one("#bottom")
                placed = [hint for _, hint in line._placed(line.content_size.width)]
                assert 0 < len(placed) <= 8 and placed[-1].action == "help"


async def test_a_click_on_a_key_and_on_a_row(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        await pilot.click("#tasks", offset=(10, 3))
        await settle(pilot)
        assert app.screen.chosen.server == "web-03"
        await pilot.click("#bottom", offset=(2, 0))
        await settle(pilot)
        await press(pilot, "y")
        await until(pilot, lambda: app.screen.run_info.state is RunState.PAUSED)
        await pilot.click("#tasks", offset=(10, 3))
        await until(pilot, lambda: isinstance(app.screen, OutputScreen))


async def test_the_command_palette_knows_the_keys_of_the_screen(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *LIVE)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        assert "Pause (p)" in titles and "Theme" in titles
        assert all(isinstance(each, VirtualTable) for each in app.screen.query("#tasks"))


async def test_leaving_in_the_middle_of_reading_is_no_fault(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter")
        screen = app.screen
        assert isinstance(screen, RunScreen) and screen.chosen is not None and not screen.leaving
        chosen = screen.chosen
        app.exit()
        assert screen.leaving
        await screen.query_one("#left").remove()
        screen.undertake(lambda: screen._show_why(chosen), "choose")
        await asyncio.gather(*(worker.wait() for worker in list(app.workers)), return_exceptions=True)
    assert app.return_code in (None, 0)


async def test_a_start_that_takes_a_while_is_told_and_cannot_be_left(make_app: MakeApp) -> None:
    engine = lab.lab()
    gate, start = asyncio.Event(), engine.start

    async def slow(request: RunRequest) -> RunInfo:
        await gate.wait()
        return await start(request)

    engine.start = slow  # type: ignore[method-assign]
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b", "j", "s")
        await until(pilot, lambda: "the engine in the background" in static_text(app, "#plan-text"))
        await pilot.press("q")
        await until(pilot, lambda: "it is being started" in notices(app))
        assert isinstance(app.screen, StartSheet)
        gate.set()
        await until(pilot, lambda: isinstance(app.screen, RunScreen))


# ---------------------------------------------------------------- who did what


async def test_the_control_of_a_run_is_taken_and_given_back(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *LIVE)
        await press(pilot, "c")
        await until(pilot, lambda: called(engine, "control"))
        number = called(engine, "control")[0][1]
        await until(pilot, lambda: "control: you" in screen_text(app))
        await press(pilot, "c")
        await until(pilot, lambda: len(called(engine, "control")) == 2)
        assert called(engine, "control")[1] == ("control", number, False)
        await until(pilot, lambda: "control: you" not in screen_text(app))


async def test_what_somebody_else_controls_may_only_be_paused_and_taken_over(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await press(pilot, *LIVE)
        number = app.screen.run_info.number
        await engine.set_run(number, controller="token ci")
        await until(pilot, lambda: "control: token ci" in screen_text(app))
        for key in ("C", "R"):
            await press(pilot, key)
            assert "token ci has the control of this run: c takes it over" in "".join(notices(app))
            assert isinstance(app.screen, RunScreen)
        await press(pilot, "c")
        assert isinstance(app.screen, ConfirmSheet) and "token ci" in screen_text(app)
        await press(pilot, "n")
        assert not called(engine, "control")
        await press(pilot, "c")
        await press(pilot, "y")
        await until(pilot, lambda: called(engine, "control") == [("control", number, True)])
        await engine.set_run(number, controller="token ci")
        await press(pilot, "p", "y")
        await until(pilot, lambda: called(engine, "pause"))


async def test_a_sheet_tells_who_is_here_and_who_did_what(make_app: MakeApp) -> None:
    engine = lab.lab()
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await press(pilot, *LIVE)
        number = app.screen.run_info.number
        engine.info = dataclasses.replace(
            engine.info, watchers=(Watcher("1", "eve@desk (pts/9)", "watching", NOW - 60, number),)
        )
        engine.acts_told = [
            Event(
                9,
                "run.asked",
                number,
                None,
                None,
                None,
                "token ci",
                NOW - 5,
                {"asked": "pause", "reason": "a leak"},
            ),
            Event(1, "run.created", number, None, None, None, "ada@desk (pts/1; pid 7)", NOW - 99, {}),
        ]
        await press(pilot, "w")
        assert isinstance(app.screen, WhoSheet)
        await until(pilot, lambda: "token ci paused it: a leak" in screen_text(app))
        text = screen_text(app)
        assert "ada@desk (pts/1) started it" in text and "pid 7" not in text
        assert "eve@desk (pts/9)" in text and f"follows it: run {number}" in text
        assert "nobody took it" in text
        await press(pilot, "escape")
        assert isinstance(app.screen, RunScreen)
