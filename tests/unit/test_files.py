"""Small file helpers: private folders, and files that are either the old ones or the new ones."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core.errors import InputError
from core.files import private_folder, write_atomically


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_private_folder_is_made_and_tightened(tmp_path: Path) -> None:
    made = private_folder(tmp_path / "a" / "b")
    assert made.is_dir() and mode(made) == 0o700
    made.chmod(0o755)
    assert mode(private_folder(made)) == 0o700


def test_a_folder_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(InputError, match="symbolic link"):
        private_folder(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, -1)
    with pytest.raises(InputError, match="another user"):
        private_folder(folder)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"one")
    first = path.stat().st_ino
    assert path.read_bytes() == b"one" and mode(path) == 0o600
    write_atomically(path, b"two", mode=0o644)
    assert path.read_bytes() == b"two" and mode(path) == 0o644
    assert path.stat().st_ino != first, "never written in place"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"mine")
    path = tmp_path / "file"
    path.symlink_to(target)
    write_atomically(path, b"new")
    assert target.read_bytes() == b"mine"
    assert not path.is_symlink() and path.read_bytes() == b"new"


def test_f15_the_old_file_stays_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fails(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"], "nothing half written is left"
