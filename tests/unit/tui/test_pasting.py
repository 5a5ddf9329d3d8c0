"""Pasted text is cleaned before anything sees it."""

from __future__ import annotations

import pytest

from tui.pasting import cleaned


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
