"""Pasted text is cleaned before anything sees it."""

from __future__ import annotations

import pytest

from tui.pasting import PasteGuard, cleaned


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("web-01", "web-01"),
        ("web-01\nquit\n", "web-01"),
        ("\r\n\r\n  web-01\t02  \r\nrm -rf /", "web-01 02"),
        ("a\x1b[2Jb\x07\x00c\x9b31m\x7f", "a[2Jbc31m"),
        ("al\u202eert\u200b", "alert"),
        ("\n \n", ""),
    ],
)
def test_a_field_gets_one_clean_line(pasted: str, kept: str) -> None:
    assert cleaned(pasted, one_line=True) == kept


def test_an_editor_keeps_its_lines_and_tabs() -> None:
    assert cleaned("a:\r\n\tb: 1\x1b[A\rc\n", one_line=False) == "a:\n\tb: 1[A\nc\n"


HOSTILE = "x\x1b[31mred\x1b\x1b[Cy\x1b"


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 1000])
def test_no_escape_in_a_paste_reaches_the_reader_of_keys_however_it_is_cut(pieces: int) -> None:
    data = f"ab\x1b[A{PasteGuard.BEGIN}{HOSTILE}{PasteGuard.END}q\x1b[B{PasteGuard.BEGIN}{PasteGuard.END}\x1b"
    guard = PasteGuard()
    size = -(-len(data) // pieces)
    got = "".join(guard.feed(data[at : at + size]) for at in range(0, len(data), size))
    clean = HOSTILE.replace("\x1b", "")
    assert (
        got
        == f"ab\x1b[A{PasteGuard.BEGIN}{clean}{PasteGuard.END}q\x1b[B{PasteGuard.BEGIN}{PasteGuard.END}\x1b"
    )


def test_keys_are_passed_on_at_once() -> None:
    guard = PasteGuard()
    assert [guard.feed(key) for key in ("\x1b", "[", "2", "0", "1", "~", "j")] == [
        "\x1b",
        "[",
        "2",
        "0",
        "1",
        "~",
        "j",
    ]
