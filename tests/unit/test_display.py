"""The choke point between remote bytes and display text: nothing active, nothing hidden, bounded memory."""

from __future__ import annotations

import itertools
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.display import LineSplitter, display_line, display_lines, last_line

FORBIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)

hostile_text = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "\x1b\x00\r\n\t\x9b\u202e\u200b\u200d\ufe0f\ufeff\u2066\u00ad\U000e0041\u0301\u0489a [/]✔\ud800"
        ),
    )
)
hostile_bytes = st.one_of(
    st.binary(),
    hostile_text.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(
        st.sampled_from([b"\r", b"\n", b"\x1b[31m", b"\xff", b"\xe2\x82", b"ab", b" ", b"\xc3\xa9"])
    ).map(b"".join),
)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(hostile_text, st.booleans())
def test_a_line_of_text_holds_nothing_active(text: str, ascii_only: bool) -> None:
    shown = display_line(text, ascii_only=ascii_only)
    assert not FORBIDDEN.search(shown)
    if ascii_only:
        assert shown.isascii()


@given(hostile_bytes, st.booleans())
def test_lines_of_bytes_hold_nothing_active(data: bytes, ascii_only: bool) -> None:
    for line in display_lines(data, ascii_only=ascii_only):
        assert not FORBIDDEN.search(line)
        if ascii_only:
            assert line.isascii()


@given(hostile_bytes, st.lists(st.integers(0, 10_000), max_size=8))
@example(b"\0\r \r", [1002])
def test_the_cut_of_the_stream_does_not_matter(data: bytes, places: list[int]) -> None:
    splitter = LineSplitter(max_line_bytes=16)
    lines: list[str] = []
    for piece in cut(data, places):
        lines += splitter.feed(piece)
        assert not FORBIDDEN.search(splitter.pending)
    lines += splitter.finish()
    assert lines == display_lines(data, max_line_bytes=16)
    assert splitter.pending == "" and splitter.finish() == []


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"])))
def test_plain_text_is_left_alone(text: str) -> None:
    if not FORBIDDEN.search(text) and all(not unicodedata.category(char).startswith("C") for char in text):
        assert display_line(text) == text


@pytest.mark.parametrize(
    ("data", "shown", "in_ascii"),
    [
        (b"\x1b]52;c;ZXZpbA==\x07", "^[]52;c;ZXZpbA==^G", "^[]52;c;ZXZpbA==^G"),
        (b"\x1b[31mred\x1b[0m", "^[[31mred^[[0m", "^[[31mred^[[0m"),
        (b"nul\x00 del\x7f", "nul^@ del^?", "nul^@ del^?"),
        (b"\xff\xc3(", "‹ff›‹c3›(", "\\xff\\xc3("),
        (b"\xc2\x9b31m", "‹U+009B›31m", "\\u009b31m"),
        ("user\u202etxt.exe".encode(), "user‹U+202E›txt.exe", "user\\u202etxt.exe"),
        ("a\u200bb\ufeffc".encode(), "a‹U+200B›b‹U+FEFF›c", "a\\u200bb\\ufeffc"),
        (b"[/bold][red]x[/red]", "[/bold][red]x[/red]", "[/bold][red]x[/red]"),
        ("✔\ufe0f ok".encode(), "✔ ok", "\\u2714 ok"),
        ("né—".encode(), "né—", "n\\u00e9\\u2014"),
        (b"a\tb\t\tc", "a       b               c", "a       b               c"),
        ("日\tb".encode(), "日      b", "\\u65e5  b"),
        ("a\u00a0b".encode(), "a b", "a b"),
    ],
)
def test_what_it_looks_like(data: bytes, shown: str, in_ascii: str) -> None:
    assert display_line(data) == shown
    assert display_line(data, ascii_only=True) == in_ascii


def test_heaps_of_combining_marks_are_written_out() -> None:
    assert display_line("e\u0301") == "e\u0301"
    heap = display_line("Z" + "\u0300" * 50)
    assert heap.count("\u0300") == 4 and heap.count("‹U+0300›") == 46
    assert display_line("\u0301x") == "‹U+0301›x"


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a\nb", ["a", "b"]),
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"\n\n", ["", ""]),
        (b" 10%\r 50%\r100%\n", ["↵100%"]),
        (b"100%\r   \r\nnext", ["100%", "next"]),
        (b"rm -rf /\rls -l   \n", ["↵ls -l   "]),
        (b"a\r\r\rb\n", ["↵b"]),
        (b"only\r", ["only"]),
        (b"\rfirst\n", ["first"]),
    ],
)
def test_carriage_returns(data: bytes, lines: list[str]) -> None:
    assert display_lines(data) == lines
    one_by_one = LineSplitter()
    got = [line for byte in data for line in one_by_one.feed(bytes([byte]))]
    assert got + one_by_one.finish() == lines


def test_a_line_without_end_is_bounded_and_counted() -> None:
    splitter = LineSplitter(max_line_bytes=100)
    for _ in range(1000):
        assert splitter.feed(b"x" * 1000) == []
    assert splitter.pending.startswith("x" * 100) and len(splitter.pending) < 150
    (line,) = splitter.feed(b"\n")
    assert line == "x" * 100 + "… (+999900 bytes)"


def test_progress_without_end_is_bounded() -> None:
    splitter = LineSplitter(max_line_bytes=100)
    for number in range(2000):
        splitter.feed(b"\r%d%%" % number)
    assert splitter.pending == "↵1999%"


def test_the_line_in_progress_waits_for_a_whole_character() -> None:
    splitter = LineSplitter()
    splitter.feed(b"caf" + b"\xc3")
    assert splitter.pending == "caf"
    splitter.feed(b"\xa9")
    assert splitter.pending == "café"


def test_the_cut_never_goes_through_a_character() -> None:
    (line,) = display_lines("é".encode() * 100, max_line_bytes=17)
    assert line == "é" * 8 + "… (+184 bytes)"


def test_length_and_last_line() -> None:
    assert display_line("abcdef", max_chars=4) == "abc…"
    assert display_line("abcdef", max_chars=0) == ""
    assert display_line("abcdef", max_chars=5, ascii_only=True) == "ab..."
    assert last_line(b"one\ntwo\n\n  \n") == "two"
    assert last_line(b"") == ""
