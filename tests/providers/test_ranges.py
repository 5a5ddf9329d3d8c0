"""Number ranges in names and addresses."""

from __future__ import annotations

import pytest

from providers.ranges import RangeError, expand, has_range


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("web", ["web"]),
        ("web-[1-3]", ["web-1", "web-2", "web-3"]),
        ("web-[08-11]x", ["web-08x", "web-09x", "web-10x", "web-11x"]),
        ("[9-10]", ["9", "10"]),
        ("a[5-5]", ["a5"]),
        ("10.0.0.[11-12]", ["10.0.0.11", "10.0.0.12"]),
        ("[0-1]", ["0", "1"]),
    ],
)
def test_ranges_expand(text: str, expanded: list[str]) -> None:
    assert expand(text) == expanded
    assert has_range(text) == ("[" in text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("web-[3-1]", "counts downwards"),
        ("a[1-2]b[1-2]", "2 ranges"),
        ("a[01-100]", "differ in width"),
        ("a[1-20001]", "at most 20000"),
        ("a[1-99999999999]", "too large"),
        ("a[1-x]", "is no range"),
        ("a[1-2", "is no range"),
    ],
)
def test_wrong_ranges_say_why(text: str, why: str) -> None:
    with pytest.raises(RangeError, match=why):
        expand(text)


def test_an_ipv6_address_is_no_range() -> None:
    assert expand("2001:db8::1") == ["2001:db8::1"]
