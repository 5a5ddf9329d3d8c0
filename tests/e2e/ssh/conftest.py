"""Servers that the SSH tests run against; tests/support/hosts.py says which kinds there are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.model.ids import new_run_id
from tests.e2e.ssh.lab import Lab, laboratory
from tests.support.hosts import KINDS, SHELLS, Host, link_shell, running_host
from tests.support.sshd import Sshd


@pytest.fixture(scope="module", params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server of each kind, shared by the tests of a module."""
    with running_host(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture(params=["plain", "supervised"])
def run_id(request: pytest.FixtureRequest) -> str:
    """The run whose commands are supervised, "" for those that run plainly."""
    return new_run_id() if request.param == "supervised" else ""


@pytest.fixture
async def lab(host: Host, run_id: str) -> AsyncIterator[Lab]:
    """An executor on a server of each kind, with the server's own shell."""
    async with laboratory(host.server, host.settings, run_id=run_id) as made:
        yield made


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path of a shell that evaluates commands: dash, bash as sh, busybox ash."""
    return link_shell(request.param, tmp_path)


@pytest.fixture
async def shell_lab(host: Host, shell: str, run_id: str) -> AsyncIterator[Lab]:
    """An executor on a server of each kind, with each shell."""
    async with laboratory(host.server, replace(host.settings, shell=shell), run_id=run_id) as made:
        yield made


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An OpenSSH server of this test alone."""
    with Sshd.start(tmp_path / "sshd") as made:
        yield made


EVERY_DAY = {("sshd", "dash"), ("sshd", "bash"), ("ash", "ash")}
"""Server and shell of the tests that run with all the others; the rest of the table is for the long suite."""
BUSYBOX_MATTERS = {"test_commands.py", "test_supervised_shell.py", "test_supervised_stops.py"}
"""Where a server that is all busybox is met every day."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where everything is busybox's there is no other shell to evaluate commands with."""
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        params: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
        host = params.get("host")
        shell = params.get("shell") or params.get("shell_for_all")
        (left_out if host == "ash" and shell in ("dash", "bash") else kept).append(item)
        rare = shell is not None and (host, shell) not in EVERY_DAY
        rare = rare or (host == "ash" and item.path.name not in BUSYBOX_MATTERS)
        plain = params.get("run_id") == "plain" and (host != "sshd" or shell == "bash")
        if host is not None and (rare or plain):
            item.add_marker(pytest.mark.long)
    if left_out:
        items[:] = kept
        config.hook.pytest_deselected(items=left_out)
