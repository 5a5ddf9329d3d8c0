"""The list of registered workspaces, and going from one to another in one terminal."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import launch
from core.workspace import registry
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import notices, press, screen_text, until
from tui import app as app_module
from tui.app import WindlassApp
from tui.screens.workspaces import WorkspacesSheet

Opened = Callable[..., WindlassApp]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Registered workspaces: one that is open, two in production, one that is faulty, one that is gone."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    settings = {
        "lab": "format: 1\nname: lab\n",
        "shop": "format: 1\nname: shop\nprotection: production\nread_only: true\n",
        "site": "format: 1\nname: site\nenvironments: {live: {protection: production}}\n",
        "spoilt": "format: 1\nnmae: spoilt\n",
        "gone": "format: 1\n",
    }
    found = {name: tmp_path / name for name in settings}
    for name, text in settings.items():
        found[name].mkdir()
        (found[name] / "workspace.yaml").write_text(text)
        registry.add(name, found[name])
    (found["gone"] / "workspace.yaml").unlink()
    registry.use("shop")
    return found


@pytest.fixture
def opened(folders: dict[str, Path], make_app: MakeApp) -> Opened:
    def make() -> WindlassApp:
        engine = lab.lab()
        engine.info = dataclasses.replace(engine.info, path=str(folders["lab"]))
        return make_app(engine)

    return make


async def listed(pilot) -> None:
    await press(pilot, "w")
    assert isinstance(pilot.app.screen, WorkspacesSheet)
    await pilot.app.screen.listed.wait()
    await pilot.pause()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=str)
async def test_each_is_told_with_its_state_and_protection(opened: Opened, size: tuple[int, int]) -> None:
    app = opened()
    async with app.run_test(size=size) as pilot:
        await listed(pilot)
        lines = [line.split() for line in screen_text(app).replace("▌", " ").splitlines()]
        for told in (["gone", "not", "there"], ["lab", "open", "here"], ["shop", "in", "use", "PRODUCTION", "READ-ONLY"], ["site", "there", "PRODUCTION", "in", "live"], ["spoilt", "faulty"]):  # fmt: skip
            assert any(all(word in line for word in told) for line in lines), told


async def test_one_that_is_not_there_says_so(opened: Opened) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await press(pilot, "g", "enter")
        assert "no workspace lies in" in notices(app)[-1]
        await press(pilot, "j", "enter")
        assert notices(app)[-1] == "this is the workspace that is open"
        await press(pilot, "G", "enter")
        assert "workspace.yaml:2:1" in notices(app)[-1]
        assert isinstance(app.screen, WorkspacesSheet)
        await press(pilot, "escape")
        assert app.next_workspace is None


async def test_another_one_ends_this_interface_and_names_the_next(
    opened: Opened, folders: dict[str, Path]
) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        await listed(pilot)
        await press(pilot, "g", "j", "j")
        await pilot.press("enter")
        await until(pilot, lambda: app.next_workspace is not None)
    assert app.next_workspace == folders["shop"]


async def test_nothing_is_registered(opened: Opened, folders: dict[str, Path]) -> None:
    for name in folders:
        registry.remove(name)
    app = opened()
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(pilot)
        assert "windlass workspace add DIR" in screen_text(app)
        assert app.screen.reason_against("open") == "no workspace is chosen"


async def test_the_launcher_goes_on_and_comes_back(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int | Path] = [folders["shop"], folders["gone"], 0]
    seen: list[tuple[str, str]] = []

    async def run_app(
        engine, *, actor: str, start_batch: str | None, started_notice: str, here: str, **options: bool
    ) -> int | Path:
        assert len(here) == 16 and options == {"low_bandwidth": False, "mouse": True}
        seen.append(((await engine.workspace()).name, started_notice))
        return answers.pop(0)

    monkeypatch.setattr(app_module, "run_app", run_app)
    assert await launch.interface(folders["lab"], notice="welcome") == 0
    assert [name for name, _ in seen] == ["lab", "shop", "shop"]
    assert "welcome" in seen[0][1] and "welcome" not in seen[1][1]
    assert f"{folders['gone']} was not opened" in seen[2][1]
