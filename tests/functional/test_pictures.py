"""Pictures of every screen in its states, at the two sizes that must work. Clock, zone and animation are frozen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.errors import Fault, InputError
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.views import ProviderInfo, Watcher
from tests.functional import history, lab
from tests.functional.conftest import MakeApp
from tests.functional.scripted_engine import NOW, ScriptedEngine
from tests.functional.steps import press, settle
from themes.load import load_themes

SIZES = ((80, 24), (120, 40))


@dataclass(frozen=True)
class Picture:
    """One state: an engine, and the keys that lead there from the dashboard."""

    name: str
    engine: Callable[[], ScriptedEngine]
    keys: tuple[str, ...] = ()
    theme: str = ""
    ascii_only: bool = False
    files: Mapping[str, str] | None = None

    def lab_in(self, folder: Path) -> ScriptedEngine:
        """Its engine; on what is read from files, of a workspace in a folder, which is another one each time."""
        engine, files = self.engine(), self.files
        if files is None and ("dashboard" in self.name or "providers" in self.name):
            files = lab.FILES
        return engine if files is None else lab.in_folder(engine, folder, files)


def failed_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine.run_list = {41: lab.failed_run(doubt=False)}
    return engine


def rolling_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine.run_list = {40: lab.rolling_back_run()}
    return engine


def interrupted_lab() -> ScriptedEngine:
    engine = lab.lab()
    stored = lab.live_run()
    stored.info = dataclasses.replace(stored.info, interrupted=True)
    engine.run_list = {44: stored}
    return engine


def telling_lab() -> ScriptedEngine:
    """Events of a few kinds, as a run makes them."""
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, last_seq=9)
    told: tuple[tuple[str, int | None, TaskKey | None, str, dict[str, Any]], ...] = (
        ("engine.opened", None, None, "ada@desk", {"interrupted": [40]}),
        ("run.created", 44, None, "ada@desk (pts/1; pid 7)", {}),
        ("run.state", 44, None, "engine", {"to": "running", "why": ""}),
        ("task.state", 44, TaskKey("prepare", "web-01"), "engine", {"to": "running"}),
        ("task.state", 44, TaskKey("prepare", "web-01"), "engine", {"to": "done"}),
        ("task.state", 44, TaskKey("build", "web-02"), "engine", {"to": "failed", "why": "exit status 1"}),
        (
            "task.state",
            44,
            TaskKey("build", "db-1"),
            "engine",
            {"to": "unreachable", "why": "no route to host"},
        ),
        ("run.asked", 44, None, "token ci", {"asked": "pause", "reason": "the release is wrong"}),
        ("run.state", 44, None, "engine", {"to": "paused", "why": "no task starts before it is resumed"}),
    )
    for seq, (kind, run, key, actor, data) in enumerate(told, 1):
        step, server = (key.step, key.server) if key else (None, None)
        when = NOW - 60 + seq
        engine._events.append(Event(seq, kind, run, step, server, None, actor, when, data))
    return engine


def told_lab() -> ScriptedEngine:
    """A run that others look at, control and pause."""
    engine = telling_lab()
    engine.info = dataclasses.replace(
        engine.info,
        watchers=(
            Watcher("1", "eve@desk (pts/9)", "interface", NOW - 600),
            Watcher("2", "token screen", "events", NOW - 60, 44),
        ),
    )
    engine.run_list[44].info = dataclasses.replace(engine.run_list[44].info, controller="token ci")
    engine.acts_told = [
        event for event in reversed(engine._events) if event.actor not in ("engine", "ada@desk")
    ]
    return engine


def mixed_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine.run_list = {45: history.mixed_run()}
    history.write(engine, 45)
    return engine


def live_lab() -> ScriptedEngine:
    engine = lab.lab()
    history.write(engine, 44)
    return engine


def production_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, protection="production")
    for stored in engine.run_list.values():
        stored.info = dataclasses.replace(stored.info, protection="production", environment="prod")
    return engine


def read_only_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine.info = dataclasses.replace(engine.info, read_only=True)
    return engine


def lost_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine._closed = True
    return engine


def doubtful_server_lab() -> ScriptedEngine:
    """A server of which a run does not know what its command came to."""
    engine = lab.lab()
    engine.server_list = [
        dataclasses.replace(each, note="build in doubt: the connection was lost, run 44 waits for a decision")
        if each.name == "web-03"
        else each
        for each in engine.server_list
    ]
    return engine


def sick_lab() -> ScriptedEngine:
    """A provider that cannot tell its servers, and a settings file with faults."""
    engine = lab.lab()
    engine.provider_list = [
        lab.PROVIDERS[0],
        dataclasses.replace(
            lab.PROVIDERS[1],
            states={},
            why="servers/static.yaml:3:1: the ssh configuration cannot be read: ~/.ssh/work: Permission denied",
        ),
        ProviderInfo(
            "static", "servers/west.yaml", 1, False, {},
            faults=(
                Fault("servers/west.yaml", 4, 7, "unknown key 'adress'", "did you mean 'address'?"),
                Fault("servers/west.yaml", 9, 3, "the server 'db-1' is there already: servers/static.yaml:7"),
            ),
        ),
    ]  # fmt: skip
    return engine


def doubt_lab() -> ScriptedEngine:
    engine = lab.lab()
    engine.run_list = {41: lab.failed_run()}
    return engine


def faulty_lab() -> ScriptedEngine:
    engine = lab.lab()
    faults = [Fault("servers/static.yaml", 3, 5, "unknown key 'adress'", "did you mean 'address'?")]
    engine.servers_error = InputError("the servers have 1 fault", faults=faults)
    return engine


STATES = (("production", production_lab), ("read_only", read_only_lab), ("disconnected", lost_lab))
WIDE = (200, 60)
SERVERS_STATES = [
    f"servers_{state}" for state in ("empty", "failed", "in_doubt", "production", "read_only", "disconnected")
]

PICTURES = (
    Picture("dashboard", telling_lab),
    Picture("dashboard_first_time", lab.fresh_lab, files=lab.BARE),
    Picture("dashboard_empty", lab.empty_lab, files=lab.BARE),
    Picture("dashboard_failed", failed_lab),
    Picture("dashboard_in_doubt", doubt_lab),
    Picture("dashboard_faults", faulty_lab, files=lab.FAULTY),
    Picture("dashboard_tile", telling_lab, ("j", "right", "right")),
    Picture("dashboard_ascii", lab.lab, ascii_only=True),
    Picture("dashboard_light", lab.lab, theme="windlass-light"),
    Picture("dashboard_high_contrast", lab.lab, theme="high-contrast"),
    Picture("dashboard_interrupted", interrupted_lab),
    *(
        Picture(f"{name}_{theme.name}", lab.lab, keys, theme=theme.name)
        for theme in load_themes()
        for name, keys in (("themed_dashboard", ()), ("themed_run", ("enter",)))
        if theme.name not in ("windlass-dark", "windlass-light", "high-contrast")  # those have theirs already
    ),
    Picture("run_light", lab.lab, ("enter",), theme="windlass-light"),
    Picture("run_high_contrast", lab.lab, ("enter",), theme="high-contrast"),
    Picture("start", lab.lab, ("b", "j")),
    Picture("start_faults", lab.lab, ("b",)),
    Picture("start_held", lab.lab, ("b", "G")),
    Picture("start_field", lab.lab, ("b", "j", "e")),
    Picture("run", lab.lab, ("j", "enter")),
    Picture("run_ascii", lab.lab, ("j", "enter"), ascii_only=True),
    Picture("run_waiting_for_person", lab.lab, ("enter",)),
    Picture("run_failed", failed_lab, ("enter",)),
    Picture("run_done", lab.lab, ("j", "j", "enter")),
    Picture("run_rolling_back", rolling_lab, ("enter",)),
    Picture("run_interrupted", interrupted_lab, ("enter",)),
    Picture("run_empty", history.no_tasks_lab, ("h", "enter")),
    Picture("run_begun", history.begun_lab, ("enter",)),
    Picture("run_graph", history.graph_lab, ("enter",)),
    Picture("run_graph_ascii", history.graph_lab, ("enter",), ascii_only=True),
    Picture(
        "run_matrix", history.graph_lab, ("enter", "shift+tab", "G", "k", "k", "k", "enter", "m", *"lll")
    ),
    Picture("run_pause", lab.lab, ("j", "enter", "p")),
    Picture("run_resume", lab.lab, ("enter", "p")),
    Picture("run_retry", failed_lab, ("enter", "r")),
    Picture("run_cancel", lab.lab, ("j", "enter", "C")),
    Picture("run_roll_back", lab.lab, ("enter", "R")),
    Picture("replay", history.told_lab, ("enter", "t", "left_curly_bracket", "left_curly_bracket")),
    Picture("replay_start", history.told_lab, ("enter", "t", "home", "right", "right", "right")),
    Picture("replay_ascii", history.told_lab, ("enter", "t", "left"), ascii_only=True),
    Picture("replay_output", history.told_lab, ("enter", "t", "left", "o")),
    Picture("timeline", mixed_lab, ("enter", "v")),
    Picture("timeline_step", mixed_lab, ("enter", "v", "j", "enter", "s")),
    Picture("timeline_servers", mixed_lab, ("enter", "v", "b")),
    Picture("timeline_ascii", mixed_lab, ("enter", "v", "b", "s"), ascii_only=True),
    Picture("timeline_live", live_lab, ("j", "enter", "v")),
    Picture("decide", lab.lab, ("enter", "d")),
    Picture("decide_reason", lab.lab, ("enter", "d", "j", "enter")),
    Picture("decide_skip", lab.lab, ("enter", "s")),
    Picture("decide_failed", failed_lab, ("enter", "d")),
    Picture("output", lab.lab, ("j", "enter", "o")),
    Picture("output_wrap", lab.long_lab, ("j", "enter", "o", "w")),
    Picture("output_wrap_ascii", lab.long_lab, ("j", "enter", "o", "w"), ascii_only=True),
    Picture("output_wrap_find", lab.long_lab, ("j", "enter", "o", "w", "slash", *"gallery-031", "enter")),
    Picture("output_aside", lab.long_lab, ("j", "enter", "o", "right", "right", "right")),
    Picture("output_find", lab.lab, ("j", "enter", "o", "slash", "c", "o", "m", "p", "enter")),
    Picture("servers", lab.lab, ("i",)),
    Picture("servers_find", lab.lab, ("i", "slash", "c", "a", "n")),
    Picture("servers_trust", lab.lab, ("i", "g", "T")),
    Picture("servers_failed", faulty_lab, ("colon", *"servers", "enter")),
    Picture("servers_in_doubt", doubtful_server_lab, ("i", "j", "j", "j")),
    Picture("servers_marked", lab.lab, ("i", "j", "space", "space", "space")),
    Picture("servers_grouped", lab.lab, ("i", "v", "j", "j", "b", "escape", "g")),
    Picture("servers_view", lab.lab, ("i", "v", "j")),
    Picture("servers_filters", lab.lab, ("i", "f")),
    Picture("plan_tasks", lab.lab, ("b", "j", "t", "enter", "j", "j")),
    Picture("servers_command", lab.lab, ("i", "space", "space", "x")),
    Picture("server", lab.lab, ("i", "j", "enter")),
    Picture("server_empty", lab.fresh_lab, ("i", "enter")),
    *(
        Picture(f"{screen}_{state}", engine, keys)
        for state, engine in STATES
        for screen, keys in (("dashboard", ()), ("run", ("enter",)), ("servers", ("i",)))
    ),
    Picture("servers_empty", lab.fresh_lab, ("i",)),
    Picture("runs_empty", lab.fresh_lab, ("h",)),
    Picture("runs", lab.lab, ("h",)),
    Picture("events", telling_lab, ("e",)),
    Picture("events_empty", lab.fresh_lab, ("e",)),
    Picture("batches", lab.lab, ("d", "j")),
    Picture("command_bar", lab.lab, ("colon", "s")),
    Picture("who", told_lab, ("j", "enter", "w")),
    Picture("providers", lab.lab, ("p",)),
    Picture("providers_empty", lab.empty_lab, ("p",), files=lab.BARE),
    Picture("providers_failed", sick_lab, ("p", "j")),
    Picture("providers_faults", sick_lab, ("p", "G")),
    Picture("help", lab.lab, ("enter", "question_mark")),
)


def test_every_theme_has_pictures_of_the_dashboard_and_of_a_run() -> None:
    drawn = {
        (picture.theme or "windlass-dark", part)
        for picture in PICTURES
        for part in ("dashboard", "run")
        if part in picture.name.split("_")
    }
    assert {(theme.name, part) for theme in load_themes() for part in ("dashboard", "run")} <= drawn


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_picture(
    picture: Picture, size: tuple[int, int], snap_compare, make_app: MakeApp, tmp_path: Path
) -> None:
    app = make_app(picture.lab_in(tmp_path), ascii_only=picture.ascii_only)

    async def walk(pilot) -> None:
        if picture.theme:
            app.theme = picture.theme
        await press(pilot, *picture.keys)
        for field in app.screen.query("Input"):
            field.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=walk)


@pytest.mark.parametrize(
    "name",
    [
        *("run", "run_failed", "run_waiting_for_person", "run_done", "run_empty", "run_begun", "run_graph"),
        *(
            "run_matrix",
            "run_read_only",
            "run_production",
            "run_disconnected",
            "servers",
            "servers_find",
            "dashboard",
        ),
        *SERVERS_STATES,
    ],
)
def test_picture_wide(name: str, snap_compare, make_app: MakeApp, tmp_path: Path) -> None:
    """The screens that have most to show, where there is room for it."""
    picture = next(picture for picture in PICTURES if picture.name == name)
    app = make_app(picture.lab_in(tmp_path))

    async def walk(pilot) -> None:
        await press(pilot, *picture.keys)
        for field in app.screen.query("Input"):
            field.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app, terminal_size=WIDE, run_before=walk)


@pytest.mark.parametrize("size", [(200, 24), (120, 24), (80, 40), (60, 24), (40, 12)], ids=str)
def test_dashboard_of_another_shape(
    size: tuple[int, int], snap_compare, make_app: MakeApp, tmp_path: Path
) -> None:
    """Wide and low, narrow and high, and as small as can be."""
    app = make_app(lab.in_folder(telling_lab(), tmp_path, lab.FILES))
    assert snap_compare(app, terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", [(39, 24), (80, 11), (20, 5), (1, 1)], ids=str)
def test_too_small(size: tuple[int, int], snap_compare, make_app: MakeApp) -> None:
    assert snap_compare(make_app(lab.lab()), terminal_size=size, run_before=settle)
