"""The command line of a person's own session: OpenSSH's client reaches what Windlass reaches."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import asyncssh
import pytest

from core.errors import InputError
from core.ssh.hostkeys import trust
from core.ssh.interactive import interactive_argv
from providers.base import Server
from tests.support.hosts import Host
from tests.support.sshd import Sshd, one_line


@pytest.fixture(autouse=True)
def needs_ssh() -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")


def run(server: Server, known_hosts: Path | None = None) -> subprocess.CompletedProcess[str]:
    with interactive_argv(server, known_hosts, ["echo", "hello"]) as argv:
        return subprocess.run(
            [*argv[:1], "-o", "BatchMode=yes", *argv[1:]],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )


async def test_pinned_keys_go_into_a_file_that_goes_away(host: Host) -> None:
    with interactive_argv(host.server, None) as argv:
        (option,) = [word for word in argv if word.startswith("UserKnownHostsFile=")]
        file = Path(option.split('"')[1])
        assert file.stat().st_mode & 0o777 == 0o600
    assert not file.exists()
    done = run(host.server)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_a_key_that_is_not_the_pinned_one_is_refused(sshd: Sshd) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    done = run(sshd.server(host_keys=(one_line(other),)))
    assert done.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


def test_the_workspace_s_known_hosts_is_asked(sshd: Sshd, tmp_path: Path) -> None:
    known = tmp_path / "work space %h" / "known_hosts"
    server = sshd.server(pinned=False)
    assert run(server, known).returncode == 255
    trust(known, server, one_line(sshd.host_keys[0]))
    done = run(server, known)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_an_alias_of_ssh_config(sshd: Sshd, tmp_path: Path) -> None:
    config, known = tmp_path / "config", tmp_path / "known_hosts"
    config.write_text(
        f"Host web1\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {sshd.user_key}\n"
    )
    server = sshd.server(
        pinned=False, address="web1", port=None, identity_files=(), ssh_config=config, use_ssh_config=True
    )
    trust(known, server, one_line(sshd.host_keys[0]))
    done = run(server, known)
    assert (done.returncode, done.stdout) == (0, "hello\n"), done.stderr


def test_a_name_that_looks_like_an_option_is_none(sshd: Sshd, tmp_path: Path) -> None:
    server = sshd.server(address=f"-oProxyCommand=touch {tmp_path}/owned", pinned=False)
    with interactive_argv(server, None) as argv:
        assert argv[-2] == "--"
    assert run(server).returncode == 255
    assert not (tmp_path / "owned").exists()


def test_a_missing_client_is_told(sshd: Sshd) -> None:
    with (
        pytest.raises(InputError, match="not installed"),
        interactive_argv(sshd.server(), None, ssh="no-ssh-here"),
    ):
        pass
