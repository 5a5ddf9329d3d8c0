"""Host keys against real servers: pinned, known, unknown, changed, revoked, certified; and trusting them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import asyncssh
import pytest

from core.engine.executor import Ended, Unreachable
from core.errors import InputError, NotPossible
from core.ssh.hostkeys import trust
from core.ssh.pool import fetch_host_key
from core.ssh.settings import SshSettings
from providers.base import Server
from tests.e2e.ssh.lab import laboratory
from tests.support.sshd import Sshd, one_line, write_key


async def refusal(server: Server, known_hosts: Path | None = None) -> Unreachable:
    """The refusal of a connection."""
    async with laboratory(server, SshSettings(known_hosts=known_hosts)) as lab:
        with pytest.raises(Unreachable) as caught:
            await lab.executor.open(server)
    return caught.value


async def connects(server: Server, known_hosts: Path | None = None) -> bool:
    async with laboratory(server, SshSettings(known_hosts=known_hosts)) as lab:
        return (await lab.run("true"))[0] == Ended(0)


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Where the workspace's known_hosts is."""
    return tmp_path / "workspace" / ".windlass" / "known_hosts"


def name_of(sshd: Sshd) -> str:
    return f"[127.0.0.1]:{sshd.port}"


def fingerprint_of(sshd: Sshd, number: int = 0) -> str:
    return sshd.host_keys[number].get_fingerprint()


async def test_an_unknown_key_is_refused_with_the_command_that_trusts_it(sshd: Sshd, known: Path) -> None:
    error = await refusal(sshd.server("web 1", pinned=False), known)
    assert "is not known: ssh-ed25519 " + fingerprint_of(sshd) in error.why
    assert f"windlass servers trust 'web 1' --fingerprint {fingerprint_of(sshd)}" in error.hint
    assert not error.credentials


async def test_trusting_makes_it_known(sshd: Sshd, known: Path) -> None:
    server = sshd.server(pinned=False)
    shown = await fetch_host_key(server, SshSettings(known_hosts=known))
    assert shown.fingerprint == fingerprint_of(sshd)
    assert (shown.server, shown.address, shown.port) == ("srv", "127.0.0.1", sshd.port)
    assert "Accepted" not in sshd.log, "the key is looked at without logging in"
    assert trust(known, server, shown.key) == []
    assert known.stat().st_mode & 0o777 == 0o600
    assert known.read_text() == f"{name_of(sshd)} {one_line(sshd.host_keys[0])}\n"
    assert await connects(server, known)
    assert (await fetch_host_key(server, SshSettings(known_hosts=known))).fingerprint == fingerprint_of(sshd)


async def test_openssh_reads_what_trust_writes(sshd: Sshd, known: Path) -> None:
    server = sshd.server(pinned=False)
    trust(known, server, one_line(sshd.host_keys[0]))
    found = subprocess.run(["ssh-keygen", "-F", name_of(sshd), "-f", known], capture_output=True, text=True)
    assert one_line(sshd.host_keys[0]) in found.stdout


