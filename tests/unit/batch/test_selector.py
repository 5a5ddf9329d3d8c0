"""Selectors: what they take, what binds closer, and what is told of those that cannot be read."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.batch.selector import SelectorError, parse_selector
from tests.unit.batch.support import INVENTORY


def taken(text: str) -> list[str]:
    selector = parse_selector(text)
    return [server.name for server in INVENTORY if selector.matches(server)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", "web-1 web-2 db-1 lb-1"),
        ("group:web", "web-1 web-2"),
        ("group:backup", "db-1"),
        ("group:none", ""),
        ("label:role=db", "db-1"),
        ("label:zone", "web-1 web-2 db-1"),
        ("label:zone=a", "web-1 db-1"),
        ("name:web-*", "web-1 web-2"),
        ("name:web-[2-9]", "web-2"),
        ("name:?b-1", "db-1 lb-1"),
        ("name:WEB-*", ""),
        ("provider:static", "db-1"),
        ("not group:web", "db-1 lb-1"),
        ("not not group:web", "web-1 web-2"),
        ("not not not group:web", "db-1 lb-1"),
        ("group:web and label:zone=a", "web-1"),
        ("group:web or group:lb", "web-1 web-2 lb-1"),
        ("not group:web and not group:db", "lb-1"),
        ("group:lb or group:web and label:zone=b", "web-2 lb-1"),
        ("(group:lb or group:web) and label:zone=b", "web-2"),
        ("not (group:lb or group:web)", "db-1"),
        ("all and not name:db-1", "web-1 web-2 lb-1"),
        ("((all))", "web-1 web-2 db-1 lb-1"),
        ("  group:web\n  or\tgroup:lb ", "web-1 web-2 lb-1"),
    ],
)
def test_what_a_selector_takes(text: str, names: str) -> None:
    assert taken(text) == names.split()


@pytest.mark.parametrize(
    ("text", "offset", "told"),
    [
        ("", 0, "the selector is empty"),
        ("  ", 0, "the selector is empty"),
        ("web", 0, "did you mean group:web or name:web?"),
        ("group:web or web", 13, "did you mean group:web or name:web?"),
        ("grp:web", 0, "known are all, group, label, name, provider"),
        ("group:", 0, "'group:' selects nothing"),
        ("label:=x", 0, "write label:key=value"),
        ("group:a group:b", 8, "join with and, or"),
        ("group:a and", 11, "the selector ends too early"),
        ("not", 3, "the selector ends too early"),
        ("and group:a", 0, "and is out of place"),
        ("group:a or and", 11, "and is out of place"),
        ("(group:a", 0, "( without )"),
        ("group:a)", 7, ") without ("),
        ("()", 1, ") is out of place"),
        ("group:a, group:b", 9, "join with and, or"),
    ],
)
def test_what_cannot_be_read(text: str, offset: int, told: str) -> None:
    with pytest.raises(SelectorError) as raised:
        parse_selector(text)
    assert told in raised.value.message
    assert raised.value.offset == offset


def test_depth_and_length_are_bounded() -> None:
    assert taken("(" * 50 + "all" + ")" * 50)
    with pytest.raises(SelectorError, match="nested deeper than 50"):
        parse_selector("(" * 60 + "all" + ")" * 60)
    with pytest.raises(SelectorError, match="at most 25000 words"):
        parse_selector("not " * 100_000 + "all")
    with pytest.raises(SelectorError, match="at most 1000 words other than names joined by or"):
        parse_selector(" or ".join(["name:*a*"] * 1001))
    assert parse_selector(" or ".join(["all"] * 500)).matches(INVENTORY[0])


def test_thousands_of_names_are_one_look_up() -> None:
    names = [f"web-{number}" for number in range(10_000)]
    selector = parse_selector(" or ".join([*(f"name:{name}" for name in names), "group:db"]))
    assert len(selector.mentions) == 10_001
    servers = [replace(INVENTORY[0], name=name, groups=()) for name in (*names, "web-10000")]
    assert [server.name for server in servers if selector.matches(server)] == names
    excluded = parse_selector("not (name:web-1 or name:web-2)")
    assert not excluded.matches(servers[1]) and excluded.matches(servers[3])


def test_what_a_selector_mentions() -> None:
    selector = parse_selector("group:web and (label:role=db or not name:x-*) or provider:p")
    assert selector.mentions == (
        ("group", "web", 0),
        ("label", "role=db", 15),
        ("name", "x-*", 36),
        ("provider", "p", 49),
    )


@given(st.text(alphabet="()andorl:groupwebnme=*- \n", max_size=60))
def test_any_text_is_a_selector_or_told_with_an_offset_in_it(text: str) -> None:
    try:
        parse_selector(text).matches(INVENTORY[0])
    except SelectorError as error:
        told = error
    else:
        return
    assert 0 <= told.offset <= len(text)
    assert told.message


TREES = st.recursive(
    st.sampled_from(["all", "group:web", "label:zone=a", "name:db-*", "provider:static"]),
    lambda inner: st.one_of(
        inner.map(lambda one: ("not", one)), st.tuples(st.sampled_from(["and", "or"]), inner, inner)
    ),
    max_leaves=12,
)


@given(TREES)
def test_written_trees_mean_what_they_say(tree: object) -> None:
    def written(node: object) -> str:
        match node:
            case ("not", inner):
                return f"not ({written(inner)})"
            case (word, left, right):
                return f"({written(left)}) {word} ({written(right)})"
        return str(node)

    def means(node: object) -> set[str]:
        everybody = {server.name for server in INVENTORY}
        match node:
            case ("not", inner):
                return everybody - means(inner)
            case ("and", left, right):
                return means(left) & means(right)
            case ("or", left, right):
                return means(left) | means(right)
        return set(taken(str(node)))

    assert set(taken(written(tree))) == means(tree)
