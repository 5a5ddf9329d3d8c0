"""OpenSSH's own clients against local servers: ssh, scp in both its forms, sftp."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from providers.base import Server
from tests.providers.conftest import Running
from tests.providers.support import lives, wait_until

pytestmark = pytest.mark.skipif(
    any(shutil.which(program) is None for program in ("ssh", "scp", "sftp")),
    reason="OpenSSH's clients are not installed",
)

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def options(server: Server, tmp_path: Path) -> list[str]:
    """Options that make a client use what the provider says and nothing of the user's."""
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.ssh.port} {server.ssh.host_keys[0]}\n")
    settings = {
        "Port": server.ssh.port,
        "User": server.ssh.user,
        "IdentityFile": server.ssh.identity_files[0],
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": known,
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
    }
    return [
        "-F",
        "/dev/null",
        *(word for key, value in settings.items() for word in ("-o", f"{key}={value}")),
    ]


@pytest.fixture
def ssh(options: list[str]) -> Run:
    """Runs ssh with a command."""

    def run(
        *arguments: str, input: bytes = b"", before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["ssh", *options, *before, "127.0.0.1", *arguments],
            input=input,
            capture_output=True,
            timeout=60,
            check=False,
        )

    return run


def test_a_command_and_its_status(ssh: Run) -> None:
    answer = ssh("echo out; echo err >&2; exit 7")
    assert (answer.stdout, answer.stderr, answer.returncode) == (b"out\n", b"err\n", 7)


def test_death_by_signal(ssh: Run) -> None:
    assert ssh("kill -9 $$").returncode == 255


def test_bytes_are_exact(ssh: Run) -> None:
    data = os.urandom(3_000_000)
    assert ssh("cat", input=data).stdout == data


def test_a_terminal_on_request(ssh: Run) -> None:
    answer = ssh("tty && stty size", before=("-tt",))
    assert answer.returncode == 0
    assert answer.stdout.startswith(b"/dev/")


def test_a_login_shell(ssh: Run) -> None:
    answer = ssh(input=b"pwd\nexit 9\n")
    assert answer.returncode == 9
    assert answer.stdout.strip().endswith(b"/web-1/home")


def test_a_killed_client_leaves_its_command(options: list[str]) -> None:
    client = subprocess.Popen(
        ["ssh", *options, "127.0.0.1", "echo $$; exec sleep 100"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert client.stdout and client.stdin
    pid = int(client.stdout.readline())
    client.kill()
    client.communicate()
    time.sleep(0.3)  # time in which a server that kills would do so
    assert lives(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_killed_client_takes_its_terminal_along(options: list[str]) -> None:
    client = subprocess.Popen(
        ["ssh", "-tt", *options, "127.0.0.1", "echo $$; exec sleep 100"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert client.stdout and client.stdin
    pid = int(client.stdout.readline())
    client.kill()
    client.communicate()
    wait_until(lambda: not lives(pid), "the command is hung up")


@pytest.mark.parametrize("form", [[], ["-O"]], ids=["sftp", "legacy"])
def test_scp_copies_both_ways(options: list[str], running: Running, tmp_path: Path, form: list[str]) -> None:
    if form and b"illegal option" in subprocess.run(["scp", "-O"], capture_output=True, check=False).stderr:
        pytest.skip("this scp knows only the legacy form")
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "data").write_bytes(os.urandom(1_000_000))
    (tree / "script").write_text("#!/bin/sh\n")
    (tree / "script").chmod(0o755)
    shutil.rmtree(running.home() / "copied", ignore_errors=True)

    def scp(*words: str) -> None:
        answer = subprocess.run(
            ["scp", *form, "-r", "-p", "-q", *options, *words], capture_output=True, timeout=60, check=False
        )
        assert (answer.returncode, answer.stderr) == (0, b"")

    scp(str(tree), "127.0.0.1:copied")
    assert (running.home() / "copied/sub/data").read_bytes() == (tree / "sub/data").read_bytes()
    assert (running.home() / "copied/script").stat().st_mode & 0o777 == 0o755
    scp("127.0.0.1:~/copied", str(tmp_path / "back"))
    assert (tmp_path / "back/sub/data").read_bytes() == (tree / "sub/data").read_bytes()


def test_scp_tells_failures(options: list[str], tmp_path: Path) -> None:
    answer = subprocess.run(
        ["scp", *options, "127.0.0.1:not-there", str(tmp_path)], capture_output=True, timeout=60, check=False
    )
    assert answer.returncode == 1
    assert b"not-there" in answer.stderr


def test_sftp_runs_a_batch(options: list[str], running: Running, tmp_path: Path) -> None:
    (tmp_path / "local").write_text("content\n")
    commands = f"pwd\nput {tmp_path}/local remote\nls -l remote\nget remote {tmp_path}/back\nrm remote\n"
    answer = subprocess.run(
        ["sftp", "-b", "-", *options, "127.0.0.1"],
        input=commands.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert str(running.home()).encode() in answer.stdout
    assert (tmp_path / "back").read_text() == "content\n"


def test_jumping_over_one_server_to_another(options: list[str], running: Running, tmp_path: Path) -> None:
    inner = running.servers[1]
    config = tmp_path / "config"
    known = tmp_path / "known_both"
    known.write_text(
        "".join(f"[127.0.0.1]:{server.ssh.port} {server.ssh.host_keys[0]}\n" for server in running.servers)
    )
    blocks = [
        f"Host {server.name}\n  HostName 127.0.0.1\n  Port {server.ssh.port}\n" for server in running.servers
    ]
    config.write_text(
        "".join(blocks)
        + f"  ProxyJump web-1\nHost *\n  User {inner.ssh.user}\n  IdentityFile {inner.ssh.identity_files[0]}\n"
        f"  IdentitiesOnly yes\n  IdentityAgent none\n  BatchMode yes\n  UserKnownHostsFile {known}\n"
    )
    answer = subprocess.run(
        ["ssh", "-F", str(config), "web-2", "pwd"], capture_output=True, timeout=60, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip().endswith(b"/web-2/home")


def test_a_changed_host_key_is_refused(ssh: Run, running: Running, server: Server, tmp_path: Path) -> None:
    (tmp_path / "known_hosts").write_text(
        f"[127.0.0.1]:{server.ssh.port} {running.servers[1].ssh.host_keys[0]}\n"
    )
    answer = ssh("true")
    assert answer.returncode == 255
    assert b"IDENTIFICATION HAS CHANGED" in answer.stderr
