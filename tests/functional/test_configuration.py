"""The configuration screen on real files: what it shows in each state, edits that are looked at and taken back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import InputError
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import notices, press, screen_text, settle, until
from tui.app import WindlassApp
from tui.screens.config_edit import ConfigEditSheet
from tui.screens.configuration import ConfigurationScreen
from tui.screens.sheets import NameSheet

BASE = """\
# What all environments share.
web:
  host: web.example       # the name that is served
  port: 8080
  url: "http://{{ config.web.host }}:{{ config.web.port }}/"
hosts: [web-1, web-2]
db:
  password: "{{ secret('db/password') }}"
"""
PROD = "web:\n  host: shop.example\n  port: 443\n"
SETTINGS = """\
format: 1
name: lab
environments:
  dev: {}
  prod: {protection: production}
"""
SIZES = ((80, 24), (120, 40))

Workspace = Callable[..., WindlassApp]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    environments = tmp_path / "config" / "environments"
    environments.mkdir(parents=True)
    (tmp_path / "workspace.yaml").write_text(SETTINGS)
    (tmp_path / "config" / "base.yaml").write_text(BASE)
    (environments / "dev.yaml").write_text("# nothing yet\n")
    (environments / "prod.yaml").write_text(PROD)
    return tmp_path


@pytest.fixture
def opened(folder: Path, make_app: MakeApp) -> Workspace:
    """The interface of the workspace in `folder`."""

    def make(**options: object) -> WindlassApp:
        engine = lab.lab()
        engine.info = dataclasses.replace(engine.info, path=str(folder))
        return make_app(engine, **options)

    return make


def empty(folder: Path) -> None:
    (folder / "config" / "base.yaml").unlink()
    (folder / "workspace.yaml").write_text("format: 1\nname: lab\n")
    for file in (folder / "config" / "environments").iterdir():
        file.unlink()


def faulty(folder: Path) -> None:
    (folder / "config" / "base.yaml").write_text("web: {{ host }}\nport: 1\nport: 2\n")


def unresolved(folder: Path) -> None:
    with (folder / "config" / "base.yaml").open("a") as file:
        file.write('left: "{{ config.right }}"\nright: "{{ config.left }}"\nshape: "{{ webb.port }}"\n')


def read_only(folder: Path) -> None:
    (folder / "workspace.yaml").write_text(SETTINGS + "read_only: true\n")


def as_is(folder: Path) -> None:
    """Leaves everything as it is."""


PORT = ("v", "v", "j")
PICTURES = {
    "normal": (as_is, ("v", "v", "j")),
    "none": (as_is, ()),
    "filter": (as_is, ("slash", "w", "e", "b", "full_stop", "enter")),
    "faults": (faulty, ("v",)),
    "faulty_values": (unresolved, ("G", "k", "k")),
    "edit": (as_is, (*PORT, "e")),
    "edit_effect": (as_is, (*PORT, "e", "1", "enter")),
    "edit_refused": (as_is, (*PORT, "e", "home", "left_square_bracket", "enter")),
    "empty": (empty, ()),
    "read_only": (read_only, ()),
    "help": (as_is, ("question_mark",)),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PICTURES)
def test_picture(name: str, size: tuple[int, int], snap_compare, opened: Workspace, folder: Path) -> None:
    prepare, keys = PICTURES[name]
    prepare(folder)
    app = opened()

    async def walk(pilot) -> None:
        await press(pilot, "c", *keys)
        for field in app.screen.query("Input"):
            field.cursor_blink = False
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=walk)


def test_picture_ascii(snap_compare, opened: Workspace) -> None:
    async def walk(pilot) -> None:
        await press(pilot, "c", "v", "v")

    assert snap_compare(opened(ascii_only=True), terminal_size=(80, 24), run_before=walk)


async def test_each_environment_and_none(opened: Workspace) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        assert isinstance(app.screen, ConfigurationScreen)
        assert "environment none" in screen_text(app) and "web.example:8080" in screen_text(app)
        assert "<secret db/password>" in screen_text(app)
        await press(pilot, "v")
        assert "environment dev  1 of 2" in screen_text(app)
        await press(pilot, "v")
        assert "environment prod  2 of 2" in screen_text(app) and "PRODUCTION" in screen_text(app)
        assert "shop.example:443" in screen_text(app)
        await press(pilot, "v")
        assert "environment none" in screen_text(app) and "PRODUCTION" not in screen_text(app)
        await press(pilot, "q")
        assert not isinstance(app.screen, ConfigurationScreen)


async def test_it_begins_in_the_environment_of_the_process(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDLASS_ENVIRONMENT", "prod")
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        assert "environment prod" in screen_text(app)


async def test_an_environment_that_the_workspace_does_not_have(
    opened: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDLASS_ENVIRONMENT", "prd")
    app = opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        assert "has no environment 'prd'" in screen_text(app) and "did you mean 'prod'?" in screen_text(app)
        await press(pilot, "v")
        assert "environment none" in screen_text(app) and "valid" in screen_text(app)


async def test_a_value_that_an_alias_shares(opened: Workspace, folder: Path) -> None:
    text = "a: &shared\n  x: 1\nb: *shared\n"
    (folder / "config" / "base.yaml").write_text(text)
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", "e", "2", "enter")
        told = screen_text(app)
        assert "b.x would change with it" in told and "windlass config set a.x 12" in told
        assert "--everywhere" in told
        await press(pilot, "escape")
        assert (folder / "config" / "base.yaml").read_text() == text


async def test_a_value_of_several_lines_is_shown_whole(opened: Workspace, folder: Path) -> None:
    (folder / "config" / "base.yaml").write_text("a: |\n" + "".join(f"  line {n}\n" for n in range(60)))
    app = opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        assert "is  line 0" in screen_text(app) and "    line 1" in screen_text(app)
        await press(pilot, "enter", "end")
        await until(pilot, lambda: "and 10 more lines" in screen_text(app))
        await press(pilot, "escape")
        assert app.screen.focused is app.screen.table


async def test_the_layer_needs_an_environment(opened: Workspace) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", "e", "ctrl+l")
        assert notices(app)[-1].startswith("no environment is chosen")


async def test_the_chain_of_the_chosen_value(opened: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDLASS__WEB__PORT", "9000")
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", "v", "v", "j")
        lines = [" ".join(line.strip("│ ").split()) for line in screen_text(app).splitlines()]
        assert "variable counts WINDLASS__WEB__PORT:1:1 as 9000" in lines
        assert "environment overridden config/environments/prod.yaml:3:9 as 443" in lines
        assert "workspace overridden config/base.yaml:4:9 as 8080" in lines
        await press(pilot, "e")
        assert "goes over every file" in screen_text(app)


async def test_a_filter_by_path_and_by_value(opened: Workspace) -> None:
    app = opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c", "slash", *"secret", "enter")
        assert [row.shown for row in app.screen.table.items] == ["db.password"]
        await press(pilot, "slash", *"xx", "enter")
        assert "No value fits the filter" in screen_text(app)
        await press(pilot, "e")
        assert notices(app)[-1] == "no value is chosen"
        await press(pilot, "escape")
        assert len(app.screen.table.items) == 10
        await press(pilot, "escape")
        assert not isinstance(app.screen, ConfigurationScreen)


async def test_every_fault_and_a_mended_file(opened: Workspace, folder: Path) -> None:
    faulty(folder)
    app = opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        text = screen_text(app)
        assert "config/base.yaml:1:6" in text and "config/base.yaml:3:1" in text and "2 faults" in text
        await press(pilot, "enter", "e", "v")
        assert "environment dev" in screen_text(app)
        (folder / "config" / "base.yaml").write_text(BASE)
        await press(pilot, "r")
        assert "Values 10" in screen_text(app) and "valid" in screen_text(app)


async def test_faulty_settings_of_the_workspace(opened: Workspace, folder: Path) -> None:
    (folder / "workspace.yaml").write_text("format: 1\nnmae: lab\n")
    app = opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        assert "workspace.yaml:2:1" in screen_text(app)


async def test_servers_that_cannot_be_told(opened: Workspace, folder: Path) -> None:
    (folder / "config" / "base.yaml").write_text("a: \"{{ servers['db-1'].address }}\"\nb: 2\n")
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        assert "db-1.example.net" in screen_text(app)
        app.session.engine.servers_error = InputError("the list is broken")
        await press(pilot, "r")
        assert "! fault" in screen_text(app) and "the list is broken" in screen_text(app)


async def name_it(pilot: Any, app: Any) -> None:
    """Types the name that an edit of what production uses asks for."""
    await until(pilot, lambda: isinstance(app.screen, NameSheet))
    assert "lab/prod" in screen_text(app)
    app.screen.query_one("#typed").value = "lab/prod"
    await press(pilot, "enter")


async def test_an_edit_is_shown_saved_and_taken_back(opened: Workspace, folder: Path) -> None:
    prod = folder / "config" / "environments" / "prod.yaml"
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", *PORT, "e")
        sheet = app.screen
        assert isinstance(sheet, ConfigEditSheet)
        await press(pilot, "1", "enter")
        text = screen_text(app)
        assert "2 values change in prod" in text
        assert "http://shop.example:443/  becomes  http://shop.example:4431/" in text
        assert prod.read_text() == PROD
        await press(pilot, "s")
        await name_it(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, ConfigurationScreen))
        await settle(pilot)
        assert prod.read_text() == PROD.replace("443", "4431")
        assert notices(app)[-1] == "edit 1: web.port in config/environments/prod.yaml; u takes it back"
        assert app.screen.table.chosen.value == "4431"
        await press(pilot, "u")
        await name_it(pilot, app)
        await until(pilot, lambda: prod.read_text() == PROD)
        await until(pilot, lambda: app.screen.table.chosen.value == "443")
        await press(pilot, "u")
        assert notices(app)[-1] == "no edit is there to be taken back"


async def test_an_edit_of_the_workspaces_file_keeps_its_comments(opened: Workspace, folder: Path) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", "v", "v", "e", "ctrl+l")
        text = screen_text(app)
        assert "written to config/base.yaml" in text and "prod has a value of its own" in text
        assert app.screen.query_one("#value").value == "web.example"
        await press(pilot, "2", "enter")
        assert "no value changes in prod" in screen_text(app)
        await press(pilot, "s")
        await name_it(pilot, app)
        await until(pilot, lambda: isinstance(app.screen, ConfigurationScreen))
        expected = BASE.replace("web.example ", "web.example2 ")
        assert (folder / "config" / "base.yaml").read_text().split() == expected.split()


async def test_a_refused_edit_says_why_and_writes_nothing(opened: Workspace, folder: Path) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", *PORT, "e", "home", "left_square_bracket", "enter")
        assert "refused" in screen_text(app) and "value:1:" in screen_text(app)
        await press(pilot, "escape")
        assert (folder / "config" / "environments" / "prod.yaml").read_text() == PROD


async def test_a_file_that_changed_meanwhile_is_not_overwritten(opened: Workspace, folder: Path) -> None:
    prod = folder / "config" / "environments" / "prod.yaml"
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", *PORT, "e", "1", "enter")
        prod.write_text(PROD + "other: 1\n")
        await press(pilot, "s")
        await name_it(pilot, app)
        await until(pilot, lambda: "has changed since it was looked at" in screen_text(app))
        assert prod.read_text() == PROD + "other: 1\n"


async def test_a_read_only_workspace_refuses(opened: Workspace, folder: Path) -> None:
    read_only(folder)
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c", "e")
        assert "this workspace is read-only" in notices(app)[-1]
        await press(pilot, "u")
        assert isinstance(app.screen, ConfigurationScreen)


async def test_what_files_say_is_not_obeyed(opened: Workspace, folder: Path) -> None:
    (folder / "config" / "base.yaml").write_text('a: "[bold]x[/bold] \\e[2J\\u202e"\n')
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        text = screen_text(app)
        assert "[bold]x[/bold]" in text and "\x1b" not in text and "\u202e" not in text
        await press(pilot, "e", "left", "1", "enter")
        assert "1 value changes" in screen_text(app)
        assert "\x1b" not in screen_text(app) and "\u202e" not in screen_text(app)
