"""Paths: what they may look like, and that each has one written form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config.paths import look_up, parse, show
from core.errors import InputError


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("web", ("web",)),
        ("web.port", ("web", "port")),
        ("web.max-size_2", ("web", "max-size_2")),
        ("hosts[0].name", ("hosts", 0, "name")),
        ('labels["a.b"].c', ("labels", "a.b", "c")),
        ("labels['a b']", ("labels", "a b")),
        ("['x']", ("x",)),
        ("ports.80", ("ports", "80")),
        ("größe", ("größe",)),
    ],
)
def test_read(text: str, path: tuple[str | int, ...]) -> None:
    assert parse(text) == path
    assert parse(show(path)) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a[x]",
        "a[-1]",
        "a[01]",
        "a b",
        "a]b",
        "a=b",
        'a["\\x"]',
        "a." * 60 + "b",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse(text)


@given(st.lists(st.one_of(st.text(max_size=8), st.integers(0, 9_999_999)), min_size=1, max_size=6))
def test_every_path_has_a_written_form_that_is_read_back(parts: list[str | int]) -> None:
    try:
        path = parse(show(parts))
    except InputError:
        assert any(isinstance(part, str) and not part.isprintable() for part in parts)
    else:
        assert path == tuple(parts)


def test_look_up() -> None:
    assert look_up({"a": [{"b": 1}]}, ("a", 0, "b")) == 1
    for path in (("a", 1), ("a", "b"), ("b",), ("a", 0, "b", "c")):
        with pytest.raises(KeyError):
            look_up({"a": [{"b": 1}]}, path)
