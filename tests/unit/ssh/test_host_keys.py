"""known_hosts files, and which of their keys is believed."""

from __future__ import annotations

import base64
import hmac
import os
from pathlib import Path

import asyncssh
import pytest

from core.ssh.hostkeys import fingerprint, one_line, trust, trust_of
from core.ssh.knownhosts import load_known_hosts, parse_known_hosts
from core.ssh.options import resolve
from providers.base import Server, SshTarget

KEYS = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(4)]
LINES = [one_line(key) for key in KEYS]


def hashed(name: str) -> str:
    salt = os.urandom(20)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def lines_of(text: str, name: str) -> list[int]:
    return [entry.line for entry in parse_known_hosts(text, "known").of(name)]


def test_every_form_of_a_name() -> None:
    text = "\n".join(
        [
            f"web1 {LINES[0]} comment",  # 1
            f"# web1 {LINES[0]}",
            f"db,Web1,10.0.0.1 {LINES[1]}",  # 3
            f"[web1]:2222 {LINES[2]}",  # 4
            f"web* {LINES[3]}",  # 5
            f"web*,!web1 {LINES[3]}",
            f"{hashed('web1')} {LINES[0]}",  # 7
            f"@revoked web1 {LINES[1]}",  # 8
            f"@cert-authority *.example.com,web? {LINES[2]}",  # 9
            f"{hashed('[web1]:2222')} {LINES[0]}",  # 10
        ]
    )
    assert lines_of(text, "web1") == [1, 3, 5, 7, 8, 9]
    assert lines_of(text, "[web1]:2222") == [4, 10]
    assert lines_of(text, "10.0.0.1") == [3]
    assert lines_of(text, "a.example.com") == [9]
    assert lines_of(text, "other") == []


@pytest.mark.parametrize(
    "line",
    [
        "",
        "web1",
        "web1 ssh-ed25519",
        "@unknown web1 ssh-ed25519 AAAA",
        "|1|rubbish ssh-ed25519 AAAA",
        "|2|a|b x y",
    ],
)
def test_lines_that_cannot_be_read_are_skipped(line: str) -> None:
    assert lines_of(f"{line}\nweb1 {LINES[0]}\n", "web1") == [2]


def test_a_key_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (entry,) = parse_known_hosts("web1 ssh-ed25519 AAAA\n", "known").of("web1")
    assert entry.public_key() is None
    assert entry.place == "known:1"


def test_a_file_is_parsed_once_while_it_is_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "known"
    assert load_known_hosts(path).of("web1") == []
    path.write_text(f"web1 {LINES[0]}\n")
    first = load_known_hosts(path)
    assert load_known_hosts(path) is first
    path.write_text(f"web1 {LINES[0]}\nweb1 {LINES[1]}\n")
    assert len(load_known_hosts(path).of("web1")) == 2


# ---------------------------------------------------------------- whom to believe


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return {name: tmp_path / name for name in ("workspace", "users", "global", "config")}


def server(files: dict[str, Path], **target: object) -> Server:
    files["config"].write_text(
        f"UserKnownHostsFile {files['users']}\nGlobalKnownHostsFile {files['global']}\n"
    )
    values: dict[str, object] = {"address": "web1", "ssh_config": files["config"], **target}
    return Server(name="web1", provider="test", ssh=SshTarget(**values))  # type: ignore[arg-type]


def prints(files: dict[str, Path], **target: object) -> list[str]:
    found = trust_of(resolve(server(files, **target)), files["workspace"])
    return [known.fingerprint for known in found.keys]


def test_the_first_source_that_knows_the_name_decides(files: dict[str, Path]) -> None:
    assert prints(files) == []
    files["global"].write_text(f"web1 {LINES[2]}\n")
    assert prints(files) == [fingerprint(KEYS[2])]
    files["users"].write_text(f"web1 {LINES[1]}\nweb1 {LINES[3]}\n")
    assert prints(files) == [fingerprint(KEYS[1]), fingerprint(KEYS[3])]
    files["workspace"].write_text(f"web1 {LINES[0]}\n")
    assert prints(files) == [fingerprint(KEYS[0])]
    assert prints(files, host_keys=(LINES[3],)) == [fingerprint(KEYS[3])]


def test_revocations_of_every_source_count(files: dict[str, Path]) -> None:
    files["workspace"].write_text(f"web1 {LINES[0]}\n")
    files["global"].write_text(f"@revoked * {LINES[0]}\n")
    found = trust_of(resolve(server(files)), files["workspace"])
    assert [known.place for known in found.revoked] == [f"{files['global']}:1"]


def test_a_name_without_the_port_is_asked_last(files: dict[str, Path]) -> None:
    files["workspace"].write_text(f"web1 {LINES[0]}\n")
    found = trust_of(resolve(server(files, port=2222)), files["workspace"])
    assert [known.key for known in found.keys] == [asyncssh.import_public_key(LINES[0])]
    assert not found.by_port
    files["users"].write_text(f"[web1]:2222 {LINES[1]}\n")
    found = trust_of(resolve(server(files, port=2222)), files["workspace"])
    assert (found.keys[0].fingerprint, found.by_port) == (fingerprint(KEYS[1]), True)


def test_fingerprints_are_those_of_openssh() -> None:
    assert fingerprint(KEYS[0]).startswith("SHA256:")
    assert len(fingerprint(KEYS[0])) == 50


def test_trusting_twice_changes_nothing(files: dict[str, Path]) -> None:
    told = server(files)
    assert trust(files["workspace"], told, LINES[0]) == []
    before = files["workspace"].read_text()
    assert trust(files["workspace"], told, LINES[0]) == []
    assert files["workspace"].read_text() == before == f"web1 {LINES[0]}\n"


def test_trusting_keeps_what_was_there_byte_for_byte(files: dict[str, Path]) -> None:
    files["workspace"].write_bytes(b"# note \xff\n\nother " + LINES[1].encode() + b" c\n")
    trust(files["workspace"], server(files), LINES[0])
    assert files["workspace"].read_bytes() == (
        b"# note \xff\n\nother " + LINES[1].encode() + b" c\nweb1 " + LINES[0].encode() + b"\n"
    )
