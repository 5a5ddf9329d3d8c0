"""Themes are data, and every one of them is legible."""

from __future__ import annotations

from importlib import resources

import pytest

from core.errors import InputError
from themes.load import DEFAULT_THEME, contrast, load_themes, parse_theme

GOOD = resources.files("themes").joinpath("windlass-dark.toml").read_text(encoding="utf-8")


def test_the_themes_that_ship() -> None:
    themes = load_themes()
    assert themes[0].name == DEFAULT_THEME
    assert {theme.name for theme in themes} == {
        "windlass-dark",
        "windlass-light",
        "high-contrast",
        "colour-blind",
        "sixteen",
        "monochrome",
    }
    strong = next(theme for theme in themes if theme.name == "high-contrast")
    for role in ("foreground", "muted", "accent", "success", "warning", "error"):
        assert contrast(strong.colors[role], strong.colors["background"]) >= 7


def test_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == pytest.approx(1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('error = "#f47a72"', 'error = "red"', "'error' must be given as #rrggbb"),
        ('error = "#f47a72"', "", "'error' must be given"),
        ('error = "#f47a72"', 'error = "#202020"', "'error' on 'background' has a contrast of"),
        ('name = "windlass-dark"', 'name = "../x"', "'name' must be lower-case"),
        ("dark = true", 'dark = "yes"', "'dark' must be true or false"),
        ("dark = true", "dark = true\nsize = 3", "unknown key 'size'"),
        ('mark = "#2d4460"', 'mark = "#2d4460"\nmurk = "#000000"', "unknown colour 'murk'"),
        ("[colors]", "[colours]", "unknown key 'colours'"),
        ("dark = true", "dark = tru", "no valid TOML"),
    ],
)
def test_faults_are_named_with_their_line(old: str, new: str, message: str) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new)
    first = new.splitlines()[-1] if new else ""
    line = text.splitlines().index(first) + 1 if first else 0
    with pytest.raises(InputError) as caught:
        parse_theme(text, "mine.toml")
    assert any(message in fault.message and fault.line == line for fault in caught.value.faults), caught.value
    assert all(fault.file == "mine.toml" for fault in caught.value.faults)


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_theme('name = 3\n[colors]\nerror = "red"\n', "mine.toml")
    assert len(caught.value.faults) > 15
