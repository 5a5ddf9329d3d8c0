"""YAML as batches are read: positions, what is refused, caps, and how plain scalars are understood."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.batch.load import load_batch_file
from core.batch.yaml_source import Limits, parse
from core.errors import InputError
from tests.unit.batch.support import faults, load, only

FINE = "steps:\n  one:\n    run: echo\n"


def data(text: str) -> object:
    return parse(text, "f.yaml").data()


def refused(text: str, limits: Limits | None = None) -> str:
    with pytest.raises(InputError) as raised:
        parse(text, "f.yaml", limits)
    return "\n".join(str(fault).removeprefix("f.yaml:") for fault in raised.value.faults)


# ---------------------------------------------------------------- positions


def test_a_part_stands_where_its_value_does_or_its_key_where_the_value_is_a_collection() -> None:
    loaded = load(
        """\
        # a comment
        steps:
          page:
            on:   group:web
            upload: {from: a.html,
                     to: b.html}
            needs:
              - {step: other, kind: optional}
        """
    )
    assert loaded.at("steps") == (2, 1)
    assert loaded.at("steps", "page") == (3, 3)
    assert loaded.at("steps", "page", "on") == (4, 11)
    assert loaded.at("steps", "page", "upload") == (5, 5)
    assert loaded.at("steps", "page", "upload", "to") == (6, 18)
    assert loaded.at("steps", "page", "needs", 0) == (8, 9)
    assert loaded.at("steps", "page", "needs", 0, "step") == (8, 16)


def test_a_part_that_is_not_there_stands_where_the_nearest_around_it_does() -> None:
    loaded = load("steps:\n  one:\n    check: test -d x\n    run: echo\n")
    assert loaded.at("steps", "one", "check", "run") == (3, 12)
    assert loaded.at("steps", "one", "timeout") == (2, 3)
    assert loaded.at("steps", "two") == (1, 1)
    assert loaded.at("params") == (1, 1)


def test_positions_within_an_alias_are_those_of_what_it_stands_for() -> None:
    loaded = load("steps:\n  one: &body\n    run: echo\n    needs: []\n  two: *body\n")
    assert loaded.at("steps", "two", "run") == (3, 10)
    assert loaded.at("steps", "two") == (5, 3)
    assert loaded.batch.steps["two"].run == "echo"
    assert (loaded.batch.steps["one"].name, loaded.batch.steps["two"].name) == ("one", "two")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_byte_order_mark_and_windows_newlines_change_no_position(newline: str, mark: str) -> None:
    text = mark + "name: x\nsteps:\n  one:\n    run: |\n      a\n      b\n    rnu: c\n".replace("\n", newline)
    assert only(text).startswith("7:5: unknown key 'rnu'")
    assert load(text.replace(f"    rnu: c{newline}", "")).batch.steps["one"].run == "a\nb\n"


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps:\n  one:\n    run: a\n    run: b\n", "4:5: key 'run' is here twice (first at 3:5)"),
        ("steps:\n  one: {run: a}\n  one: {run: b}\n", "3:3: key 'one' is here twice (first at 2:3)"),
        ("steps:\n  one: !!python/object:os.system {run: a}\n", "2:8: tags are not allowed"),
        ("steps:\n  one: !mine {run: a}\n", "2:8: tags are not allowed: !mine"),
        ("steps:\n  one: {run: !!str 1}\n", "2:14: tags are not allowed"),
        ("a: &a {run: x}\nsteps:\n  one:\n    <<: *a\n", "4:5: merge keys (<<) are not allowed"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document"),
        ("a: &a [1, *a]\n", "1:11: alias *a is inside what it stands for"),
        ("a: *b\n", "1:4: alias *b has no anchor before it"),
        ("&a x: 1\n*a : 2\n", "2:1: an alias cannot be a key"),
        ("", "1:1: the document is empty"),
        ("# nothing\n", "1:1: the document is empty"),
    ],
)
def test_what_a_document_may_not_hold(text: str, told: str) -> None:
    assert told in refused(text)


def test_several_faults_of_form_are_told_at_once() -> None:
    told = refused("a: 1\na: 2\nb: !x y\nc: {d: 1, d: 2}\n").splitlines()
    assert [line.split(": ")[0] for line in told] == ["2:1", "3:4", "4:11"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("steps:\n\tone:\n", "2:1: not YAML: "),
        ("steps:\n  one:\n    run: a: b\n", "3:11: not YAML: mapping values are not allowed here"),
        ("steps:\n  one: [a, b\n", "3:1: not YAML: "),
        ("steps:\n  one: 'a\n", "3:1: not YAML: "),
        ("steps:\n  one:\n    run: x\n   check: y\n", "4:4: not YAML: "),
        ("a: %b\n", "1:4: not YAML: "),
        ("a: b\x07c\n", "1:5: not YAML: "),
        ("a: b\0c\n", "1:5: not YAML: "),
    ],
)
def test_what_is_no_yaml_is_told_with_its_place(text: str, told: str) -> None:
    assert refused(text).startswith(told)


def test_tabs_colons_and_braces_get_a_hint() -> None:
    assert "never with tabs" in refused("steps:\n\tone:\n")
    assert "must be quoted" in refused("a: b: c\n")
    assert "must be quoted" in refused("steps:\n  one:\n    run: {{ x }} and more\n") or "quoted" in refused(
        "steps:\n  one:\n    run: {{ x }} and more\n"
    )


@pytest.mark.parametrize(
    ("line", "quoted"),
    [
        ("run: {{ params.x }}", "run: '{{ params.x }}'"),
        ("- {{ params.x }}", "- '{{ params.x }}'"),
    ],
)
def test_braces_without_quotes_are_told_with_the_line_quoted(line: str, quoted: str) -> None:
    told = refused(f"a:\n  {line}\n")
    assert told.startswith("2:")
    assert "{{ … }} without quotes is a mapping to YAML" in told
    assert "{{ params.x }}'" in told.partition("write it quoted: ")[2] or quoted in told


# ---------------------------------------------------------------- caps


def laughs(levels: int, each: int) -> str:
    lines = ["a0: &a0 lol"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * each)}]")
    return "\n".join(lines) + "\n"


def test_a_billion_laughs_are_counted_before_anybody_walks_them() -> None:
    assert "expands to more than 1000000 nodes" in refused(laughs(10, 9))


def test_what_aliases_stand_for_counts() -> None:
    limits = Limits(nodes=20)
    assert parse("a: &a [1, 2, 3, 4]\nb: *a\n", "f.yaml", limits).data() == {
        "a": [1, 2, 3, 4],
        "b": [1, 2, 3, 4],
    }
    assert "expands to more than 20 nodes" in refused("a: &a [1, 2, 3, 4]\nb: *a\nc: *a\nd: *a\n", limits)


def test_at_most_a_hundred_aliases() -> None:
    assert data("a: &a 1\nb: [" + "*a, " * 100 + "]\n")
    assert refused("a: &a 1\nb: [" + "*a, " * 101 + "]\n").endswith("more than 100 aliases")


def test_at_most_fifty_levels() -> None:
    assert data("[" * 50 + "]" * 50)
    assert "1:51: nested deeper than 50 levels" in refused("[" * 51 + "]" * 51)
    assert "nested deeper than 50 levels" in refused("[" * 100_000)
    assert "nested deeper than 50 levels" in refused("".join(f"{' ' * depth}a:\n" for depth in range(60)))


def test_at_most_so_many_bytes_not_characters() -> None:
    assert "more than 40 bytes" in refused("a: " + "ä" * 20, Limits(max_bytes=40))
    assert data("a: " + "ä" * 4)


# ---------------------------------------------------------------- plain scalars


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("NO", "NO"),
        ("true", True), ("False", False), ("TRUE", True), ("tRUE", "tRUE"),
        ("null", None), ("~", None), ("", None), ("None", "None"),
        ("012", 12), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("+3", 3), ("-3", -3),
        ("12:30:45", "12:30:45"), ("2024-01-02", "2024-01-02"), ("1.10", 1.1), ("1e3", 1000.0), (".5", 0.5),
        ("1.2.3", "1.2.3"), ("-", "-"), (".", "."), ("=", "="),
        ("'no'", "no"), ('"1"', "1"), ("|\n  x\n", "x\n"), ("'~'", "~"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_yaml_1_2(written: str, read: object) -> None:
    if written == "-":
        written = "'-'"
    found = data(f"k: {written}\n")
    assert found == {"k": read}
    assert isinstance(found, dict) and type(found["k"]) is type(read)


def test_keys_are_names_whatever_they_look_like() -> None:
    assert data("1: a\ntrue: b\non: c\n~: d\n") == {"1": "a", "true": "b", "on": "c", "~": "d"}


def test_no_digits_are_too_many() -> None:
    assert data("k: " + "9" * 10_000 + "\n") is not None
    assert faults(FINE + "    parallel: " + "9" * 10_000 + "\n")


# ---------------------------------------------------------------- files


def test_a_file_is_loaded_with_its_path_in_faults(tmp_path: Path) -> None:
    path = tmp_path / "release.yaml"
    path.write_text(FINE)
    loaded = load_batch_file(path)
    assert (loaded.file, loaded.batch.name, loaded.text) == (str(path), "release", FINE)
    path.write_text(FINE + "    rnu: x\n")
    with pytest.raises(InputError) as raised:
        load_batch_file(path)
    assert raised.value.faults[0].file == str(path)


def test_bytes_that_are_no_utf_8_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"steps:\n  one:\n    run: caf\xe9\n")
    with pytest.raises(InputError) as raised:
        load_batch_file(path)
    (fault,) = raised.value.faults
    assert (fault.line, fault.column, fault.message) == (3, 13, "byte 0xe9 is not UTF-8")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_batch_file(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="not a regular file"):
        load_batch_file(Path("/dev/zero"))


def test_a_named_pipe_without_a_writer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match="not a regular file"):
        load_batch_file(tmp_path / "pipe.yaml")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 34)  # sparse: reading all of it would take the memory of the machine
    with pytest.raises(InputError, match="more than 8388608 bytes"):
        load_batch_file(path)
