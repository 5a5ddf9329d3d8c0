"""Which workspace and which batch is meant, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.errors import InputError
from core.workspace.find import batch_names, find_batch, find_workspace


def make(folder: Path, *batches: str) -> Path:
    (folder / "batches").mkdir(parents=True)
    (folder / "workspace.yaml").write_text("format: 1\n")
    for name in batches:
        (folder / "batches" / f"{name}.yaml").write_text("steps: {}\n")
    return folder


# ---------------------------------------------------------------- workspaces


def test_named_goes_before_variable_goes_before_nearest(tmp_path: Path) -> None:
    named, variable, near = (make(tmp_path / name) for name in ("named", "variable", "near"))
    deep = near / "batches"
    environ = {"WINDLASS_WORKSPACE": str(variable)}
    assert find_workspace(str(named), environ=environ, cwd=deep) == named
    assert find_workspace(None, environ=environ, cwd=deep) == variable
    assert find_workspace(None, environ={}, cwd=deep) == near


def test_the_nearest_of_two_counts(tmp_path: Path) -> None:
    outer = make(tmp_path / "outer")
    inner = make(outer / "inner")
    assert find_workspace(None, environ={}, cwd=inner / "batches") == inner
    assert find_workspace(None, environ={}, cwd=outer / "batches") == outer


def test_a_relative_name_counts_from_the_working_directory(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab")
    assert find_workspace("lab", environ={}, cwd=tmp_path) == lab
    assert find_workspace("../lab", environ={}, cwd=lab) == lab


def test_nothing_found_says_where_it_looked_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        find_workspace(None, environ={}, cwd=tmp_path)
    assert str(tmp_path) in caught.value.message
    assert "windlass init" in caught.value.hint and "WINDLASS_WORKSPACE" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("missing", "does not exist"),
        ("file", "is a file"),
        ("empty", "has no workspace.yaml"),
        ("a\0b", "is no folder"),
    ],
)
def test_a_named_folder_that_is_no_workspace(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=told):
        find_workspace(name, environ={}, cwd=tmp_path)
    if "\0" not in name:  # the variable goes the same way and is named
        with pytest.raises(InputError, match="WINDLASS_WORKSPACE"):
            find_workspace(None, environ={"WINDLASS_WORKSPACE": name}, cwd=tmp_path)


def test_a_workspace_that_somebody_else_planted_is_only_taken_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = make(tmp_path / "planted")
    monkeypatch.setattr(os, "geteuid", lambda: planted.stat().st_uid + 1)
    monkeypatch.delenv("SUDO_UID", raising=False)
    if planted.stat().st_uid == 0:  # root's own files are everybody's to trust
        os.chown(planted / "workspace.yaml", 4321, -1)
    with pytest.raises(InputError, match="belongs to another user") as caught:
        find_workspace(None, environ={}, cwd=planted / "batches")
    assert f"-w {planted}" in caught.value.hint
    assert find_workspace(str(planted), environ={}, cwd=tmp_path) == planted


# ---------------------------------------------------------------- batches


def test_a_batch_by_name_and_by_path(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", "rollout")
    path = lab / "batches" / "rollout.yaml"
    assert find_batch("rollout", lab, cwd=tmp_path) == path
    assert find_batch("batches/rollout.yaml", lab, cwd=tmp_path) == path  # from the workspace
    assert find_batch("lab/batches/rollout.yaml", lab, cwd=tmp_path) == path  # from here
    assert find_batch("./rollout.yaml", lab, cwd=lab / "batches") == path
    assert find_batch(str(path), lab, cwd=tmp_path) == path
    assert find_batch("../batches/rollout.yaml", lab, cwd=lab / "batches") == path


def test_an_unknown_batch_names_a_near_one_or_those_there_are(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", "rollout", "health")
    with pytest.raises(InputError) as caught:
        find_batch("rolout", lab)
    assert caught.value.hint == "did you mean 'rollout'?"
    with pytest.raises(InputError) as caught:
        find_batch("zzz", lab)
    assert caught.value.hint == "there are: health, rollout"
    with pytest.raises(InputError) as caught:
        find_batch("any", make(tmp_path / "new"))
    assert "NAME.yaml" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "a\0b",
        "a/../../../etc/passwd",
        "/etc/passwd",
        "../outside.yaml",
        "rоllout",  # a Cyrillic o
        "ｒollout",
        "roll\u202eout",
        "rollout\u200b",
        "-rollout",
        ".hidden",
        "a b",
        "x" * 64,
    ],
)
def test_names_that_are_refused(tmp_path: Path, name: str) -> None:
    lab = make(tmp_path / "lab", "rollout")
    (tmp_path / "outside.yaml").write_text("steps: {}\n")
    with pytest.raises(InputError):
        find_batch(name, lab, cwd=lab)


def test_a_look_alike_is_named_by_its_character(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"U\+043E \(CYRILLIC SMALL LETTER O\)"):
        find_batch("rоllout", make(tmp_path / "lab", "rollout"))


@pytest.mark.parametrize("text", ["outside", "batches/outside.yaml"])
def test_a_link_out_of_the_workspace_is_not_followed(tmp_path: Path, text: str) -> None:
    lab = make(tmp_path / "lab")
    (tmp_path / "outside.yaml").write_text("steps: {}\n")
    (lab / "batches" / "outside.yaml").symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(InputError, match=r"it leads to .*outside.yaml, out of the workspace"):
        find_batch(text, lab, cwd=tmp_path)


def test_a_link_within_the_workspace_is_followed(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", "rollout")
    (lab / "batches" / "latest.yaml").symlink_to("rollout.yaml")
    assert find_batch("latest", lab) == lab / "batches" / "rollout.yaml"


def test_a_workspace_reached_through_a_link(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", "rollout")
    (tmp_path / "link").symlink_to(lab)
    assert find_batch("rollout", tmp_path / "link") == tmp_path / "link" / "batches" / "rollout.yaml"


def test_batch_names_leaves_out_what_no_name_can_reach(tmp_path: Path) -> None:
    lab = make(tmp_path / "lab", "b", "a", ".hidden", "not good")
    assert batch_names(lab / "batches") == ["a", "b"]
    assert batch_names(lab / "nowhere") == []
