"""Themes: ours on every terminal, a user's own, and what is remembered of a choice."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.color import ColorType

from core.errors import InputError
from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import notices, press, screen_text, settle, until
from themes.load import load_themes, parse_theme
from themes.user import MOST_BYTES, user_themes
from tui import taste
from tui.taste import read_taste

OURS = {theme.name: theme for theme in load_themes()}
MINE = 'name = "mine"\nbased_on = "windlass-dark"\n[colors]\naccent = "#ffd75f"\n'


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's configuration folder, and data folder."""
    monkeypatch.setattr("core.workspace.userfiles.user_folder", lambda: tmp_path / "data")
    (tmp_path / "config" / "themes").mkdir(parents=True)
    return tmp_path / "config"


def shown_colours(app: object) -> set[ColorType]:
    """What kinds of colours reach the terminal."""
    found = set()
    for strip in app.screen._compositor.render_strips():  # type: ignore[attr-defined]
        for filter_ in app._filters:  # type: ignore[attr-defined]
            if filter_.enabled:
                strip = strip.apply_filter(filter_, app.screen.background_colors[0])  # type: ignore[attr-defined]
        for segment in strip:
            for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                if color is not None:
                    found.add(color.type)
    return found


@pytest.mark.parametrize("keys", [(), ("j", "enter"), ("i",), ("b", "j"), ("c",)])
async def test_sixteen_colours_are_those_of_the_terminal(make_app: MakeApp, keys: tuple[str, ...]) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.theme = "sixteen"
        await press(pilot, *keys)
        assert shown_colours(app) <= {ColorType.STANDARD, ColorType.DEFAULT}
        assert ColorType.STANDARD in shown_colours(app)


async def test_monochrome_has_no_colour_and_a_cursor_all_the_same(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.theme = "monochrome"
        await press(pilot, "j", "enter")
        assert shown_colours(app) <= {ColorType.DEFAULT}
        reversed_ = [
            segment.text
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style is not None and segment.style.reverse
        ]
        assert any("web-05" in text for text in reversed_)


@pytest.mark.parametrize(
    ("colours", "plain", "theme"),
    [("truecolor", False, "windlass-dark"), ("standard", False, "sixteen"), (None, True, "monochrome")],
)
def test_a_terminal_gets_what_it_can_show(colours: str | None, plain: bool, theme: str) -> None:
    assert read_taste(None).first_theme(colours, plain=plain) == theme


# ---------------------------------------------------------------- a user's own


def test_a_theme_that_is_based_on_another() -> None:
    theme = parse_theme(MINE, "mine.toml", OURS)
    assert theme.colors["accent"] == "#ffd75f" and theme.title == "mine" and theme.dark
    assert theme.colors["error"] == OURS["windlass-dark"].colors["error"]


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ('name = "sixteen"\nbased_on = "sixteen"\n', 1, "is a theme of Windlass"),
        ('name = "mine"\nbased_on = "nowhere"\n', 2, "'based_on' must be one of"),
        ('name = "mine"\nbased_on = "sixteen"\n[colors]\nerror = "#ff0000"\n', 4, "as ansi_red"),
        ('name = "mine"\nbased_on = "windlass-dark"\n[colors]\nmuted = "#222222"\n', 4, "contrast"),
        ('name = "mine"\nbased_on = ["x"]\n', 2, "'based_on' must be one of"),
        ('name = "mine"\nbased_on = "sixteen"\ncolors = 3\n', 3, "[colors]"),
        ('name = "mine"\nansi = "yes"\n', 2, "'ansi' must be true or false"),
    ],
)
def test_faults_of_a_users_theme_have_their_line(text: str, line: int, told: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_theme(text, "mine.toml", OURS)
    assert any(told in fault.message and fault.line == line for fault in refused.value.faults), refused.value


def test_a_folder_of_themes_gives_the_valid_ones_and_every_fault(own: Path) -> None:
    folder = own / "themes"
    (folder / "a.toml").write_text(MINE)
    (folder / "again.toml").write_text(MINE)
    (folder / "broken.toml").write_text("name = \n")
    (folder / "large.toml").write_bytes(b"#" * (MOST_BYTES + 1))
    (folder / "latin.toml").write_bytes(b'name = "\xe9"\n')
    (folder / "folder.toml").mkdir()
    (folder / "dangling.toml").symlink_to(folder / "nowhere")
    (folder / "readme.txt").write_text("no theme")
    themes, faults = user_themes(folder, OURS)
    assert [theme.name for theme in themes] == ["mine"]
    assert len(faults) == 6 and all(str(folder) in fault.file for fault in faults)
    assert user_themes(own / "nowhere", OURS) == ([], [])


async def test_a_users_theme_is_offered_used_and_remembered(make_app: MakeApp, own: Path) -> None:
    (own / "themes" / "mine.toml").write_text(MINE)
    (own / "themes" / "broken.toml").write_text('name = "x"\n')
    app = make_app(lab.lab(), own_folder=own)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert any("left out of your own files" in told and "broken.toml" in told for told in notices(app))
        app.theme = "mine"
        await press(pilot, "j")
        await until(pilot, lambda: taste.CHOSEN.read().get("theme") == "mine")
        await press(pilot, "ctrl+b")
        await until(pilot, lambda: taste.CHOSEN.read().get("low_bandwidth") is True)
        app.go("mouse")
        await until(pilot, lambda: taste.CHOSEN.read().get("mouse") is False)
        await press(pilot, "escape", "colon", *"run 44", "enter", "o", "w")
        await until(pilot, lambda: taste.CHOSEN.read().get("wrap") is True)
    again = make_app(lab.lab(), own_folder=own)
    assert again.theme == "mine" and again.low_bandwidth and again.look.wrap and not again.mouse


async def test_a_choice_that_cannot_be_read_is_told(make_app: MakeApp, own: Path) -> None:
    taste.CHOSEN.path.parent.mkdir()
    taste.CHOSEN.path.write_text("{")
    app = make_app(lab.lab(), own_folder=own)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert any("interface.json" in told for told in notices(app))
        assert "web-rollout" in screen_text(app)
