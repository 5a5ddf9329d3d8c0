"""A workspace as an archive: what goes in, and what no archive gets past the import."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest

from core.errors import InputError
from core.workspace import archive as exporting
from core.workspace import unpack
from core.workspace.archive import export_workspace
from core.workspace.folder import Workspace
from core.workspace.template import create_workspace
from core.workspace.trust import is_trusted, trust
from core.workspace.unpack import import_workspace


def files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".windlass" not in path.parts
    }


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    create_workspace(tmp_path / "shop", "demo")
    return Workspace.load(tmp_path / "shop")


def test_what_is_imported_is_what_was_exported(shop: Workspace, tmp_path: Path) -> None:
    script = shop.files_dir / "run.sh"
    shop.files_dir.mkdir(exist_ok=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o700)
    (shop.path / "latest.sh").symlink_to("files/run.sh")
    trust(shop)
    (shop.state_dir / "state.db").write_bytes(b"state")
    done = export_workspace(shop, tmp_path / "shop.tar.gz")
    assert done.left_out == {} and done.files > 3
    found = import_workspace(tmp_path / "shop.tar.gz", tmp_path / "new" / "place")
    assert files(found.path) == files(shop.path)
    assert os.access(found.path / "files" / "run.sh", os.X_OK)
    assert (found.path / "latest.sh").readlink() == Path("files/run.sh")
    assert not found.state_dir.exists()
    assert not is_trusted(found)
    assert (tmp_path / "shop.tar.gz").stat().st_mode & 0o777 == 0o600


def test_the_same_folder_gives_the_same_bytes(shop: Workspace, tmp_path: Path) -> None:
    export_workspace(shop, tmp_path / "one.tar.gz")
    os.utime(shop.settings_file, (1, 1))
    export_workspace(shop, tmp_path / "two.tar.gz")
    export_workspace(shop, shop.path / "inside.tar.gz")  # not in itself
    export_workspace(shop, shop.path / "inside.tar.gz", replace=True)
    one = (tmp_path / "one.tar.gz").read_bytes()
    assert one == (tmp_path / "two.tar.gz").read_bytes() == (shop.path / "inside.tar.gz").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        export_workspace(shop, tmp_path / "one.tar.gz")


def test_secrets_keys_and_what_leads_out_stay_behind(shop: Workspace, tmp_path: Path) -> None:
    secrets = shop.path / "secrets"
    secrets.mkdir()
    (secrets / "db.age").write_bytes(b"age-encryption.org/v1\n-> X25519 abc\n")
    (secrets / "recipients.txt").write_text("age1qqq\n")
    (secrets / "plain.yaml").write_text("password: hunter2\n")
    (secrets / "identity").write_text("# created\nAGE-SECRET-KEY-1QQQ\n")
    (shop.path / "keys").mkdir()
    (shop.path / "keys" / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    (shop.path / "keys" / "id.pub").write_text("ssh-ed25519 AAAA\n")
    (shop.path / "out").symlink_to("../data")
    (shop.path / "absolute").symlink_to(shop.settings_file)
    os.mkfifo(shop.path / "pipe")
    (shop.path / ".git").mkdir()
    (shop.path / ".git" / "config").write_text("x")
    done = export_workspace(shop, tmp_path / "shop.tar.gz")
    assert set(done.left_out) == {
        "secrets/plain.yaml", "secrets/identity", "keys/id", "out", "absolute", "pipe",
    }  # fmt: skip
    packed = gzip.decompress((tmp_path / "shop.tar.gz").read_bytes())
    assert b"hunter2" not in packed and b"SECRET-KEY" not in packed and b".git/" not in packed
    with tarfile.open(tmp_path / "shop.tar.gz") as tar:
        names = set(tar.getnames())
        assert {entry.mtime for entry in tar.getmembers()} == {0}
    assert {"secrets/db.age", "secrets/recipients.txt", "keys/id.pub"} <= names


# ---------------------------------------------------------------- archives of others

SETTINGS = ("workspace.yaml", b"name: evil\n")
Member = tuple[str, bytes] | tarfile.TarInfo


def pack(path: Path, *members: Member, form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=form) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            entry = tarfile.TarInfo(member[0])
            entry.size = len(member[1])
            tar.addfile(entry, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def refused(tmp_path: Path, *members: Member) -> str:
    """Why an archive is refused; nothing may be left of it, nowhere."""
    file = pack(tmp_path / "evil.tar.gz", *members)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError) as caught:
        import_workspace(file, tmp_path / "target")
    assert sorted(tmp_path.rglob("*")) == before
    return str(caught.value)


@pytest.mark.parametrize(
    ("member", "told"),
    [
        (("/etc/passwd", b"x"), "leads out"),
        (("../up", b"x"), "leads out"),
        (("a/../../up", b"x"), "leads out"),
        (("a\nb", b"x"), "no name"),
        (("a\\b", b"x"), "no name"),
        ((".windlass/state.db", b"x"), "is state"),
        ((".WINDLASS/known_hosts", b"x"), "is state"),
        (("x" * 1200, b"x"), "too long"),
        (("d/" * 60 + "f", b"x"), "too deep"),
        (SETTINGS, "twice"),
        (("./workspace.yaml", b"x"), "twice"),
        (("workspace.yaml/x", b"x"), "no folder"),
        (special("dev", tarfile.CHRTYPE), "neither"),
        (special("disk", tarfile.BLKTYPE), "neither"),
        (special("pipe", tarfile.FIFOTYPE), "neither"),
        (special("hard", tarfile.LNKTYPE, "workspace.yaml"), "neither"),
        (special("hard", tarfile.LNKTYPE, "/etc/passwd"), "neither"),
        (special("link", tarfile.SYMTYPE, "/etc/passwd"), "leads out"),
        (special("link", tarfile.SYMTYPE, "../../etc"), "leads out"),
        (special("link", tarfile.SYMTYPE, ".."), "leads out"),
        (special("workspace.yaml", tarfile.DIRTYPE), "twice"),
    ],
)
def test_a_hostile_entry(tmp_path: Path, member: Member, told: str) -> None:
    assert told in refused(tmp_path, SETTINGS, member)


def test_links_that_lead_out_together(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        SETTINGS,
        special("d", tarfile.DIRTYPE),
        special("d/up", tarfile.SYMTYPE, ".."),
        special("out", tarfile.SYMTYPE, "d/up/.."),
    )
    assert "leads out" in told


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    assert "no folder" in refused(tmp_path, SETTINGS, special("d", tarfile.SYMTYPE, "files"), ("d/f", b"x"))
    assert "twice" in refused(tmp_path, SETTINGS, special("f", tarfile.SYMTYPE, "g"), ("f", b"x"))


def test_no_workspace_in_it(tmp_path: Path) -> None:
    assert "no workspace.yaml" in refused(tmp_path, ("other", b"x"))
    assert "no workspace.yaml" in refused(
        tmp_path, ("real", b"name: x\n"), special("workspace.yaml", tarfile.SYMTYPE, "real")
    )
    assert "unknown key" in refused(tmp_path, ("workspace.yaml", b"nam: x\n"))
    assert "format 99" in refused(tmp_path, ("workspace.yaml", b"format: 99\n"))


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "MAX_BYTES", 100_000)
    monkeypatch.setattr(unpack, "MAX_ENTRIES", 100)
    monkeypatch.setattr(unpack, "_OVERHEAD_BYTES", 200_000)
    assert "more than" in refused(tmp_path, SETTINGS, ("zeros", b"\0" * 150_000))
    assert "more than" in refused(tmp_path, SETTINGS, *((f"z{i}", b"\0" * 60_000) for i in range(3)))
    assert "entries" in refused(tmp_path, SETTINGS, *((f"z{i}", b"") for i in range(200)))


def test_a_header_without_end(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("x")
    entry.pax_headers = {"comment": "x" * 3_000_000}
    assert "header" in refused(tmp_path, SETTINGS, entry)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive at all",
        gzip.compress(b""),
        gzip.compress(b"\0" * 10_000),
        gzip.compress(b"x" * 10_000),
        gzip.compress(os.urandom(4096), mtime=0)[:-9],
    ],
    ids=["nothing", "text", "empty", "zeros", "letters", "cut"],
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(InputError):
        import_workspace(tmp_path / "file", tmp_path / "target")
    assert os.listdir(tmp_path) == ["file"]


def test_an_archive_that_is_cut_off_anywhere(shop: Workspace, tmp_path: Path) -> None:
    export_workspace(shop, tmp_path / "shop.tar.gz")
    whole = (tmp_path / "shop.tar.gz").read_bytes()
    for length in range(0, len(whole) - 8, max(1, len(whole) // 40)):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(InputError):
            import_workspace(tmp_path / "cut", tmp_path / "target")
        assert not (tmp_path / "target").exists()


def test_an_archive_of_tar_itself(shop: Workspace, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "own.tar.gz", "w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.add(shop.path, ".", filter=lambda entry: None if ".windlass" in entry.name else entry)
    assert files(import_workspace(tmp_path / "own.tar.gz", tmp_path / "new").path) == files(shop.path)


def test_a_target_that_exists_is_left_alone(shop: Workspace, tmp_path: Path) -> None:
    export_workspace(shop, tmp_path / "shop.tar.gz")
    (tmp_path / "there").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("there", "dangling"):
        with pytest.raises(InputError, match="exists already"):
            import_workspace(tmp_path / "shop.tar.gz", tmp_path / name)


def test_too_much_to_export(shop: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MAX_ENTRIES", 3)
    with pytest.raises(InputError, match="too much"):
        export_workspace(shop, tmp_path / "shop.tar.gz")
    assert not (tmp_path / "shop.tar.gz").exists()
