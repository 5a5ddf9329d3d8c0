"""The conformance suite of the provider contract: every provider passes it.

A provider's tests subclass `ProviderConformance` and give the fixtures `factory`, `context` (settings with
at least two servers) and `faulty_context` (settings with at least two faults). Where the provider starts
servers (`starts_servers`), the suite starts and stops them for real.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from providers.base import (
    InputError,
    Provider,
    ProviderContext,
    ProviderError,
    ProviderFactory,
    Server,
    ServerState,
    refuse_group_name,
    refuse_label_key,
    refuse_label_value,
    refuse_server_name,
)

HOST_KEY = re.compile(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+=*")
SOURCE = re.compile(r".+:\d+")


class ProviderConformance:
    """What every provider does alike."""

    @pytest.fixture
    def factory(self) -> ProviderFactory:
        """The provider's `create`."""
        raise NotImplementedError

    @pytest.fixture
    def context(self) -> ProviderContext:
        """Good settings with at least two servers."""
        raise NotImplementedError

    @pytest.fixture
    def faulty_context(self) -> ProviderContext:
        """Settings with at least two faults."""
        raise NotImplementedError

    @pytest.fixture
    async def provider(self, factory: ProviderFactory, context: ProviderContext) -> AsyncIterator[Provider]:
        """The provider; whatever it started is stopped at the end."""
        provider = factory(context)
        yield provider
        if provider.starts_servers:
            await provider.stop()
        await provider.close()

    # ------------------------------------------------------------ listing

    async def test_it_describes_every_server_completely(self, provider: Provider) -> None:
        servers = await provider.list()
        assert len(servers) >= 2
        for server in servers:
            assert isinstance(server, Server)
            assert server.provider == provider.name
            assert not refuse_server_name(server.name)
            assert not any(refuse_group_name(group) for group in server.groups)
            assert len(set(server.groups)) == len(server.groups)
            assert not any(refuse_label_key(key) for key in server.labels)
            assert not any(refuse_label_value(value) for value in server.labels.values())
            assert isinstance(server.state, ServerState)
            assert SOURCE.fullmatch(server.source)

    async def test_it_says_how_to_reach_every_server(self, provider: Provider) -> None:
        for server in await provider.list():
            target = server.ssh
            assert target.address
            assert not target.address.startswith("-")
            assert target.port is None or 1 <= target.port <= 65535
            assert target.user is None or target.user
            assert all(path.is_absolute() for path in target.identity_files)
            assert all(HOST_KEY.fullmatch(key) for key in target.host_keys)
            assert target.ssh_config is None or target.ssh_config.is_absolute()

    async def test_names_are_unique(self, provider: Provider) -> None:
        names = [server.name for server in await provider.list()]
        assert len(set(names)) == len(names)

    async def test_listing_again_says_the_same(self, provider: Provider) -> None:
        assert await provider.list() == await provider.list()

    async def test_listing_at_the_same_time_says_the_same(self, provider: Provider) -> None:
        answers = await asyncio.gather(*(provider.list() for _ in range(5)))
        assert all(answer == answers[0] for answer in answers)

    async def test_another_instance_says_the_same(
        self, provider: Provider, factory: ProviderFactory, context: ProviderContext
    ) -> None:
        other = factory(context)
        try:
            assert await other.list() == await provider.list()
        finally:
            await other.close()

    async def test_every_fault_is_told_at_once_with_its_place(
        self, factory: ProviderFactory, faulty_context: ProviderContext
    ) -> None:
        provider = factory(faulty_context)
        with pytest.raises(InputError) as caught:
            await provider.list()
        await provider.close()
        faults = caught.value.faults
        assert len(faults) >= 2
        assert all(fault.line > 0 and fault.column > 0 and fault.message for fault in faults)
        places = [(fault.line, fault.column) for fault in faults]
        assert places == sorted(places)

    async def test_it_keeps_nothing_until_it_has_something_to_keep(
        self, provider: Provider, context: ProviderContext
    ) -> None:
        await provider.list()
        assert not context.state_dir.exists()

    # ------------------------------------------------------------ starting and stopping

    async def test_starting_makes_all_servers_run(self, provider: Provider) -> None:
        _needs_starting(provider)
        names = [server.name for server in await provider.list()]
        assert sorted(await provider.start()) == sorted(names)
        assert {server.state for server in await provider.list()} == {ServerState.STARTED}

    async def test_starting_again_changes_nothing(self, provider: Provider) -> None:
        _needs_starting(provider)
        await provider.start()
        before = await provider.list()
        await provider.start()
        assert await provider.list() == before

    async def test_one_server_starts_alone(self, provider: Provider) -> None:
        _needs_starting(provider)
        first, *others = [server.name for server in await provider.list()]
        assert list(await provider.start([first])) == [first]
        states = {server.name: server.state for server in await provider.list()}
        assert states[first] is ServerState.STARTED
        assert ServerState.STARTED not in {states[name] for name in others}

    async def test_one_server_stops_alone(self, provider: Provider) -> None:
        _needs_starting(provider)
        first, *others = await provider.start()
        assert list(await provider.stop([first])) == [first]
        states = {server.name: server.state for server in await provider.list()}
        assert states[first] is ServerState.STOPPED
        assert {states[name] for name in others} == {ServerState.STARTED}

    async def test_stopping_all_stops_what_runs_and_only_once(self, provider: Provider) -> None:
        _needs_starting(provider)
        running = await provider.start()
        assert sorted(await provider.stop()) == sorted(running)
        assert list(await provider.stop()) == []
        assert {server.state for server in await provider.list()} == {ServerState.STOPPED}

    async def test_servers_outlive_the_provider(
        self, provider: Provider, factory: ProviderFactory, context: ProviderContext
    ) -> None:
        _needs_starting(provider)
        first = factory(context)
        await first.start()
        await first.close()
        assert {server.state for server in await provider.list()} == {ServerState.STARTED}

    async def test_starting_an_unknown_server_is_bad_input(self, provider: Provider) -> None:
        _needs_starting(provider)
        with pytest.raises(InputError, match="no-such-server"):
            await provider.start(["no-such-server"])
        with pytest.raises(InputError, match="no-such-server"):
            await provider.stop(["no-such-server"])

    async def test_what_cannot_be_started_or_stopped_says_so(self, provider: Provider) -> None:
        if provider.starts_servers:
            pytest.skip("this provider starts servers")
        with pytest.raises(ProviderError):
            await provider.start()
        with pytest.raises(ProviderError):
            await provider.stop()

    async def test_closing_twice_is_fine(self, provider: Provider) -> None:
        await provider.close()
        await provider.close()


def _needs_starting(provider: Provider) -> None:
    if not provider.starts_servers:
        pytest.skip("this provider does not start servers")
