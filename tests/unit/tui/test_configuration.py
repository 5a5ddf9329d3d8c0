"""What the configuration screen makes of files, without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config.facts import no_servers
from core.config.files import Change
from core.config.tree import Layer
from core.errors import ReadOnlyWorkspace
from tui.config_text import diff_lines, effect_lines
from tui.configuration import fits, newest_in_force, read
from tui.edits import as_input, from_input, save, take_back, value_edit


def change(number: int, action: str = "set") -> Change:
    return Change(number, 0.0, "ada", action, "a", "config/base.yaml", "a: 1\n", "a: 2\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "workspace.yaml").write_text("format: 1\nname: lab\n")
    (tmp_path / "config" / "base.yaml").write_text("a: 1  # one\nb: '{{ config.a }}'\n")
    return tmp_path


@pytest.mark.parametrize(
    "value",
    ["x", "8080", "", " a ", "a: b", "- a", "# no", "~", "{{ config.a }}", "\x1b[2J\u202e", "a\nb\n", "😀\U000e0001",
     8080, 1.5, True, None, [], {}, [1, "2"], {"a": {"b: c": "\u2028"}}],
    ids=repr,
)  # fmt: skip
def test_what_the_field_is_filled_with_reads_as_the_same_value(value: Any) -> None:
    text = as_input(value)
    assert text.isprintable()
    assert from_input(text) == value


def test_the_newest_edit_that_nobody_took_back() -> None:
    assert newest_in_force([]) is None
    first, second = change(1), change(2)
    assert newest_in_force([second, first]) is second
    assert newest_in_force([change(3, "revert 2"), second, first]) is first
    assert newest_in_force([change(4, "revert 1"), change(3, "revert 2"), second, first]) is None
    assert newest_in_force([change(4, "revert 3"), change(3, "revert 2"), second, first]) is second


def test_edits_are_taken_back_one_after_the_other(folder: Path) -> None:
    base = folder / "config" / "base.yaml"
    first = base.read_text()
    for typed in ("2", "3"):
        save(folder, value_edit(folder, "", Layer.WORKSPACE, ("a",), typed, no_servers), "ada", 10)
    for expected in ("a: 2  # one", "a: 1  # one"):
        undoable = read(folder, "", no_servers).undoable
        assert undoable is not None
        take_back(folder, undoable.number, "ada", 10)
        assert base.read_text().startswith(expected)
    assert base.read_text() == first
    assert read(folder, "", no_servers).undoable is None


def test_an_effect_is_told_by_value_and_with_its_faults(folder: Path) -> None:
    seen = value_edit(folder, "", Layer.WORKSPACE, ("a",), "'{{ config.c }}'", no_servers)
    assert seen.changes == (("a", "1", "cannot be worked out"), ("b", "1", "cannot be worked out"))
    assert len(seen.effect.faults) == 1
    text = "\n".join("".join(part for part, _ in line) for line in effect_lines(seen, str))
    assert "2 values change without an environment" in text
    assert "the configuration then has 1 fault" in text
    assert any(line.startswith("-a: 1  # one") for line in seen.diff)


def test_the_same_value_is_no_edit(folder: Path) -> None:
    seen = value_edit(folder, "", Layer.WORKSPACE, ("a",), "1", no_servers)
    assert "there is nothing to save" in seen.stopped


def test_many_lines_are_counted() -> None:
    assert diff_lines(["+a"] * 20, str)[-1][0][0] == "and 8 more lines"


def test_an_edit_that_makes_the_configuration_unreadable_is_refused(folder: Path) -> None:
    seen = value_edit(folder, "", Layer.WORKSPACE, ("app", "history"), "many", no_servers)
    assert "mend them first" in seen.stopped
    assert seen.effect.faults[0].file == "config/base.yaml"


def test_a_read_only_workspace(folder: Path) -> None:
    (folder / "workspace.yaml").write_text("format: 1\nname: lab\nread_only: true\n")
    assert read(folder, "", no_servers).read_only
    with pytest.raises(ReadOnlyWorkspace):
        value_edit(folder, "", Layer.WORKSPACE, ("a",), "2", no_servers)


def test_a_filter_takes_every_word(folder: Path) -> None:
    rows = read(folder, "", no_servers).rows
    assert [row.shown for row in rows if fits(row, "A y 1")] == ["app.history"]
