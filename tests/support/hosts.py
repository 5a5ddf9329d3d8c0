"""The three kinds of server that one suite of tests runs against, and what breaks their connections.

| kind | what it is |
| --- | --- |
| `sshd` | OpenSSH's own server with this user's login shell |
| `local` | a server of the `local` provider |
| `ash` | OpenSSH's own server where busybox ash takes every command line, and evaluates every command |

A connection is cut or frozen on its way by `tests.support.wire.Wire`, which suits every kind; the process of
a session is killed or frozen by `Sshd.signal_sessions`, which only `sshd` and `ash` have.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.ssh.settings import SshSettings
from providers.base import Server
from providers.local.provider import create
from tests.providers.support import make_context
from tests.support.sshd import Sshd

KINDS = ("sshd", "local", "ash")
SHELLS = {"dash": "dash", "bash": "bash", "ash": "busybox"}
SFTP_SERVERS = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
)


@dataclass(frozen=True)
class Host:
    """A running server, and where commands on it find themselves.

    `home` is the login directory of SFTP; `settings` are what an executor needs for it; `sshd` is None where
    it is no OpenSSH server.
    """

    kind: str
    server: Server
    home: Path
    settings: SshSettings
    sshd: Sshd | None = None

    def kill_sessions(self) -> None:
        """Kills the server's process of every connection; skips where there is none to kill."""
        self._of_sshd().kill_sessions()

    def freeze_sessions(self) -> None:
        """Freezes the server's process of every connection; skips where there is none to freeze."""
        self._of_sshd().freeze_sessions()

    def _of_sshd(self) -> Sshd:
        if self.sshd is None:
            pytest.skip(f"a {self.kind} server has no process of its own for a connection")
        return self.sshd


@contextmanager
def running_host(kind: str, folder: Path) -> Iterator[Host]:
    """Runs a server of a kind; skips, with the reason, where it is not installed."""
    match kind:
        case "sshd":
            with Sshd.start(folder / "sshd") as sshd:
                yield Host(kind, sshd.server(), sshd.home, SshSettings(), sshd)
        case "ash":
            shell = link_shell("ash", folder)
            with Sshd.start(folder / "sshd", ash_options(shell, folder / "sshd" / "home")) as sshd:
                yield Host(kind, sshd.server(), sshd.home, SshSettings(shell=shell), sshd)
        case "local":
            with _local(folder) as host:
                yield host
        case _:
            raise ValueError(kind)


def ash_options(shell: str, home: Path) -> dict[str, str]:
    """Options of sshd_config that hand every command line to ash, as a login shell would get it.

    The account's own shell is left out by `exec` before it does anything, so no account has to be made.
    """
    sftp = next((path for path in SFTP_SERVERS if Path(path).exists()), None)
    if sftp is None:
        pytest.skip("OpenSSH's sftp-server is not installed")
    return {
        "ForceCommand": f'exec {shell} -c "$SSH_ORIGINAL_COMMAND"',
        "Subsystem": f"sftp {sftp} -d {home}",
    }


def link_shell(name: str, folder: Path) -> str:
    """A shell under a name by which it behaves as sh; skips where it is not installed."""
    program = shutil.which(SHELLS[name])
    if program is None:
        pytest.skip(f"{SHELLS[name]} is not installed")
    path = folder / f"shell-{name}" / ("ash" if name == "ash" else "sh")
    path.parent.mkdir()
    path.symlink_to(program)
    return str(path)


@contextmanager
def _local(folder: Path) -> Iterator[Host]:
    context = make_context(folder, "provider: local\nuser: deploy\nservers: {'srv': }\n")
    provider = create(context)
    asyncio.run(provider.start())
    try:
        (server,) = asyncio.run(_list(provider))
        yield Host("local", server, context.state_dir / "servers" / "srv" / "home", SshSettings())
    finally:
        asyncio.run(provider.stop())


async def _list(provider: object) -> list[Server]:
    return list(await provider.list())  # type: ignore[attr-defined]
