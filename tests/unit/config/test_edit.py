"""Edits in place: what changes, what stays as it was to the byte, and what is refused."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.batch.yaml_source import parse
from core.config import paths
from core.config.compare import same
from core.config.edit import Sharing, append_value, set_value, unset_value
from core.errors import InputError

CORPUS = {
    path.name: path.read_bytes().decode() for path in sorted((Path(__file__).parent / "corpus").glob("*"))
}


def edit(action: str, text: str, path: str, value: Any = None, sharing: Sharing = Sharing.REFUSE) -> str:
    where = paths.parse(path)
    if action == "unset":
        return unset_value(text, "f.yaml", where, sharing).after
    change = set_value if action == "set" else append_value
    return change(text, "f.yaml", where, value, sharing).after


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        # In the place of a value, in its style where the style can hold it.
        ("a: 1  # why\nb: 2\n", "a", 3, "a: 3  # why\nb: 2\n"),
        ("a: 'x'\n", "a", "it's", "a: 'it''s'\n"),
        ('a: "x"\n', "a", 'y "z"', 'a: "y \\"z\\""\n'),
        ("a: x\n", "a", "8080", "a: '8080'\n"),
        ("a: x\n", "a", "yes # no", "a: 'yes # no'\n"),
        ("a: x\n", "a", "{{ config.b }}", "a: '{{ config.b }}'\n"),
        ("a: x\n", "a", "two\nlines", 'a: "two\\nlines"\n'),
        ("a: x\n", "a", "", "a: ''\n"),
        ("a: x\n", "a", "ä\x07", 'a: "ä\\x07"\n'),
        ("a: 'x'\n", "a", 5, "a: 5\n"),
        ("a: x\n", "a", None, "a: null\n"),
        ("a: x\n", "a", True, "a: true\n"),
        ("a: x\n", "a", 1.0, "a: 1.0\n"),
        ("a:\nb: 2\n", "a", 1, "a: 1\nb: 2\n"),
        ("a:   # none yet\nb: 2\n", "a", 1, "a: 1   # none yet\nb: 2\n"),
        ("a: &x 1\n", "a", 2, "a: &x 2\n"),
        ("a: &x\n  1\n", "a", 2, "a: &x\n  2\n"),
        ('a: "long\n  text"  # c\n', "a", "y", 'a: "y"  # c\n'),
        # Blocks of text.
        ("a: |\n    one\n    two\n\n# c\nb: 1\n", "a", "three\nfour\n", "a: |\n    three\n    four\n\n# c\nb: 1\n"),
        ("a: |\n  one\nb: 1\n", "a", "x\n\ny", "a: |-\n  x\n\n  y\nb: 1\n"),
        ("a: |\n  one\nb: 1\n", "a", "x", "a: x\nb: 1\n"),
        ("a: >-\n  one\n  two\nb: 1\n", "a", "x", "a: x\nb: 1\n"),
        ("a: |+\n  one\n\n# c\nb: 1\n", "a", 1, "a: 1\n# c\nb: 1\n"),
        # Collections.
        ("a:  # why\n  # first\n  x: 1\n  y: 2  # z\n\nb: 1\n", "a", 5, "a: 5  # why\n  # first\n\nb: 1\n"),
        ("a:\n- 1\n- 2\nb: 1\n", "a", [3], "a: [3]\nb: 1\n"),
        ("a: &w\n  x: 1\nb: 1\n", "a", {"x": 2}, "a: &w {x: 2}\nb: 1\n"),
        ("a: {x: 1, y: [1, 2]}\n", "a.y", [], "a: {x: 1, y: []}\n"),
        ("a: {x: 1}\n", "a.x", "p, q", "a: {x: 'p, q'}\n"),
        ("a: [1, {x: y}]\n", "a[1].x", "z", "a: [1, {x: z}]\n"),
        ("a:\n  - x: 1\n    y: 2\n  - x: 3\n", "a[0]", 5, "a:\n  - 5\n  - x: 3\n"),
        ("a:\n  - x: 1\n    y: 2\n", "a[0].x", 5, "a:\n  - x: 5\n    y: 2\n"),
        # New keys.
        ("a:\n    x: 1  # c\n\n# end\nb: 1\n", "a.y", 2, "a:\n    x: 1  # c\n    y: 2\n\n# end\nb: 1\n"),
        ("a: 1", "b", 2, "a: 1\nb: 2"),
        ("a: 1\r\nb: 2\r\n", "c", 3, "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("a: {x: 1}\n", "a.y", "z", "a: {x: 1, y: z}\n"),
        ("a: {}\n", "a.y", 1, "a: {y: 1}\n"),
        ("a: {x: }\n", "a.y", 1, "a: {x: , y: 1 }\n"),
        ("a: [\n  1,  # one\n]\n", "b.c.d", 1, "a: [\n  1,  # one\n]\nb:\n  c:\n    d: 1\n"),
        ("a:\nb: 1\n", "a.x.y", 1, "a:\n  x:\n    y: 1\nb: 1\n"),
        ("a: null\nb: 1\n", "a.x", 1, "a: {x: 1}\nb: 1\n"),
        ("a:\n  - x: 1\n  - x: 2\n", "a[0].y", 1, "a:\n  - x: 1\n    y: 1\n  - x: 2\n"),
        ("a: |\n  text\n\n\nb:\n  c: |+\n    keep\n\n", "b.d", 1, "a: |\n  text\n\n\nb:\n  c: |+\n    keep\n\n  d: 1\n"),
        ("", "a.b", 1, "a:\n  b: 1\n"),
        ("# only\n", "a", 1, "# only\na: 1\n"),
        ("---\n", "a", 1, "---\na: 1\n"),
        ("---\na: 1\n...\n", "b", 1, "---\na: 1\nb: 1\n...\n"),
        ("\ufeffa: 1\n", "a", 2, "\ufeffa: 2\n"),
        ("a: 1\n", 'labels["x.y: z"]', 1, "a: 1\nlabels:\n  'x.y: z': 1\n"),
        ("a: 1\n", "no", 1, "a: 1\nno: 1\n"),
        ("a: 1\n", "['12']", 1, "a: 1\n12: 1\n"),
        ("größe: 1\n", "größe", "😀", "größe: 😀\n"),
    ],
)  # fmt: skip
def test_set(before: str, path: str, value: Any, after: str) -> None:
    assert edit("set", before, path, value) == after


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ("a: 1\nb: 2  # c\nc: 3\n", "b", "a: 1\nc: 3\n"),
        ("a: 1\nb: 2", "b", "a: 1"),
        ("a: 1\r\nb: 2", "b", "a: 1"),
        ("a: 1\n# about b\nb:\n  x: |\n    t\n\n\nc: 3\n", "b", "a: 1\n# about b\n\n\nc: 3\n"),
        ("a:\n  x: 1\nb: 2\n", "a.x", "a: {}\nb: 2\n"),
        ("a: 1\n", "a", "{}\n"),
        ("a: {x: 1, y: 2, z: 3}\n", "a.y", "a: {x: 1, z: 3}\n"),
        ("a: {x: 1, y: 2}\n", "a.y", "a: {x: 1}\n"),
        ("a: {x: 1}\n", "a.x", "a: {}\n"),
        ("a:\n- 1\n- 2  # two\n- 3\n", "a[1]", "a:\n- 1\n- 3\n"),
        ("a:\n  - x: 1\n    y: 2\n  - x: 3\n", "a[0]", "a:\n  - x: 3\n"),
        ("a:\n  - x: 1\n    y: 2\n", "a[0].x", "a:\n  - y: 2\n"),
        ("a:\n  - x: 1\n    y: 2\n", "a[0].y", "a:\n  - x: 1\n"),
        ("a:\n  -\n    # one - two\n    x: 1\n  - 2\n", "a[0]", "a:\n  - 2\n"),
        ("a:\n- - 1\n  - 2\n- 3\n", "a[0][0]", "a:\n- - 2\n- 3\n"),
        ("a:\n- 1\n", "a[0]", "a: []\n"),
        ("a: [1, 2, 3]\n", "a[2]", "a: [1, 2]\n"),
        ("x: &x 1\na: *x\nb: 2\n", "a", "x: &x 1\nb: 2\n"),
    ],
)  # fmt: skip
def test_unset(before: str, path: str, after: str) -> None:
    assert edit("unset", before, path) == after


@pytest.mark.parametrize(
    ("before", "path", "value", "after"),
    [
        ("a:\n- 1  # one\n\nb: 2\n", "a", "x", "a:\n- 1  # one\n- x\n\nb: 2\n"),
        ("a:\n    -   1\n", "a", {"x": 1}, "a:\n    -   1\n    - {x: 1}\n"),
        ("a: [1]\n", "a", 2, "a: [1, 2]\n"),
        ("a: [\n  1,\n]\n", "a", 2, "a: [\n  1, 2,\n]\n"),
        ("a: []\n", "a", 2, "a: [2]\n"),
        ("a:\n", "a", 2, "a: [2]\n"),
        ("b: 1\n", "a", 2, "b: 1\na: [2]\n"),
        ("a:\n- - 1\n- 2\n", "a[0]", 3, "a:\n- - 1\n  - 3\n- 2\n"),
    ],
)  # fmt: skip
def test_append(before: str, path: str, value: Any, after: str) -> None:
    assert edit("append", before, path, value) == after


SHARED = """\
defaults: &d
  port: 80
  user: &u root
