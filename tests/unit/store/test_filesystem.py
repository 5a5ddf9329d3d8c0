"""Which file systems are trusted with a database: local ones, silently; network ones never."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from core.errors import StoreError
from core.store import filesystem
from core.store.filesystem import file_system, refuse_network
from core.store.store import Store


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph"])
async def test_f11_a_network_file_system_is_refused(
    database: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "file_system", lambda folder: kind)
    with pytest.raises(StoreError, match=rf"network file system \({kind}\)") as caught:
        await Store.open(database)
    assert "local disk" in caught.value.hint
    assert not database.exists()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("ext4", ""),
        ("xfs", ""),
        ("btrfs", ""),
        ("tmpfs", ""),
        ("overlay", ""),
        ("apfs", ""),
        ("fuse.gocryptfs", ""),
        ("9p", "another machine"),
        ("virtiofs", "another machine"),
        ("fuse.something-new", "another machine"),
        ("", "cannot be told"),
    ],
)
async def test_f11_where_it_cannot_be_told_there_is_a_warning(
    database: Path, kind: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filesystem, "file_system", lambda folder: kind)
    store = await Store.open(database)
    await store.close()
    if told:
        assert len(store.notices) == 1 and told in store.notices[0]
    else:
        assert store.notices == ()


def test_the_file_system_of_a_folder_is_told(tmp_path: Path) -> None:
    """The real look, on what this machine has: no test machine keeps its temporary files on a network."""
    assert refuse_network(tmp_path) == ""
    if Path("/proc/self/mountinfo").exists():
        assert file_system(Path("/proc/self")) == "proc"
    assert file_system(tmp_path.resolve()) not in ("", "proc")


def test_mounts_are_read_as_the_kernel_writes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw",
        "30 27 0:40 / /srv/with\\040blank rw shared:2 master:1 - nfs4 nas:/x rw",
        "31 30 0:41 / /srv/with\\040blank/local rw - tmpfs tmpfs rw",
        "32 27 0:42 / /srv/two rw - nfs nas:/y rw",
        "33 32 0:43 / /srv/two rw - xfs /dev/vdb rw",
        "nonsense",
    ]
    found = [mount for line in lines if (mount := filesystem._mountinfo(line))]
    monkeypatch.setattr(filesystem, "_mounts", lambda: found)
    assert file_system(Path("/srv")) == "ext4"
    assert file_system(Path("/srv/with blank/a/b")) == "nfs4"
    assert file_system(Path("/srv/with blank/local/a")) == "tmpfs"
    assert file_system(Path("/srv/two/a")) == "xfs", "the later mount lies on top"


def test_the_mounts_of_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "//ada@nas/share on /Volumes/my share (smbfs, nodev, nosuid, mounted by ada)\n"
        "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)\n"
    )
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(
        subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, 0, printed, "")
    )
    assert file_system(Path("/Users/ada")) == "apfs"
    with pytest.raises(StoreError, match="smbfs"):
        refuse_network(Path("/Volumes/my share/shop"))
