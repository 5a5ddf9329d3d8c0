"""Frames that are written thin: a terminal shows the same as by Textual's own bytes, for a fraction of them."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence

import pyte
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate, InlineUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from tui.frames import Frames, Sgr

WIDTH, HEIGHT = 40, 6


def styles() -> list[Style | None]:
    """Made anew for each test: Textual keeps in each what it was first written as, whatever the colours."""
    return [
        None,
        Style(),
        Style(color="#101010", bgcolor="#fefefe"),
        Style(color="#101010", bgcolor="#203040", bold=True),
        Style(color="red", bgcolor="blue", underline=True),
        Style(color="bright_green", bgcolor="default", reverse=True, italic=True),
        Style(bgcolor="#203040", dim=True, strike=True),
    ]


TEXTS = ["a", "run", "✓ done", "━━━", "  ", "步骤", "e\u0301", "x" * 9, "12/48", "▌"]
COLOURS = ["truecolor", "256", "standard"]


class Shown:
    """A terminal that is written to, and the bytes that it took."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self._stream = pyte.Stream(self.screen)
        self.taken = 0

    def write(self, text: str) -> None:
        self.taken += len(text.encode())
        self._stream.feed(text + "\x1b[1;1H")  # as Textual leaves the cursor somewhere

    @property
    def cells(self) -> list[list[tuple[object, ...]]]:
        rows = self.screen.buffer
        return [[tuple(rows[y][x]) for x in range(WIDTH)] for y in range(HEIGHT)]


def strip_of(dice: random.Random, width: int, texts: Sequence[str] = TEXTS) -> Strip:
    known = styles()
    segments = [Segment(dice.choice(texts), dice.choice(known)) for _ in range(dice.randrange(1, 6))]
    return Strip(segments).adjust_cell_length(width, dice.choice(known))


def layout(dice: random.Random, texts: Sequence[str] = TEXTS) -> LayoutUpdate:
    at = dice.randrange(5, 30)
    strips = [[strip_of(dice, at, texts), strip_of(dice, WIDTH - at, texts)] for _ in range(HEIGHT)]
    return LayoutUpdate(strips, Region(0, 0, WIDTH, HEIGHT))  # type: ignore[arg-type]


def chops(dice: random.Random, texts: Sequence[str] = TEXTS) -> ChopsUpdate:
    """Pieces of some rows, some of them cut off in their middle and some of them hidden."""
    lines, ends, spans = [], [], []
    for y in range(HEIGHT):
        cut = dice.randrange(5, 30)
        pieces = {0: strip_of(dice, cut, texts), cut: strip_of(dice, WIDTH - cut, texts)}
        lines.append({x: piece if dice.random() < 0.9 else None for x, piece in pieces.items()})
        ends.append([cut, WIDTH])
        if dice.random() < 0.6:
            spans.append((y, dice.choice([0, 3, cut]), dice.choice([cut, WIDTH - 4, WIDTH])))
    spans = [(y, min(a, b), max(a, b)) for y, a, b in spans if a != b] or [(0, 0, WIDTH)]
    return ChopsUpdate(lines, spans, ends)


def console(colours: str) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, color_system=colours, width=WIDTH)  # type: ignore[arg-type]


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("seed", range(12))
def test_a_terminal_shows_the_same(seed: int, colours: str) -> None:
    dice = random.Random(seed)
    plain, thin, frames, out = Shown(), Shown(), Frames(), console(colours)
    # What begins inside a sign of two cells is for each terminal to decide: here texts are whole in each row.
    texts = TEXTS if seed % 2 else [text for text in TEXTS if text != "步骤"]
    for number in range(30):
        update = layout(dice, texts) if number == 0 or seed % 2 or dice.random() < 0.3 else chops(dice, texts)
        plain.write(update.render_segments(out))
        thin.write(frames.thin(update, WIDTH, HEIGHT).render_segments(out))
        assert thin.screen.display == plain.screen.display, number
        assert thin.cells == plain.cells, number
    assert thin.taken < plain.taken


