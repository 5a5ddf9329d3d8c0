"""workspace.yaml: read whole, every fault with its place; and where everything lies."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InputError
from core.workspace import folder as module
from core.workspace.folder import Workspace


def load(tmp_path: Path, text: str | bytes) -> Workspace:
    data = text.encode() if isinstance(text, str) else text
    (tmp_path / "workspace.yaml").write_bytes(data)
    return Workspace.load(tmp_path)


def faults(tmp_path: Path, text: str | bytes) -> list[str]:
    with pytest.raises(InputError) as caught:
        load(tmp_path, text)
    return [str(fault) for fault in caught.value.faults]


def test_settings_and_paths(tmp_path: Path) -> None:
    found = load(tmp_path, 'format: 1\nname: "lab-7"\ndescription: |\n  two\n  lines\n')
    assert (found.name, found.description, found.format) == ("lab-7", "two\nlines\n", 1)
    assert found.path == tmp_path
    assert found.servers_dir == tmp_path / "servers"
    assert found.batches_dir == tmp_path / "batches"
    assert found.files_dir == tmp_path / "files"
    assert found.database == tmp_path / ".windlass" / "state.db"
    assert found.known_hosts == tmp_path / ".windlass" / "known_hosts"
    assert not found.state_dir.exists()  # reading makes nothing


def test_the_name_is_the_folders_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    assert load(tmp_path / "shop", "format: 1\n").name == "shop"


def test_the_state_folder_is_made_private(tmp_path: Path) -> None:
    found = load(tmp_path, "format: 1\n")
    assert found.make_state_dir() == found.state_dir
    assert stat.S_IMODE(found.state_dir.stat().st_mode) == 0o700
    found.state_dir.chmod(0o755)
    found.make_state_dir()
    assert stat.S_IMODE(found.state_dir.stat().st_mode) == 0o700


def test_a_state_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".windlass").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="symbolic link"):
        load(tmp_path, "format: 1\n").make_state_dir()


def test_every_fault_at_once_with_its_place(tmp_path: Path) -> None:
    assert faults(tmp_path, "format: one\nnam: lab\nname: 7\ndescription: [a]\n") == [
        "workspace.yaml:1:9: `format` is a whole number from 1, not 'one'",
        "workspace.yaml:2:1: unknown key 'nam'; did you mean 'name'?",
        "workspace.yaml:3:7: `name` is text: quote it",
        "workspace.yaml:4:1: `description` is text: quote it",
    ]


def test_a_newer_format_is_refused_with_both_named(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, "format: 2\nname: lab\n")
    assert told == (
        "workspace.yaml:1:9: the workspace has format 2; this Windlass reads up to format 1 "
        "(open it with a newer Windlass)"
    )


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("format: true\n", "1:9", "whole number"),
        ("format: 0\n", "1:9", "whole number"),
        ("name: a/b\n", "1:7", "cannot hold '/'"),
        ("name: ..\n", "1:7", "begins with a letter or a digit"),
        ("name: l\u0430b\n", "1:7", "U+0430"),
        ('description: "\\e[31mred"\n', "1:14", "printable"),
        ("- a\n", "1:1", "is a mapping"),
        ("name: lab\nname: lab\n", "2:1", "name"),
        ("name: !!python/object:os.system x\n", "1:7", "tag"),
        ("name: [unclosed\n", "", "not YAML"),
        ("", "1:1", "empty"),
        (b"name: caf\xe9\n", "1:10", "not UTF-8"),
    ],
)
def test_one_fault(tmp_path: Path, text: str | bytes, place: str, told: str) -> None:
    (first, *_) = faults(tmp_path, text)
    assert first.startswith(f"workspace.yaml:{place}")
    assert told in first


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    (told,) = faults(tmp_path, "description: " + "x" * module.MAX_SETTINGS_BYTES + "\n")
    assert "bytes" in told


def test_a_missing_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        Workspace.load(tmp_path)
    assert "workspace.yaml" in caught.value.message and "windlass init" in caught.value.hint


# What is read without a YAML parser is what a parser reads.

PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "format: 1",
                "format: 01",
                "format: 1 ",
                "name: lab",
                "name: null",
                "name: True",
                "name: no",
                "name:  lab",
                "name: lab # said",
                "description: Twelve servers, and more (small)",
                "description: a: b",
                "description: a #b",
                "description: 'quoted'",
                "# a comment",
                "",
                "  indented",
                "name",
                "name: ",
                "other: x",
                "---",
            ]
        ),
        st.builds("description: {}".format, st.text(max_size=20)),
        st.builds("name: {}".format, st.text(max_size=10)),
    ),
    max_size=5,
)


@given(PIECES)
@example(["description: x", "---", "name: y"])
@example(["description: x\rname: y"])
@example(["description: a - b"])
@example(["description: - b"])
def test_the_quick_reading_agrees_with_the_parser(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    quick = module._plain_settings(text)
    if quick is not None:
        assert quick == dict(module._parsed(Path("/lab"), text))


def test_the_templates_are_read_without_a_parser(repository: Path) -> None:
    text = (repository / "workspaces" / "demo" / "workspace.yaml").read_text()
    assert module._plain_settings(text) is not None
