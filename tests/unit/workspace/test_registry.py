"""The user's own files: which workspaces there are, which is in use, which are trusted."""

from __future__ import annotations

import json
import shutil
import stat
import threading
from pathlib import Path

import pytest

from core.errors import InputError, NotTrusted
from core.workspace import registry
from core.workspace.find import choose_workspace, find_workspace
from core.workspace.folder import Workspace
from core.workspace.trust import FILE as TRUSTED
from core.workspace.trust import check_trusted, is_trusted, trust, trust_own, untrust
from tests.unit.workspace.test_find import make


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def test_the_life_of_a_name(tmp_path: Path) -> None:
    shop, lab = make(tmp_path / "shop"), make(tmp_path / "lab")
    assert registry.entries() == []
    registry.add("shop", shop)
    registry.add("lab", lab)
    registry.use("shop")
    assert [(entry.name, entry.active) for entry in registry.entries()] == [("lab", False), ("shop", True)]
    registry.rename("shop", "store")
    assert registry.active() == registry.Entry("store", shop, True)
    assert registry.remove("store").active
    assert registry.active() is None and shop.is_dir()
    with pytest.raises(InputError, match="no workspace is registered as 'labb'") as caught:
        registry.use("labb")
    assert caught.value.hint == "did you mean 'lab'?"


def test_the_file_is_private_and_a_folder_has_one_name(tmp_path: Path) -> None:
    shop, lab = make(tmp_path / "shop"), make(tmp_path / "lab")
    registry.add("shop", shop)
    assert stat.S_IMODE(registry.FILE.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(registry.FILE.path.parent.stat().st_mode) == 0o700
    registry.add("shop", shop)  # the same again
    with pytest.raises(InputError, match="is taken by"):
        registry.add("shop", lab)
    with pytest.raises(InputError, match="registered as 'shop' already"):
        registry.add("other", shop)
    for name in ("a/b", "..", "", "sh\u043ep"):
        with pytest.raises(InputError):
            registry.add(name, lab)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 2}', "\xff", "[" * 100_000])
def test_a_file_that_cannot_be_read_is_named(content: str) -> None:
    registry.FILE.path.parent.mkdir(parents=True)
    registry.FILE.path.write_text(content, "latin-1")
    with pytest.raises(InputError, match=r"workspaces\.json"):
        registry.entries()


def test_entries_of_another_shape_are_passed_over() -> None:
    registry.FILE.path.parent.mkdir(parents=True)
    registry.FILE.path.write_text(
        json.dumps({"format": 1, "workspaces": {"a": 7, "b": "/x\0"}, "active": []})
    )
    assert registry.entries() == []


def test_two_changes_at_once_lose_nothing(tmp_path: Path) -> None:
    folders = [make(tmp_path / f"w{number}") for number in range(8)]
    threads = [threading.Thread(target=registry.add, args=(folder.name, folder)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(registry.entries()) == 8


# ---------------------------------------------------------------- which workspace is meant


def test_the_order_of_choosing(tmp_path: Path) -> None:
    named, variable, near, used = (make(tmp_path / name) for name in ("named", "variable", "near", "used"))
    registry.add("shop", named)
    registry.add("used", used)
    registry.use("used")
    environ = {"WINDLASS_WORKSPACE": "variable"}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert find_workspace("shop", environ=environ, cwd=near) == named
    assert find_workspace(None, environ={"WINDLASS_WORKSPACE": "shop"}, cwd=near) == named
    chosen = choose_workspace(None, environ=environ, cwd=tmp_path)
    assert (chosen.path, chosen.why) == (variable, "WINDLASS_WORKSPACE says so")
    assert choose_workspace(None, environ={}, cwd=near).why == ""
    deep = choose_workspace(None, environ={}, cwd=near / "batches")
    assert deep.path == near and "nearest" in deep.why
    chosen = choose_workspace(None, environ={}, cwd=elsewhere)
    assert chosen.path == used and "'used' is in use" in chosen.why


def test_a_folder_goes_before_a_name(tmp_path: Path) -> None:
    registry.add("shop", make(tmp_path / "elsewhere"))
    here = make(tmp_path / "shop")
    assert find_workspace("shop", environ={}, cwd=tmp_path) == here


def test_a_registered_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    shop = make(tmp_path / "shop")
    registry.add("store", shop)
    registry.use("store")
    shutil.rmtree(shop)
    for given in ("store", None):
        with pytest.raises(InputError, match="no workspace") as caught:
            find_workspace(given, environ={}, cwd=tmp_path)
        assert "windlass workspace remove store" in caught.value.hint


# ---------------------------------------------------------------- trust


def test_trust_is_given_and_taken_back(tmp_path: Path) -> None:
    workspace = Workspace.load(make(tmp_path / "shop"))
    assert not is_trusted(workspace)
    with pytest.raises(NotTrusted) as caught:
        check_trusted(workspace, "servers.yaml:3: a program")
    assert "windlass workspace trust" in caught.value.hint
    trust(workspace)
    assert is_trusted(workspace)
    check_trusted(workspace, "it")
    assert stat.S_IMODE(TRUSTED.path.stat().st_mode) == 0o600
    assert untrust(workspace) and not untrust(workspace)
    assert not is_trusted(workspace)


def test_trust_does_not_travel(tmp_path: Path) -> None:
    shop = make(tmp_path / "shop")
    trust(Workspace.load(shop))
    shutil.copytree(shop, tmp_path / "copy")
    assert not is_trusted(Workspace.load(tmp_path / "copy"))
    # Another workspace in the place of the trusted one, with the state of the old one copied along.
    shop.rename(tmp_path / "old")
    shutil.copytree(tmp_path / "old", shop)
    assert not is_trusted(Workspace.load(shop))
    # The same folder by another name of it is the same.
    shutil.rmtree(shop)
    (tmp_path / "old").rename(shop)
    (tmp_path / "link").symlink_to(shop)
    assert is_trusted(Workspace.load(tmp_path / "link"))


def test_trust_of_a_strange_file_grants_nothing(tmp_path: Path) -> None:
    workspace = Workspace.load(make(tmp_path / "shop"))
    workspace.make_state_dir()
    TRUSTED.path.parent.mkdir(parents=True)
    for entry in (True, {}, {"machine": "", "inode": 1, "born": ""}, {"inode": "x"}):
        content = {"format": 1, "workspaces": {str(workspace.path): entry}}
        TRUSTED.path.write_text(json.dumps(content))
        assert not is_trusted(workspace)


def test_where_the_users_own_folder_cannot_be_written(tmp_path: Path) -> None:
    workspace = Workspace.load(make(tmp_path / "shop"))
    (tmp_path / "data").write_text("a file is in the way")
    assert "cannot be read" in trust_own(workspace.path)
    with pytest.raises(InputError):
        registry.add("shop", workspace.path)