def test_what_is_there_already_is_not_written_again() -> None:
    frames, out = Frames(), console("truecolor")
    first = layout(random.Random(1))
    assert frames.thin(first, WIDTH, HEIGHT).render_segments(out)
    assert frames.thin(first, WIDTH, HEIGHT).render_segments(out) == ""


def one_line(text: str, style: Style | None = None) -> LayoutUpdate:
    strip = Strip([Segment(text, style)]).adjust_cell_length(WIDTH)
    return LayoutUpdate([[strip]], Region(0, 0, WIDTH, 1))


def test_one_changed_figure_is_written_alone() -> None:
    frames, out = Frames(), console("truecolor")
    style = Style(color="#101010", bgcolor="#fefefe")
    frames.thin(one_line("run 41  12/48  3m 04s", style), WIDTH, HEIGHT).render_segments(out)
    written = frames.thin(one_line("run 41  13/48  3m 05s", style), WIDTH, HEIGHT).render_segments(out)
    colours = "\x1b[38;2;16;16;16;48;2;254;254;254m"
    assert written == f"\x1b[1;10H{colours}3\x1b[9C5\x1b[39;49m"


def test_what_lies_close_together_is_written_in_one_go() -> None:
    frames, out = Frames(), console("truecolor")
    frames.thin(one_line("abcdefgh"), WIDTH, HEIGHT).render_segments(out)
    assert frames.thin(one_line("Abcdefgh"), WIDTH, HEIGHT).render_segments(out) == "\x1b[1;1HA"
    assert frames.thin(one_line("abcDefgh"), WIDTH, HEIGHT).render_segments(out) == "\x1b[1;1HabcD"


def test_after_forgetting_or_another_size_everything_is_written() -> None:
    frames, out = Frames(), console("truecolor")
    whole = frames.thin(one_line("abc"), WIDTH, HEIGHT).render_segments(out)
    frames.forget()
    assert frames.thin(one_line("abc"), WIDTH, HEIGHT).render_segments(out) == whole
    assert "abc" in frames.thin(one_line("abc"), WIDTH + 1, HEIGHT).render_segments(out)
    assert "abc" in frames.thin(one_line("abc"), WIDTH + 1, HEIGHT).render_segments(console("256"))


def test_a_frame_that_is_never_written_is_not_counted_as_shown() -> None:
    frames, out = Frames(), console("truecolor")
    frames.thin(one_line("abc"), WIDTH, HEIGHT).render_segments(out)
    frames.thin(one_line("xyz"), WIDTH, HEIGHT)
    assert frames.thin(one_line("abc"), WIDTH, HEIGHT).render_segments(out) == ""


def test_links_are_written_as_they_are() -> None:
    frames, out = Frames(), console("truecolor")
    linked = one_line("guide", Style(link="https://windlass.example/"))
    assert "https://windlass.example/" in frames.thin(linked, WIDTH, HEIGHT).render_segments(out)
    assert frames.thin(linked, WIDTH, HEIGHT).render_segments(out) == ""


def test_an_update_of_another_kind_is_left_as_it_is_and_what_was_shown_forgotten() -> None:
    frames, out = Frames(), console("truecolor")
    frames.thin(one_line("abc"), WIDTH, HEIGHT).render_segments(out)
    other: CompositorUpdate = InlineUpdate([Strip.blank(WIDTH)])
    assert frames.thin(other, WIDTH, HEIGHT) is other
    assert "abc" in frames.thin(one_line("abc"), WIDTH, HEIGHT).render_segments(out)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("1;31;40", "1;31;40", ""),
        ("31;40", "32;40", "\x1b[32m"),
        ("1;2;31", "2;31", "\x1b[22;2m"),
        ("31", "1;31", "\x1b[1m"),
        ("7;38;2;1;2;3;48;2;4;5;6", "38;2;1;2;3;48;2;9;5;6", "\x1b[27;48;2;9;5;6m"),
        ("38;5;120", "", "\x1b[39m"),
        ("1;97", "31", "\x1b[22;31m"),
        ("10", "31", "\x1b[0;31;49m"),
    ],
)
def test_only_what_changes_of_a_style_is_told(before: str, after: str, told: str) -> None:
    assert Sgr(after).after(Sgr(before)) == told
