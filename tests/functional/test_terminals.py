"""Poor terminals: ASCII only, no colours, tiny, resized without end."""

from __future__ import annotations

import pytest
from textual.geometry import Size

from tests.functional import lab
from tests.functional.conftest import MakeApp
from tests.functional.steps import press, screen_text, settle, until
from themes.load import load_themes
from tui.app import WindlassApp

WALKS = (
    (),
    ("b",),
    ("b", "j"),
    ("enter",),
    ("enter", "d"),
    ("enter", "d", "enter"),
    ("j", "enter"),
    ("j", "enter", "C"),
    ("j", "enter", "o"),
    ("i",),
    ("i", "slash"),
    ("i", "G", "T"),
    ("q",),
    ("question_mark",),
)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: " ".join(walk) or "dashboard")
async def test_nothing_but_ascii_where_the_terminal_has_no_more(
    make_app: MakeApp, walk: tuple[str, ...]
) -> None:
    app = make_app(lab.lab(), ascii_only=True)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *walk)
        app.screen.say("a notice — of ours… with signs ✓")
        await settle(pilot)
        text = screen_text(app)
        assert text.isascii(), {char for char in text if not char.isascii()}


async def test_no_colour_where_none_is_wanted(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "j", "enter")
        text = screen_text(app)
        # Signs and words carry what colours did; the cursor has a mark of its own.
        assert "✗" in text or "▶ running" in text
        assert "▌web-05" in text
        for strip in app.screen._compositor.render_strips():
            for segment in strip.apply_filter(app._filters[-1], app.screen.background_colors[0]):
                style = segment.style
                assert style is None or style.color is None or style.color.is_default
                assert style is None or style.bgcolor is None or style.bgcolor.is_default


async def test_a_dumb_terminal_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    app = WindlassApp(lab.lab(), actor="ada")
    assert app.look.ascii_only
    assert type(app._filters[-1]).__name__ == "NoColor"


@pytest.mark.long
async def test_resizing_without_end(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(120, 40)) as pilot:
        for walk in (
            (),
            ("enter",),
            ("d",),
            ("escape", "C"),
            ("escape", "question_mark"),
            ("escape", "q", "b"),
        ):
            await press(pilot, *walk)
            focused = app.screen.focused
            for size in ((20, 5), (1, 1), (200, 60), (40, 12), (0, 0), (99, 29), (3, 80), (300, 2), (80, 24)):
                app.post_message(_resize(size))
                await pilot.pause()
            await pilot.resize_terminal(120, 40)
            await settle(pilot)
            await until(pilot, lambda focused=focused: app.screen.focused is focused, "the focus it had")
        assert "Start a batch" in screen_text(app)


def _resize(size: tuple[int, int]):
    from textual.events import Resize

    return Resize(Size(*size), Size(*size))


@pytest.mark.parametrize("theme", [theme.name for theme in load_themes()])
async def test_every_theme_draws_every_screen(make_app: MakeApp, theme: str) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.theme = theme
        await press(pilot, "enter", "d", "escape", "q", "b", "escape", "i")
        assert app.look.paint.color("error") is not None


async def test_a_theme_of_textual_can_be_chosen_too(make_app: MakeApp) -> None:
    app = make_app(lab.lab())
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        app.theme = "nord"
        await press(pilot, "enter")
        assert "waiting for a person" in screen_text(app)