async def test_a_changed_key_is_refused_with_both_fingerprints_and_the_place(sshd: Sshd, known: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    known.parent.mkdir(parents=True)
    known.write_text(f"# a comment\n\n{name_of(sshd)} {one_line(other)}\n")
    server = sshd.server(pinned=False)
    error = await refusal(server, known)
    assert "has changed" in error.why
    assert fingerprint_of(sshd) in error.why
    assert other.get_fingerprint() in error.why
    assert f"{known}:3" in error.why
    assert f"remove {known}:3" in error.hint
    with pytest.raises(NotPossible, match="another host key") as caught:
        trust(known, server, one_line(sshd.host_keys[0]))
    assert other.get_fingerprint() in str(caught.value)
    assert len(trust(known, server, one_line(sshd.host_keys[0]), replace_stored=True)) == 1
    assert known.read_text().splitlines()[0] == "# a comment"
    assert await connects(server, known)


async def test_a_key_of_another_kind_counts_as_changed(tmp_path: Path, known: Path) -> None:
    with Sshd.start(tmp_path / "sshd", host_algorithms=("ecdsa-sha2-nistp256",)) as sshd:
        other = asyncssh.generate_private_key("ssh-ed25519")
        known.parent.mkdir(parents=True)
        known.write_text(f"{name_of(sshd)} {one_line(other)}\n")
        error = await refusal(sshd.server(pinned=False), known)
        assert "has changed" in error.why
        assert f"ecdsa-sha2-nistp256 {fingerprint_of(sshd)}" in error.why


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_of_several_keys_the_known_one_is_asked_for(tmp_path: Path, known: Path, number: int) -> None:
    algorithms = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
    with Sshd.start(tmp_path / "sshd", host_algorithms=algorithms) as sshd:
        known.parent.mkdir(parents=True)
        known.write_text(f"{name_of(sshd)} {one_line(sshd.host_keys[number])}\n")
        server = sshd.server(pinned=False)
        assert await connects(server, known)
        shown = await fetch_host_key(server, SshSettings(known_hosts=known))
        assert shown.fingerprint == fingerprint_of(sshd, number)


async def test_pinned_keys_stand_alone(sshd: Sshd, known: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    known.parent.mkdir(parents=True)
    known.write_text(f"{name_of(sshd)} {one_line(sshd.host_keys[0])}\n")
    assert await connects(sshd.server(), None)
    server = sshd.server(host_keys=(one_line(other),))
    error = await refusal(server, known)
    assert "has changed" in error.why and "pinned by its provider" in error.why
    assert "trust" not in error.hint
    with pytest.raises(NotPossible, match="pinned"):
        trust(known, server, one_line(sshd.host_keys[0]))


async def test_a_pinned_key_that_cannot_be_read_is_told(sshd: Sshd) -> None:
    error = await refusal(sshd.server(host_keys=("ssh-ed25519 rubbish",)))
    assert "pins a host key that cannot be read" in error.why


async def test_the_user_s_known_hosts_comes_after_the_workspace_s(
    sshd: Sshd, known: Path, tmp_path: Path
) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    users = tmp_path / "users"
    users.write_text(f"{name_of(sshd)} {one_line(sshd.host_keys[0])}\n")
    config = tmp_path / "config"
    config.write_text(f"UserKnownHostsFile {users}\nGlobalKnownHostsFile none\n")
    server = sshd.server(pinned=False, ssh_config=config, use_ssh_config=True)
    assert await connects(server, known)
    known.parent.mkdir(parents=True)
    known.write_text(f"{name_of(sshd)} {one_line(other)}\n")
    assert f"{known}:1" in (await refusal(server, known)).why


async def test_hashed_names_patterns_and_comments(sshd: Sshd, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(
        "".join(f"other{number} {one_line(write_key(tmp_path / f'k{number}'))} x\n" for number in range(3))
        + f"{name_of(sshd)} {one_line(sshd.host_keys[0])} comment\n"
    )
    subprocess.run(["ssh-keygen", "-H", "-f", users], check=True, capture_output=True)
    assert "127.0.0.1" not in users.read_text()
    config = tmp_path / "config"
    config.write_text(f"UserKnownHostsFile {users}\nGlobalKnownHostsFile none\n")
    server = sshd.server(pinned=False, ssh_config=config, use_ssh_config=True)
    assert await connects(server)
    users.write_text(f"[127.0.0.*]:{sshd.port},!other {one_line(sshd.host_keys[0])}\n")
    assert await connects(server)


async def test_a_revoked_key_is_refused_wherever_it_is_known(sshd: Sshd, known: Path) -> None:
    known.parent.mkdir(parents=True)
    line = one_line(sshd.host_keys[0])
    known.write_text(f"{name_of(sshd)} {line}\n@revoked * {line}\n")
    server = sshd.server(pinned=False)
    error = await refusal(server, known)
    assert "revoked" in error.why
    assert f"{known}:2" in error.why
    with pytest.raises(NotPossible, match="revoked"):
        trust(known, server, line)


async def test_a_certificate_of_a_known_authority(tmp_path: Path, known: Path) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    folder = tmp_path / "sshd"
    with Sshd.start(folder, {"HostCertificate": str(tmp_path / "cert.pub")}) as sshd:
        # The certificate is read when the server starts: made now, then started anew on the same port.
        certificate = authority.generate_host_certificate(sshd.host_keys[0], "srv", principals=["127.0.0.1"])
        (tmp_path / "cert.pub").write_bytes(certificate.export_certificate())
        sshd.restart()
        known.parent.mkdir(parents=True)
        known.write_text(f"@cert-authority 127.0.0.1,[127.0.0.1]:* {one_line(authority)}\n")
        server = sshd.server(pinned=False)
        assert await connects(server, known)
        known.write_text(f"@cert-authority 127.0.0.1,[127.0.0.1]:* {one_line(stranger)}\n")
        error = await refusal(server, known)
        assert authority.get_fingerprint() in error.why
        assert stranger.get_fingerprint() in error.why


async def test_rubbish_is_not_trusted(sshd: Sshd, known: Path) -> None:
    with pytest.raises(InputError, match="no host key"):
        trust(known, sshd.server(pinned=False), "ssh-ed25519 nonsense")
    assert not known.exists()


async def test_another_name_on_the_same_line_survives_a_replacement(sshd: Sshd, known: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    known.parent.mkdir(parents=True)
    known.write_text(f"{name_of(sshd)},elsewhere {one_line(other)}\n")
    trust(known, sshd.server(pinned=False), one_line(sshd.host_keys[0]), replace_stored=True)
    assert known.read_text().splitlines() == [
        f"elsewhere {one_line(other)}",
        f"{name_of(sshd)} {one_line(sshd.host_keys[0])}",
    ]
