"""Servers that the SSH tests run against: OpenSSH's own, and those of the `local` provider."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.ssh.settings import SshSettings
from providers.base import Server
from providers.local.provider import create
from tests.e2e.ssh.lab import Lab, laboratory
from tests.providers.support import make_context
from tests.support.sshd import Sshd

SHELLS = {"dash": "dash", "bash": "bash", "ash": "busybox"}


@dataclass(frozen=True)
class Host:
    """A running server, and where commands on it find themselves."""

    kind: str
    server: Server
    home: Path
    """The login directory of SFTP."""


@pytest.fixture(scope="module", params=["openssh", "local"])
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server of each kind, shared by the tests of a module."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "openssh":
        with Sshd.start(folder / "sshd") as sshd:
            yield Host("openssh", sshd.server(), sshd.home)
        return
    context = make_context(folder, "provider: local\nuser: deploy\nservers: {'srv': }\n")
    provider = create(context)
    asyncio.run(provider.start())
    try:
        (server,) = asyncio.run(_list(provider))
        yield Host("local", server, context.state_dir / "servers" / "srv" / "home")
    finally:
        asyncio.run(provider.stop())


async def _list(provider: object) -> list[Server]:
    return list(await provider.list())  # type: ignore[attr-defined]


@pytest.fixture
async def lab(host: Host) -> AsyncIterator[Lab]:
    """An executor on a server of each kind, with the server's own /bin/sh."""
    async with laboratory(host.server) as made:
        yield made


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of a shell that evaluates commands: dash, bash as sh, busybox ash."""
    return link_shell(request.param, tmp_path)


def link_shell(name: str, folder: Path) -> str:
    """A shell under a name by which it behaves as sh; skips where it is not installed."""
    program = shutil.which(SHELLS[name])
    if program is None:
        pytest.skip(f"{SHELLS[name]} is not installed")
    path = folder / f"shell-{name}" / ("ash" if name == "ash" else "sh")
    path.parent.mkdir()
    path.symlink_to(program)
    return str(path)


@pytest.fixture
async def shell_lab(host: Host, shell: str) -> AsyncIterator[Lab]:
    """An executor on a server of each kind, with each shell."""
    async with laboratory(host.server, SshSettings(shell=shell)) as made:
        yield made


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An OpenSSH server of this test alone."""
    with Sshd.start(tmp_path / "sshd") as made:
        yield made
