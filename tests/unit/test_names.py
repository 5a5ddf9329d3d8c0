"""Which names servers, groups and labels may have."""

from __future__ import annotations

import pytest

from core.model.names import refuse_group_name, refuse_label_key, refuse_label_value, refuse_server_name


@pytest.mark.parametrize("name", ["a", "web-1", "10.0.0.1", "A_b.c-9", "x" * 63])
def test_good_names(name: str) -> None:
    assert refuse_server_name(name) == refuse_group_name(name) == refuse_label_key(name) == ""


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "cannot be empty"),
        ("-x", "begins with a letter or a digit, not with '-'"),
        ("..", "begins with a letter or a digit, not with '.'"),
        ("a/b", "cannot hold '/'"),
        ("a b", "cannot hold a space"),
        ("a\n", "cannot hold U+000A (a control character)"),
        ("a\0", "cannot hold U+0000"),
        ("wеb", "cannot hold U+0435 (CYRILLIC SMALL LETTER IE)"),
        ("a\u202eb", "cannot hold U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        ("a$(x)", "cannot hold '$'"),
        ("x" * 64, "at most 63 characters; this one has 64"),
        ("engine", "reserved"),
        ("Engine", "reserved"),
    ],
)
def test_refused_names_say_why(name: str, why: str) -> None:
    assert why in refuse_server_name(name)


def test_a_group_may_be_called_engine() -> None:
    assert refuse_group_name("engine") == ""


@pytest.mark.parametrize("value", ["db", "a/b:c@d+e", "-", "1.2.3"])
def test_good_label_values(value: str) -> None:
    assert refuse_label_value(value) == ""


@pytest.mark.parametrize("value", ["", "a b", "a=b", '"', "é", "x" * 129])
def test_refused_label_values(value: str) -> None:
    assert refuse_label_value(value)
