"""Running local servers that the tests of a module share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from providers.base import ProviderContext, Server
from providers.local.provider import create
from tests.providers.support import make_context


@dataclass(frozen=True)
class Running:
    """Two running servers and what they were made from."""

    context: ProviderContext
    servers: tuple[Server, ...]

    def home(self, name: str = "web-1") -> Path:
        """The home directory of a server."""
        return self.context.state_dir / "servers" / name / "home"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two local servers, stopped when the module's tests are over."""
    context = make_context(
        tmp_path_factory.mktemp("local"), "provider: local\nuser: deploy\nservers: {'web-[1-2]': }\n"
    )
    provider = create(context)
    asyncio.run(provider.start())
    try:
        yield Running(context, tuple(asyncio.run(_list(provider))))
    finally:
        asyncio.run(provider.stop())


async def _list(provider: object) -> list[Server]:
    return list(await provider.list())  # type: ignore[attr-defined]


@pytest.fixture
def server(running: Running) -> Server:
    """One of the running servers."""
    return running.servers[0]
