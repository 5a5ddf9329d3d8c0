"""Keys of a user's own: which file is used, what is wrong with one that is not, and that every screen shows them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import notices, press, screen_text, settle, until
from tests.functional.test_keys import called
from tui.keymap import known_bindings, read_keys

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "keys.md"


def written(folder: Path, text: str) -> Path:
    (folder / "keys.toml").write_text(text)
    return folder


async def test_a_key_of_ones_own_works_and_is_shown(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.workspace.userfiles.user_folder", lambda: tmp_path / "data")
    engine = lab.lab()
    app = make_app(
        engine, own_folder=written(tmp_path, '"run.pause" = "P"\n[dashboard]\nruns = ["H", "f6"]\n')
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert not notices(app)
        await press(pilot, "H")
        await until(pilot, lambda: "Runs " in screen_text(app))
        await press(pilot, "escape", "j", "enter", "p")
        assert not called(engine, "pause")
        assert "P pause" in screen_text(app)
        await press(pilot, "P", "y")
        await until(pilot, lambda: called(engine, "pause"))


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('"run.pause" = "P"\n"run.paus" = "X"\n', 2, "did you mean 'run.pause'?"),
        ('"run.pause" = 3\n', 1, "is given a key"),
        ('"run.pause" = []\n', 1, "is given a key"),
        ('"run.pause" = "nokey7"\n', 1, "is no key"),
        ('"run.pause" = "j"\n', 1, "on every screen"),
        ('"run.pause" = "enter"\n', 1, "on every screen"),
        ('[run]\npause = "r"\n', 2, "is the key of 'run.retry'"),
        ('"run.pause" = "Z"\n"run.cancel" = "Z"\n', 1, "on the same screen"),
        ('"run.pause" = \n', 1, "no valid TOML"),
    ],
)
def test_faults_have_their_line_and_nothing_is_used(tmp_path: Path, text: str, line: int, told: str) -> None:
    keys, faults = read_keys(written(tmp_path, text))
    assert keys == {}
    assert any(told in fault.message and fault.line == line for fault in faults), faults


def test_every_fault_is_told_at_once_and_two_keys_may_be_changed_for_each_other(tmp_path: Path) -> None:
    _, faults = read_keys(written(tmp_path, '"run.paus" = "X"\n"run.cancel" = "k"\n"out.save" = "§§"\n'))
    assert len(faults) == 3
    keys, faults = read_keys(written(tmp_path, '"run.pause" = "r"\n"run.retry" = "p"\n'))
    assert not faults and keys == {"run.pause": "r", "run.retry": "p"}
    assert read_keys(tmp_path / "nowhere") == ({}, [])


async def test_a_faulty_file_is_told_when_the_interface_opens(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(lab.lab(), own_folder=written(tmp_path, '"run.paus" = "X"\n'))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert any("keys.toml:1:1" in told and "run.pause" in told for told in notices(app))


def page() -> str:
    """The page that lists what `keys.toml` may name."""
    rows = {}
    for each in known_bindings():
        keys = ", ".join(
            f"`{key.replace('upper_', '').upper() if 'upper_' in key else key}`" for key in each.keys
        )
        rows[each.id] = f"| `{each.id}` | {keys} | {each.told} |"
    return (
        "# Keys\n\nWhat `keys.toml` in your configuration folder can give [other keys](../guides/interface.md#keys-of-your-own): the id of each "
        "action, its keys, and what it does.\n\n| id | keys | does |\n| --- | --- | --- |\n"
        + "\n".join(rows[id_] for id_ in sorted(rows))
        + "\n"
    )


def test_the_page_of_keys_lists_every_one() -> None:
    """`GOLDEN_WRITE=1` writes it."""
    if os.environ.get("GOLDEN_WRITE"):
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
