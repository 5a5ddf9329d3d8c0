"""Servers that the SSH tests run against; tests/support/hosts.py says which kinds there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.ssh.lab import Lab, laboratory
from tests.support.hosts import KINDS, SHELLS, Host, link_shell, running_host
from tests.support.sshd import Sshd


@pytest.fixture(scope="module", params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server of each kind, shared by the tests of a module."""
    with running_host(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
async def lab(host: Host) -> AsyncIterator[Lab]:
    """An executor on a server of each kind, with the server's own shell."""
    async with laboratory(host.server, host.settings) as made:
        yield made


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of a shell that evaluates commands: dash, bash as sh, busybox ash."""
    return link_shell(request.param, tmp_path)


@pytest.fixture
async def shell_lab(host: Host, shell: str) -> AsyncIterator[Lab]:
    """An executor on a server of each kind, with each shell."""
    async with laboratory(host.server, replace(host.settings, shell=shell)) as made:
        yield made


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An OpenSSH server of this test alone."""
    with Sshd.start(tmp_path / "sshd") as made:
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where everything is busybox's there is no other shell to evaluate commands with."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
        other_shell = {params.get("shell"), params.get("shell_for_all")} & {"dash", "bash"}
        (left_out if params.get("host") == "ash" and other_shell else kept).append(item)
    if left_out:
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)
