"""Workspaces made from templates: the copy is whole, private where it must be, and refuses what is in the way."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core.errors import InputError
from core.workspace.find import batch_names
from core.workspace.folder import Workspace
from core.workspace.template import create_workspace, templates


def test_the_templates_that_are_shipped() -> None:
    assert templates() == ["demo", "empty"]


@pytest.mark.parametrize("name", ["demo", "empty"])
def test_a_copy_is_a_workspace_that_its_owner_may_write(tmp_path: Path, name: str) -> None:
    target = tmp_path / "deep" / "shop"
    made = create_workspace(target, name)
    assert {"workspace.yaml", ".gitignore"} <= set(made)
    assert all((target / file).is_file() and os.access(target / file, os.W_OK) for file in made)
    assert Workspace.load(target).name == "shop"
    assert batch_names(target / "batches")
    assert stat.S_IMODE((target / ".windlass").stat().st_mode) == 0o700
    assert ".windlass/" in (target / ".gitignore").read_text()
    assert not list(target.rglob("__pycache__"))


def test_the_files_are_those_of_the_template(tmp_path: Path, repository: Path) -> None:
    create_workspace(tmp_path / "demo", "demo")
    source = repository / "workspaces" / "demo"
    for path in source.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (tmp_path / "demo" / path.relative_to(source)).read_bytes() == path.read_bytes()


def test_an_existing_empty_folder_is_filled(tmp_path: Path) -> None:
    inode = tmp_path.stat().st_ino
    create_workspace(tmp_path, "empty")
    assert tmp_path.stat().st_ino == inode  # a shell that stands in it still does


@pytest.mark.parametrize(
    ("folder", "line"),
    [
        ("lab", "name: lab"),
        ("2026", 'name: "2026"'),
        ("true", 'name: "true"'),
        ("1e3", 'name: "1e3"'),
        ("has space", None),
        ("l\u0430b", None),
    ],
)
def test_the_workspace_is_named_after_its_folder(tmp_path: Path, folder: str, line: str | None) -> None:
    create_workspace(tmp_path / folder, "empty")
    found = Workspace.load(tmp_path / folder)
    assert found.name == (folder if line else "empty")
    if line:
        assert line in (tmp_path / folder / "workspace.yaml").read_text().splitlines()


def test_what_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        create_workspace(tmp_path, "demo")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    create_workspace(tmp_path / "lab", "empty")
    with pytest.raises(InputError, match="is a workspace already"):
        create_workspace(tmp_path / "lab", "empty")
    with pytest.raises(InputError, match="is a file"):
        create_workspace(tmp_path / "notes.txt", "empty")


def test_an_unknown_template_names_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        create_workspace(tmp_path / "lab", "dmeo")
    assert caught.value.hint == "did you mean 'demo'?"
    assert not (tmp_path / "lab").exists()
    for name in ("../demo", "/etc", "demo/batches", "..", ""):
        with pytest.raises(InputError, match="no template"):
            create_workspace(tmp_path / "lab", name)


@pytest.mark.parametrize("existed", [True, False])
def test_a_copy_that_fails_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, existed: bool
) -> None:
    target = tmp_path / "lab"
    if existed:
        target.mkdir()
    write_text = Path.write_text

    def full(path: Path, *args: object, **kwargs: object) -> int:
        if path.name == "workspace.yaml":
            raise OSError(28, "No space left on device", str(path))
        return write_text(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(InputError, match="No space left"):
        create_workspace(target, "demo")
    assert target.exists() is existed
    assert not existed or list(target.iterdir()) == []
