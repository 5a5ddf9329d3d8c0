"""Connections to servers: one for each server and run, made when first asked for, made again when lost.

Invariants: whoever asks for the same server at the same time shares one attempt; at most
`parallel_connects` handshakes run at once; a server that turns us away during the handshake is asked again
after a random, growing pause, a bounded number of times; jump hosts are connected to once and shared; how
many sessions a server allows is remembered when its connection is made again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from core.engine.executor import Unreachable
from core.ssh.algorithms import order_host_keys
from core.ssh.dial import dial, may_pass
from core.ssh.failures import Attempt, Stage, classify
from core.ssh.hostkeys import PresentedKey, Trust, fingerprint, one_line, trust_of
from core.ssh.keys import KeyRing, Tried
from core.ssh.link import Link
from core.ssh.options import Resolved, resolve, route
from core.ssh.programs import foreign_program
from core.ssh.settings import SshSettings
from core.ssh.shared import Shared
from providers.base import Server, SshTarget

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Connection(Generic[T]):
    """An open connection to a server, with what was prepared on it."""

    link: Link
    prepared: T


@dataclass(slots=True)
class _Entry(Generic[T]):
    target: SshTarget
    attempt: Shared[Connection[T]]


class SshPool(Generic[T]):
    """The connections of one run.

    `prepare` is run once on every new connection, as part of the attempt; what it returns is kept with it.
    """

    def __init__(
        self,
        settings: SshSettings,
        prepare: Callable[[Server, Link], Awaitable[T]],
        source: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self._prepare = prepare
        self._random = source or random.SystemRandom()
        self._keys = KeyRing()
        self._connecting = asyncio.Semaphore(settings.parallel_connects)
        self._entries: dict[str, _Entry[T]] = {}
        self._jumps: dict[tuple[str, ...], Shared[Link]] = {}
        self._most_channels: dict[SshTarget, int] = {}
        self._closed = False

    async def open(self, server: Server) -> Connection[T]:
        """The server's connection. Raises Unreachable."""
        if self._closed:
            raise Unreachable(f"{server.name}: the run's connections are closed")
        entry = self._entries.get(server.name)
        if entry is None or entry.target != server.ssh or _useless(entry.attempt):
            if entry is not None:
                await self._drop(entry)
                if self._entries.get(server.name) is not entry:
                    return await self.open(server)
            entry = self._entries[server.name] = _Entry(server.ssh, Shared(self._open(server)))
        return await entry.attempt.wait()

    def current(self, server: Server) -> Connection[T] | None:
        """The server's connection where one is open now."""
        entry = self._entries.get(server.name)
        connection = entry.attempt.value if entry is not None else None
        return connection if connection is not None and not connection.link.gone else None

    def connections(self) -> list[Connection[T]]:
        """Every connection that is open now."""
        values = (entry.attempt.value for entry in self._entries.values())
        return [connection for connection in values if connection is not None and not connection.link.gone]

    async def another(self, server: Server) -> Link:
        """A connection of its own, beside the pool's; the caller closes it. Raises Unreachable."""
        resolved = self._resolved(server)
        return await self._connect(resolved, trust_of(resolved, self.settings.known_hosts))

    async def host_key(self, server: Server) -> PresentedKey:
        """The key that the server shows now; it is not trusted by this. Raises Unreachable."""
        resolved = self._resolved(server)
        known = trust_of(resolved, self.settings.known_hosts)
        # Known keys are left out so that every key is shown; only their algorithms are asked for first.
        ordered = order_host_keys(resolved.algorithms.host_keys, known.algorithms, authority=False)
        resolved = replace(resolved, own_algorithms=replace(resolved.algorithms, host_keys=tuple(ordered)))
        attempt = await self._attempt(resolved, Trust(known.known_as))
        try:
            link = await self._dial_patiently(attempt)
        except Unreachable:
            if attempt.shown is None:
                raise
        else:
            await link.close()
        if attempt.shown is None:
            raise Unreachable(f"{attempt.who} showed no host key")
        return PresentedKey(
            server=server.name,
            address=resolved.address,
            port=resolved.port,
            known_as=resolved.known_as,
            key=one_line(attempt.shown),
            fingerprint=fingerprint(attempt.shown),
        )

    async def close(self) -> None:
        """Ends every attempt and closes every connection."""
        self._closed = True
        entries, self._entries = list(self._entries.values()), {}
        await asyncio.gather(*(self._drop(entry) for entry in entries))
        jumps, self._jumps = list(self._jumps.values()), {}
        for jump in reversed(jumps):
            await jump.cancel()
            if jump.value is not None:
                await jump.value.close()

    # ------------------------------------------------------------ making one

    async def _open(self, server: Server) -> Connection[T]:
        resolved = self._resolved(server)
        link = await self._connect(resolved, trust_of(resolved, self.settings.known_hosts))
        link.allow_channels(self._most_channels.get(server.ssh, link.max_channels))
        try:
            return Connection(link, await self._prepare(server, link))
        except BaseException:
            await link.close()
            raise

    async def _drop(self, entry: _Entry[T]) -> None:
        await entry.attempt.cancel()
        connection = entry.attempt.value
        if connection is not None:
            if connection.link.max_channels < self.settings.parallel_channels:
                self._most_channels[entry.target] = connection.link.max_channels
            await connection.link.close()

    def _resolved(self, server: Server) -> Resolved:
        resolved = resolve(server)
        self._refuse(resolved)
        return resolved

    async def _connect(self, resolved: Resolved, trust: Trust) -> Link:
        return await self._dial_patiently(await self._attempt(resolved, trust))

    async def _attempt(self, resolved: Resolved, trust: Trust) -> _Prepared:
        """An attempt at a server, with the jump hosts on the way connected. Raises Unreachable."""
        try:
            through = await self._jump(resolved)
        except Unreachable as error:
            raise Unreachable(
                f"{resolved.name}: {error.why}", hint=error.hint, credentials=error.credentials
            ) from error
        return self._prepared(resolved, trust, through, jump=False)

    def _prepared(self, resolved: Resolved, trust: Trust, through: Link | None, *, jump: bool) -> _Prepared:
        return _Prepared(
            resolved=resolved,
            trust=trust,
            timeout_s=resolved.connect_timeout_s or self.settings.connect_timeout_s,
            jump=jump,
            via=f"the jump host {through.resolved.name}" if through is not None else "",
            through=through,
        )

    async def _dial_patiently(self, attempt: _Prepared) -> Link:
        """Dials, again where the server turned us away in the handshake. Raises Unreachable."""
        for tries in range(1, self.settings.connect_attempts + 1):
            now = replace(attempt, stage=Stage.CONNECT, shown=None, tried=Tried(), proxy_said="")
            try:
                async with self._connecting:
                    return await dial(now, self.settings, self._keys, attempt.through)
            except Exception as error:
                attempt.shown = now.shown
                if tries == self.settings.connect_attempts or not may_pass(error, now):
                    raise classify(error, now) from error
            longest_s = min(self.settings.retry_max_s, self.settings.retry_base_s * 2 ** (tries - 1))
            await asyncio.sleep(longest_s * self._random.uniform(0.25, 1.0))
        raise AssertionError("a server is asked at least once")

    # ------------------------------------------------------------ jump hosts

    async def _jump(self, resolved: Resolved) -> Link | None:
        """The link to the last jump host before `resolved`, None where there is none. Raises Unreachable."""
        try:
            hops = route(resolved)
        except ValueError as error:
            raise Unreachable(
                str(error), hint="do jump hosts lead to each other? see ProxyJump in ssh_config"
            ) from None
        link: Link | None = None
        way: tuple[str, ...] = ()
        for hop in hops:
            self._refuse(hop)
            way = (*way, f"{hop.lookup} {hop.at}")
            shared = self._jumps.get(way)
            if shared is None or _useless(shared):
                shared = self._jumps[way] = Shared(self._connect_jump(hop, link))
            link = await shared.wait()
        return link

    def _refuse(self, resolved: Resolved) -> None:
        """Raises Unreachable for what cannot be followed, and for programs that are not the user's own."""
        _refuse_faults(resolved)
        program = "" if self.settings.foreign_programs else foreign_program(resolved)
        if program:
            raise Unreachable(
                f"{resolved.name}: {program} is not run: the workspace that names it is not trusted",
                hint="look at what it names, then: `windlass workspace trust`",
            )

    async def _connect_jump(self, hop: Resolved, through: Link | None) -> Link:
        trust = trust_of(hop, self.settings.known_hosts)
        return await self._dial_patiently(self._prepared(hop, trust, through, jump=True))


@dataclass(slots=True)
class _Prepared(Attempt):
    """An attempt and the link that it goes through."""

    through: Link | None = None


def _refuse_faults(resolved: Resolved) -> None:
    if resolved.faults:
        raise Unreachable(
            f"{resolved.name}: ssh_config cannot be followed: {'; '.join(map(str, resolved.faults))}",
            hint="correct the file: ssh refuses it as well",
        )


def _useless(attempt: Shared[Connection[T]] | Shared[Link]) -> bool:
    """Whether the attempt failed, or what it made is lost."""
    if not attempt.done:
        return False
    value = attempt.value
    if value is None:
        return True
    return value.gone if isinstance(value, Link) else value.link.gone


async def fetch_host_key(server: Server, settings: SshSettings) -> PresentedKey:
    """The key that a server shows now, also through jump hosts; not trusted by this. Raises Unreachable."""

    async def nothing(server: Server, link: Link) -> None:
        return None

    pool = SshPool(settings, nothing)
    try:
        return await pool.host_key(server)
    finally:
        await pool.close()
