"""The editor of a whole layer: faults while typing, completion, the look before saving, a file changed on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.functional.steps import notices, press, screen_text, until
from tests.functional.test_configuration import BASE, PROD, Workspace, folder, name_it, opened
from tui.screens.config_conflict import ConflictSheet
from tui.screens.config_file import ConfigFileScreen
from tui.screens.config_preview import ConfigPreviewSheet
from tui.screens.configuration import ConfigurationScreen

__all__ = ["folder", "opened"]


async def editing(pilot: Any, app: Any, *keys: str) -> ConfigFileScreen:
    """The editor, opened from the configuration screen, once the file is in it."""
    await press(pilot, "c", *keys, "E")
    await until(pilot, lambda: isinstance(app.screen, ConfigFileScreen))
    await app.screen.ready.wait()
    screen: ConfigFileScreen = app.screen
    return screen


async def test_a_value_is_changed_looked_at_and_saved_and_comments_stay(
    opened: Workspace, folder: Path
) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await editing(pilot, app)
        file = folder / screen._file
        before = file.read_text()
        at = before.index("443" if "443" in before else "8080")
        digits = "443" if "443" in before else "8080"
        screen.editor.put(before[:at] + "8443" + before[at + len(digits) :])
        await until(pilot, lambda: screen.checked.is_set())
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ConfigPreviewSheet))
        await until(pilot, lambda: "8443" in screen_text(app))
        assert file.read_text() == before, "nothing is written before it was looked at"
        await press(pilot, "s")
        await name_it(pilot, app)
        await until(pilot, lambda: file.read_text() != before)
        assert file.read_text() == before.replace(digits, "8443", 1)
        comments = [line for line in before.splitlines() if "#" in line and digits not in line]
        assert all(line in file.read_text().splitlines() for line in comments)


async def test_a_fault_stands_beside_its_line_while_typing_and_stops_the_save(
    opened: Workspace, folder: Path
) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await editing(pilot, app)
        file = folder / screen._file
        before = file.read_text()
        screen.editor.put(before + "broken: [1, 2\n")
        await until(pilot, lambda: screen.checked.is_set() and "✗" in screen_text(app))
        assert f"{screen._file}:" in screen_text(app)
        await press(pilot, "ctrl+s", "s")
        assert "mend them first" in screen_text(app) and file.read_text() == before
        await press(pilot, "escape", "ctrl+z")
        await until(pilot, lambda: screen.editor.text == before)


async def test_f16_a_file_changed_on_disk_is_compared_and_never_overwritten(
    opened: Workspace, folder: Path
) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await editing(pilot, app)
        file = folder / screen._file
        before = file.read_text()
        screen.editor.put("# mine\n" + before)
        theirs = before + "other: 1  # theirs\n"
        file.write_text(theirs)
        await until(pilot, lambda: screen.checked.is_set())
        await press(pilot, "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, ConflictSheet))
        assert "theirs" in screen_text(app) and "mine" in screen_text(app)
        assert file.read_text() == theirs
        await press(pilot, "escape")
        await until(pilot, lambda: isinstance(app.screen, ConfigFileScreen))
        assert screen.editor.text == "# mine\n" + before and file.read_text() == theirs
        await press(pilot, "ctrl+t")
        await until(pilot, lambda: isinstance(app.screen, ConflictSheet))
        await press(pilot, "m")
        await until(pilot, lambda: isinstance(app.screen, ConfigFileScreen))
        await until(pilot, lambda: "# theirs" in screen.editor.text and "# mine" in screen.editor.text)
        assert file.read_text() == theirs, "a merge is in the editor alone until it is saved"


async def test_leaving_with_something_unsaved_asks(opened: Workspace, folder: Path) -> None:
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await editing(pilot, app)
        before = (folder / screen._file).read_text()
        screen.editor.put("# lost?\n" + before)
        await press(pilot, "escape")
        assert not isinstance(app.screen, ConfigurationScreen)
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, ConfigurationScreen))
        assert (folder / screen._file).read_text() == before
        assert before in (BASE, PROD)
        assert notices(app) is not None
