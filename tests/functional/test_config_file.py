"""The editor of a whole layer: faults while typing, completion, the look before saving, a file changed on disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.functional.steps import notices, press, screen_text, settle, until
from tests.functional.test_configuration import BASE, PROD, SIZES, Workspace, folder, name_it, opened
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


SCHEMA = """\
type: object
properties:
  web:
    type: object
    properties:
      host: {type: string, description: The name that is served}
      port: {type: integer, description: Where it listens}
      tls: {type: boolean, description: Whether it speaks TLS}
      timeouts:
        type: object
        description: How long it waits
        properties: {read: {type: number}}
"""


async def test_a_key_of_the_schema_is_completed(opened: Workspace, folder: Path) -> None:
    (folder / "config" / "schema.yaml").write_text(SCHEMA)
    app = opened()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await editing(pilot, app)
        screen.editor.put(BASE.replace("  port: 8080\n", "  port: 8080\n  \n"))
        screen.editor.cursor_location = (4, 2)
        await press(pilot, "ctrl+@")
        assert [offer.candidate.key for offer, _ in screen.completions._choices] == ["tls", "timeouts"]
        assert "Whether it speaks TLS" in screen_text(app)
        await press(pilot, "tab")
        assert "  port: 8080\n  tls: \n" in screen.editor.text
        await press(pilot, *"true")
        await press(pilot, "enter", *"ti")
        await until(pilot, lambda: screen.completions.chosen is not None)
        await press(pilot, "tab")
        assert "  tls: true\n  timeouts:\n    " in screen.editor.text
        await press(pilot, *"re")
        await until(pilot, lambda: screen.completions.chosen is not None)
        await press(pilot, "escape")
        assert screen.completions.chosen is None and app.screen is screen, "escape closes the list first"


# ---------------------------------------------------------------- pictures

Walk = Callable[[Any, ConfigFileScreen, Path], Awaitable[None]]


async def as_opened(pilot: Any, screen: ConfigFileScreen, file: Path) -> None:
    """The file as it is."""


async def with_faults(pilot: Any, screen: ConfigFileScreen, file: Path) -> None:
    screen.editor.put(BASE.replace("config.web.port }}", "config.web.prt }}") + "hosts: [a]\n")
    await until(pilot, lambda: screen.checked.is_set() and "✗" in screen_text(pilot.app))


async def with_completions(pilot: Any, screen: ConfigFileScreen, file: Path) -> None:
    screen.editor.put(BASE.replace("  port: 8080\n", "  port: 8080\n  \n"))
    screen.editor.cursor_location = (4, 2)
    await press(pilot, "ctrl+@")
    await until(pilot, lambda: screen.checked.is_set())


async def looked_at(pilot: Any, screen: ConfigFileScreen, file: Path) -> None:
    screen.editor.put(BASE.replace("8080", "8443"))
    await until(pilot, lambda: screen.checked.is_set())
    await press(pilot, "ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfigPreviewSheet))
    await until(pilot, lambda: "lines of the file" in screen_text(pilot.app))


async def refused(pilot: Any, screen: ConfigFileScreen, file: Path) -> None:
    await with_faults(pilot, screen, file)
    await press(pilot, "ctrl+s")
    await until(pilot, lambda: "mend them first" in screen_text(pilot.app))


async def in_conflict(pilot: Any, screen: ConfigFileScreen, file: Path) -> None:
    screen.editor.put(BASE.replace("8080", "8443"))
    file.write_text(BASE.replace("8080", "9000").replace("[web-1, web-2]", "[web-1]"))
    await until(pilot, lambda: screen.checked.is_set())
    await press(pilot, "ctrl+s")
    await until(pilot, lambda: isinstance(pilot.app.screen, ConflictSheet))


WALKS: dict[str, Walk] = {
    "opened": as_opened,
    "faults": with_faults,
    "completions": with_completions,
    "looked_at": looked_at,
    "refused": refused,
    "conflict": in_conflict,
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", WALKS)
def test_picture(name: str, size: tuple[int, int], snap_compare, opened: Workspace, folder: Path) -> None:
    (folder / "config" / "schema.yaml").write_text(SCHEMA)
    app = opened()

    async def walk(pilot: Any) -> None:
        screen = await editing(pilot, app)
        screen.editor.cursor_blink = False
        await until(pilot, lambda: screen.checked.is_set())
        await WALKS[name](pilot, screen, folder / "config" / "base.yaml")
        await settle(pilot)

    assert snap_compare(app, terminal_size=size, run_before=walk)