web:
  <<: *d
db: *d
who: *u
"""


@pytest.mark.parametrize(
    ("action", "path", "elsewhere"),
    [
        ("set", "defaults.port", ["web.port (2:9)", "db.port (2:9)"]),
        ("set", "web.port", ["defaults.port", "db.port"]),
        ("set", "db.port", ["defaults.port", "web.port"]),
        ("set", "who", ["defaults.user", "web.user", "db.user"]),
        ("set", "db.new", ["defaults.new", "web.new"]),
        ("unset", "web.port", ["defaults.port", "db.port"]),
        ("unset", "defaults.port", ["web.port", "db.port"]),
    ],
)
def test_shared_values_are_not_changed_by_the_way(action: str, path: str, elsewhere: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        edit(action, SHARED, path, 1)
    assert "shares its value" in caught.value.message
    told = [fault.message.removesuffix(" would change with it") for fault in caught.value.faults]
    assert told == [place.partition(" ")[0] for place in elsewhere]
    assert all(fault.line > 0 for fault in caught.value.faults)


@pytest.mark.parametrize(
    ("path", "sharing", "after"),
    [
        ("web.port", Sharing.ALL, SHARED.replace("80", "1")),
        ("db.port", Sharing.ALL, SHARED.replace("80", "1")),
        ("who", Sharing.ALL, SHARED.replace("root", "1")),
        ("web.port", Sharing.HERE, SHARED.replace("  <<: *d\n", "  <<: *d\n  port: 1\n")),
        ("who", Sharing.HERE, SHARED.replace("*u", "1")),
        ("db", Sharing.HERE, SHARED.replace("db: *d", "db: 1")),
        ("web.new", Sharing.REFUSE, SHARED.replace("  <<: *d\n", "  <<: *d\n  new: 1\n")),
    ],
)
def test_shared_values_where_it_is_said(path: str, sharing: Sharing, after: str) -> None:
    assert edit("set", SHARED, path, 1, sharing) == after


@pytest.mark.parametrize(
    ("action", "text", "path", "told"),
    [
        ("set", "a: 1\n", "a.b", "a is no mapping in f.yaml"),
        ("set", "a: [1]\n", "a[3]", "there is no a[3] in f.yaml"),
        ("set", "a: [1]\n", "a.b", "a is no mapping"),
        ("unset", "abcd: 1\n", "abcde", "did you mean abcd?"),
        ("unset", "", "a", "there is no a in f.yaml"),
        ("append", "a: 1\n", "a", "a is no list"),
        ("set", "a: &x 1\nb: *x\n", "a.c", "a is no mapping"),
        ("set", SHARED, "db.port", "shares its value"),
        ("set", "a: [1\n", "a", "f.yaml cannot be read"),
        ("set", "- 1\n", "a", "a configuration file is a mapping"),
        ("unset", "d: {v: &x 1}\nb: *x\n", "d", "cannot be changed in place"),
        ("set", "? a\n: 1\n", "b", "cannot be changed in place"),
    ],
)
def test_refused(action: str, text: str, path: str, told: str) -> None:
    sharing = Sharing.HERE if text is SHARED else Sharing.REFUSE
    with pytest.raises(InputError) as caught:
        edit(action, text, path, 1, sharing)
    assert told in str(caught.value)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 10**30])
def test_values_that_no_file_can_hold_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match="cannot be changed in place"):
        edit("set", "a: 1\n", "a", value)


def test_what_is_there_already_changes_nothing() -> None:
    assert edit("set", "a:   'x'  # c\n", "a", "x") == "a:   'x'  # c\n"
    assert edit("set", SHARED, "db.port", 80) == SHARED


# ---------------------------------------------------------------- any edit of the corpus


def every_path(data: Any, path: paths.Path = ()) -> Iterator[paths.Path]:
    children = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for part, child in children:
        yield (*path, part)
        yield from every_path(child, (*path, part))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10_000, 10_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(["x: y", "- x", "#c", "no", "null", "1e3", "a\nb\n", "  x", "x ", "'", '"', "{{ config.a }}", "&a", "*a", "!t", "%", "|", "a, b", "[", "key:", "~", "0x1f", "\tx", "<<", "---", "..."]),
    st.lists(st.one_of(st.integers(0, 9), st.text(max_size=4)), max_size=3),
    st.dictionaries(st.text(min_size=1, max_size=4), st.integers(0, 9), max_size=3),
)  # fmt: skip


def expected(before: Any, action: str, path: paths.Path, value: Any) -> Any:
    data = copy.deepcopy(before)
    around = paths.look_up(data, path[:-1])
    if action == "unset":
        del around[path[-1]]
    elif action == "set":
        around[path[-1]] = value
    else:
        around[path[-1]].append(value)
    return data


def touched(before: str, after: str) -> int:
    """How many lines of the old text are not in the new one as they were."""
    matcher = difflib.SequenceMatcher(None, before.splitlines(True), after.splitlines(True), autojunk=False)
    return sum(end - start for tag, start, end, _, _ in matcher.get_opcodes() if tag != "equal")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_edit_changes_exactly_its_path_and_no_other_line(data: st.DataObject) -> None:
    text = CORPUS[data.draw(st.sampled_from(sorted(CORPUS)))]
    before = parse(text, "f.yaml", merge_keys=True).data()
    path = data.draw(st.sampled_from(list(every_path(before))))
    there = paths.look_up(before, path)
    actions = ["set", "unset", "add"] + (["append"] if isinstance(there, list) else [])
    action = data.draw(st.sampled_from(actions))
    value = data.draw(VALUES)
    wanted = expected(before, "set" if action == "add" else action, path, value) if action != "add" else None
    if action == "add":
        key = data.draw(st.text(min_size=1, max_size=6))
        path = (*path[:-1], key)
        around = paths.look_up(before, path[:-1])
        if not isinstance(around, dict) or key in around:
            return
        wanted = copy.deepcopy(before)
        paths.look_up(wanted, path[:-1])[key] = value
    after = attempt(text, action, path, value)
    if after is None:
        anchored = "&defaults" in text
        assert anchored or not writable(path) or not writable(value)
        return
    assert same(parse(after, "f.yaml", merge_keys=True).data(), wanted)
    if "\r\n" in text:
        assert "\n" not in after.replace("\r\n", "")
    old = 0 if action in ("add", "append") else lines_of(text, there)
    assert touched(text, after) <= max(1, old)


def attempt(text: str, action: str, path: paths.Path, value: Any) -> str | None:
    """The edited text, None where the edit is refused."""
    try:
        if action == "unset":
            return unset_value(text, "f.yaml", path).after
        if action == "append":
            return append_value(text, "f.yaml", path, value).after
        return set_value(text, "f.yaml", path, value).after
    except InputError:
        return None


def writable(value: Any) -> bool:
    """False for what holds characters that YAML has no form for."""
    if isinstance(value, dict):
        return all(map(writable, [*value, *value.values()]))
    if isinstance(value, list | tuple):
        return all(map(writable, value))
    return not isinstance(value, str) or not any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


def lines_of(text: str, there: Any) -> int:
    """At most how many lines a value takes: generous, but not the file."""
    if isinstance(there, dict | list):
        return 14
    return 8 if isinstance(there, str) and len(there) > 20 else 4
