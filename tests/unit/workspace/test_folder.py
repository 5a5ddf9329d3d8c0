"""workspace.yaml: read whole, every fault with its place; and where everything lies."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.errors import InputError, WorkspaceNewer
from core.workspace import settings as module
from core.workspace.folder import Workspace
from core.workspace.settings import Protection


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
                "protection: none",
                "protection: production",
                "read_only: true",
                "read_only: false",
                "read_only: yes",
                "environments: dev",
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
    quick = module.plain_settings(text)
    if quick is not None:
        assert quick == dict(module.parsed_settings(Path("/lab"), text))


def test_the_templates_are_read_without_a_parser(repository: Path) -> None:
    text = (repository / "workspaces" / "demo" / "workspace.yaml").read_text()
    assert module.plain_settings(text) is not None


# ---------------------------------------------------------------- environments, protection, what may be read

WHOLE = """\
format: 1
name: shop
environments:
  dev:
  prod: {protection: production, description: where customers buy}
labels: {team: web}
protection: none
read_only: false
allow_paths: [../shared, ~/builds, /srv/files]
allow_env: [BUILD_ID]
"""


def test_everything_a_workspace_may_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    found = load(tmp_path, WHOLE)
    assert [environment.name for environment in found.environments] == ["dev", "prod"]
    assert found.environment("prod").description == "where customers buy"
    assert found.protection_of("prod") is Protection.PRODUCTION
    assert found.protection_of("dev") is found.protection_of("") is Protection.NONE
    assert found.labels == {"team": "web"} and not found.read_only
    assert found.allow_paths == (tmp_path.parent / "shared", Path("/home/ada/builds"), Path("/srv/files"))
    assert found.allow_env == ("BUILD_ID",)
    assert found.typed_name("prod") == "shop/prod" and found.typed_name("") == "shop"


def test_which_environment_is_meant(tmp_path: Path) -> None:
    assert load(tmp_path, "name: shop\n").environment("").name == ""
    assert load(tmp_path, "name: shop\nenvironments: [dev]\n").environment("").name == "dev"
    several = load(tmp_path, "name: shop\nenvironments: [dev, prod]\n")
    with pytest.raises(InputError, match="several environments") as caught:
        several.environment("")
    assert "dev, prod" in caught.value.hint
    with pytest.raises(InputError, match="no environment 'prd'") as caught:
        several.environment("prd")
    assert caught.value.hint == "did you mean 'prod'?"


def test_the_protection_of_a_workspace_is_that_of_its_environments(tmp_path: Path) -> None:
    text = "protection: production\nenvironments: {dev: {protection: none}, prod: }\n"
    found = load(tmp_path, text)
    assert found.protection_of("prod") is found.protection_of("gone") is Protection.PRODUCTION
    assert found.protection_of("dev") is Protection.NONE


def test_the_new_keys_have_their_faults_at_once(tmp_path: Path) -> None:
    text = """\
environments: {dev: 7, "a/b": {protection: low, colour: red}}
labels: {team: [a], "x y": b}
protection: high
read_only: "yes"
allow_paths: ["/", 3]
allow_env: [A-B]
"""
    told = faults(tmp_path, text)
    assert [line.split(" ")[0] for line in told] == [
        "workspace.yaml:1:21:",
        "workspace.yaml:1:24:",
        "workspace.yaml:1:44:",
        "workspace.yaml:1:49:",
        "workspace.yaml:2:10:",
        "workspace.yaml:2:21:",
        "workspace.yaml:3:13:",
        "workspace.yaml:4:12:",
        "workspace.yaml:5:15:",
        "workspace.yaml:5:20:",
        "workspace.yaml:6:13:",
    ]
    assert "`protection` is one of none, production, not 'low'" in told[2]
    (told_of_list,) = faults(tmp_path, "environments: dev\n")
    assert "a list of names" in told_of_list
    (twice,) = faults(tmp_path, "environments: [dev, dev]\n")
    assert "named twice" in twice


def test_protection_and_read_only_need_no_parser(tmp_path: Path) -> None:
    text = "format: 1\nname: shop\nprotection: production\nread_only: true\n"
    assert module.plain_settings(text) is not None
    found = load(tmp_path, text)
    assert found.read_only and found.protection is Protection.PRODUCTION


def test_a_faulty_workspace_opens_for_its_stored_runs_only(tmp_path: Path) -> None:
    (tmp_path / "workspace.yaml").write_text("nam: shop\nread_only: true\n")
    with pytest.raises(InputError):
        Workspace.open(tmp_path)  # there is nothing to look at
    (tmp_path / ".windlass").mkdir()
    (tmp_path / ".windlass" / "state.db").write_bytes(b"")
    found = Workspace.open(tmp_path)
    assert found.broken is not None and found.broken.faults
    assert found.read_only and found.protection is Protection.PRODUCTION
    (tmp_path / "workspace.yaml").write_text("format: 99\n")
    with pytest.raises(WorkspaceNewer):
        Workspace.open(tmp_path)
