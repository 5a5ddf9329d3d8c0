"""The secrets of a workspace: files of age, their names, their owners, and who can open them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pyrage
import pytest

from core.errors import InputError
from core.secrets.identity import find_identities, identity_file, make_identity, read_identities
from core.secrets.store import SecretStore

needs_age = pytest.mark.skipif(shutil.which("age") is None, reason="the program age is not installed")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_secret_comes_back_and_its_files_are_private(store: SecretStore, workspace: Path) -> None:
    for value in (b"correct horse", b"\x00\xff binary \n", "pässwörd".encode(), b"x" * 65536):
        if b"\0" in value:
            with pytest.raises(InputError, match="no run could use it"):
                store.put("db/password", value)
        store.put("db/password", value, force=b"\0" in value)
        assert SecretStore(workspace).get("db/password") == value
    file = workspace / "secrets/db/password.age"
    assert file.read_text().startswith("-----BEGIN AGE ENCRYPTED FILE-----\n")
    assert mode_of(file) == 0o600
    assert mode_of(workspace / "secrets/recipients") == 0o600
    assert mode_of(workspace / "secrets") == mode_of(workspace / "secrets/db") == 0o700
    assert [entry.name for entry in file.parent.iterdir()] == ["password.age"]


def test_loose_folders_are_tightened(store: SecretStore, workspace: Path) -> None:
    (workspace / "secrets").chmod(0o755)
    store.put("token", b"12345678")
    assert mode_of(workspace / "secrets") == 0o700


@pytest.mark.parametrize(
    "name",
    ["", "..", "../up", "a/../b", "/etc/passwd", "a//b", "a/", ".hidden", "a\0b", "a b", "a\nb", "pаssword",
     "recipients", "recipients/x", "Recipients", "x.age", "x.AGE/y", "-x", "a" * 64, "/".join("abcdefghijkl"),
     "a\\b", "{{x}}", "\udc80"],
)  # fmt: skip
def test_hostile_names_are_refused(store: SecretStore, workspace: Path, name: str) -> None:
    before = sorted(workspace.rglob("*"))
    for act in (lambda: store.put(name, b"12345678"), lambda: store.get(name)):
        with pytest.raises(InputError):
            act()
    assert sorted(workspace.rglob("*")) == before


def test_links_are_not_followed(store: SecretStore, workspace: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store.put("real", b"12345678")
    shutil.copy(workspace / "secrets/real.age", outside / "there.age")
    (workspace / "secrets/out").symlink_to(outside)
    (workspace / "secrets/file.age").symlink_to(outside / "there.age")
    for name in ("out/there", "file"):
        with pytest.raises(InputError, match="symbolic link"):
            store.get(name)
    with pytest.raises(InputError, match="symbolic link"):
        store.put("out/new", b"12345678")
    assert store.names() == ["real"]
    store.put("file", b"replaced")  # the link is replaced, what it pointed at stays
    assert store.get("file") == b"replaced"
    assert sorted(entry.name for entry in outside.iterdir()) == ["there.age"]


def test_a_linked_secrets_folder_is_refused(workspace: Path, home: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (workspace / "secrets").symlink_to(elsewhere)
    store = SecretStore(workspace)
    recipient = make_identity(identity_file())
    for act in (lambda: store.add_recipients([recipient]), store.names, store.recipient_lines):
        with pytest.raises(InputError, match="symbolic link"):
            act()
    assert list(elsewhere.iterdir()) == []


def test_odd_files_are_faults_and_not_tracebacks(store: SecretStore, workspace: Path) -> None:
    folder = workspace / "secrets"
    os.mkfifo(folder / "pipe.age")
    (folder / "folder.age").mkdir()
    (folder / "junk.age").write_bytes(b"\xff" * 100)
    (folder / "large.age").write_bytes(b"x" * (1024 * 1024 + 1))
    for name in ("pipe", "folder", "junk", "large"):
        with pytest.raises(InputError):
            store.get(name)
    with pytest.raises(InputError, match="is a folder"):
        store.put("folder", b"12345678")
    assert [(info.name, info.recipients) for info in store.infos()] == [("junk", None), ("large", None)]


def test_short_and_long_and_empty_values(store: SecretStore) -> None:
    for value in (b"", b"1234567", b"abc      ", b"x" * 65537):
        with pytest.raises(InputError):
            store.put("token", value)
    store.put("token", b"pin", force=True)
    assert store.get("token") == b"pin"
    with pytest.raises(InputError, match="empty"):
        store.put("token", b"", force=True)


def test_a_value_is_in_no_message(store: SecretStore) -> None:
    with pytest.raises(InputError) as caught:
        store.put("token", b"s3cret")
    assert "s3cret" not in str(caught.value)


def test_without_recipients_nothing_is_stored(workspace: Path, home: Path) -> None:
    store = SecretStore(workspace)
    with pytest.raises(InputError, match="windlass secrets init"):
        store.put("token", b"12345678")
    assert store.names() == []
    (workspace / "secrets").mkdir()
    (workspace / "secrets/recipients").write_text("# nobody\n")
    with pytest.raises(InputError, match="names nobody"):
        store.put("token", b"12345678")


def test_every_bad_recipient_is_named(store: SecretStore, workspace: Path) -> None:
    secret = str(pyrage.x25519.Identity.generate())
    (workspace / "secrets/recipients").write_text(f"age1nonsense\n\n{secret}\nssh-rsa nonsense\n")
    with pytest.raises(InputError) as caught:
        store.put("token", b"12345678")
    assert [fault.line for fault in caught.value.faults] == [1, 3, 4]
    assert secret not in str(caught.value)


def test_rotation_follows_the_recipients(
    store: SecretStore, workspace: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = pyrage.x25519.Identity.generate()
    mine = store.recipient_lines()[0]
    store.put("token", b"12345678")
    store.put("db/password", b"87654321")
    assert store.add_recipients([str(other.to_public()), mine]) == [str(other.to_public())]
    assert {info.recipients for info in store.infos()} == {1}
    assert store.rotate().done == ("db/password", "token")
    assert {info.recipients for info in store.infos()} == {2}
    (workspace / "secrets/foreign.age").write_bytes(
        pyrage.encrypt(b"x", [pyrage.x25519.Identity.generate().to_public()], armored=True)
    )
    store.remove_recipient(mine)
    rotated = SecretStore(workspace).rotate()
    assert rotated.done == ("db/password", "token") and list(rotated.left) == ["foreign"]
    with pytest.raises(InputError, match="recipients add"):
        SecretStore(workspace).get("token")
    with pytest.raises(InputError, match="last recipient"):
        store.remove_recipient(str(other.to_public()))
    file = home / "other"
    file.write_text(f"{other}\n")
    file.chmod(0o600)
    monkeypatch.setenv("WINDLASS_IDENTITY", str(file))
    assert SecretStore(workspace).get("token") == b"12345678"


# ---------------------------------------------------------------- identities


def test_an_identity_is_made_once_and_is_private(home: Path) -> None:
    path = identity_file()
    public = make_identity(path)
    assert make_identity(path) == public
    assert mode_of(path) == 0o600 and mode_of(path.parent) == 0o700


def test_a_loose_or_foreign_identity_is_refused(store: SecretStore, home: Path) -> None:
    store.put("token", b"12345678")
    path = identity_file()
    for mode in (0o640, 0o604, 0o660):
        path.chmod(mode)
        with pytest.raises(InputError, match="chmod 600"):
            store.get("token")
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
        with pytest.raises(InputError, match="another user"):
            store.get("token")


def test_a_bad_identity_is_told_without_its_text(home: Path) -> None:
    path = home / "identity"
    path.write_text("# mine\nAGE-SECRET-KEY-1BROKEN\n")
    path.chmod(0o600)
    with pytest.raises(InputError, match="line 2") as caught:
        read_identities(path)
    assert "BROKEN" not in str(caught.value)
    for content in (b"", b"-----BEGIN OPENSSH PRIVATE KEY-----\nx\n", b"\xff\n", b"x" * 70_000):
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_identities(path)


def test_without_an_identity_the_places_are_named(home: Path) -> None:
    with pytest.raises(InputError, match="id_ed25519") as caught:
        find_identities()
    assert "windlass secrets init" in str(caught.value)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_an_ssh_key_opens_secrets(workspace: Path, home: Path, kind: str) -> None:
    (home / ".ssh").mkdir()
    key = home / ".ssh" / f"id_{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key, "-C", "me here"], check=True)
    store = SecretStore(workspace)
    store.add_recipients([key.with_suffix(".pub").read_text()])
    store.put("token", b"12345678")
    assert store.get("token") == b"12345678"


def test_a_key_with_a_passphrase_does_not_stand_in_the_way(store: SecretStore, home: Path) -> None:
    (home / ".ssh").mkdir()
    for kind in ("rsa", "ed25519"):
        key = home / ".ssh" / f"id_{kind}"
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "passphrase", "-f", key], check=True)
    store.put("token", b"12345678")
    assert store.get("token") == b"12345678"
    store.add_recipients([(home / ".ssh/id_rsa.pub").read_text()])
    store.rotate()
    assert SecretStore(store.folder.parent).get("token") == b"12345678"


def test_a_named_identity_is_made_in_a_folder_that_stays_as_it_is(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    make_identity(folder / "identity")
    assert mode_of(folder) == 0o755 and mode_of(folder / "identity") == 0o600


def test_a_recipient_is_one_line(store: SecretStore) -> None:
    mine = store.recipient_lines()[0]
    for bad in (f"{mine}\n{mine}", f"{mine}\0", "ssh-ed25519 AAAA\nage1x", ""):
        with pytest.raises(InputError):
            store.add_recipients([bad])
    assert store.recipient_lines() == [mine]


def test_a_key_with_a_passphrase_is_told(workspace: Path, home: Path) -> None:
    (home / ".ssh").mkdir()
    key = home / ".ssh/id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "passphrase", "-f", key], check=True)
    store = SecretStore(workspace)
    store.add_recipients([key.with_suffix(".pub").read_text()])
    store.put("token", b"12345678")
    with pytest.raises(InputError):
        store.get("token")


# ---------------------------------------------------------------- the program age


@needs_age
def test_age_opens_what_windlass_stored(store: SecretStore, workspace: Path) -> None:
    store.put("db/password", b"correct horse\n")
    done = subprocess.run(
        ["age", "--decrypt", "-i", identity_file(), workspace / "secrets/db/password.age"],
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"correct horse\n"


@needs_age
@pytest.mark.parametrize("armour", [["--armor"], []])
def test_windlass_opens_what_age_stored(store: SecretStore, workspace: Path, armour: list[str]) -> None:
    subprocess.run(
        ["age", *armour, "-R", workspace / "secrets/recipients", "-o", workspace / "secrets/token.age"],
        input=b"from age",
        check=True,
    )
    assert store.get("token") == b"from age"
    assert [info.recipients for info in store.infos()] == [1]


@needs_age
def test_an_identity_of_age_keygen_serves(workspace: Path, home: Path) -> None:
    identity_file().parent.mkdir(parents=True)
    subprocess.run(["age-keygen", "-o", identity_file()], check=True, capture_output=True)
    store = SecretStore(workspace)
    store.add_recipients([make_identity(identity_file())])
    store.put("token", b"12345678")
    assert store.get("token") == b"12345678"
