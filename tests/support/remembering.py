"""Servers in memory that keep records: their commands outlive connections and engines.

`servers.commands[ref]` is what became of an attempt; `go(step)` lets commands of a step end, `lose(server)` and
`find(server)` break the connection to a server and bring it back. Output is what the rule says, in two
pieces: one at the start, one at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from core.engine.executor import (
    NO_TRACE,
    Answer,
    Command,
    Ended,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    ServerFacts,
    StopAnswer,
    Stopped,
    Trace,
    Unreachable,
    Work,
)
from core.model.ids import AttemptRef
from core.model.states import Stream
from providers.base import Server

FIRST, LAST = b"begun\n", b"ended\n"


@dataclass
class Remembered:
    """One command on its server."""

    end: int
    over: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: bool = False

    @property
    def output(self) -> bytes:
        return FIRST + LAST if self.over.is_set() else FIRST


@dataclass
class RememberingServers:
    """`end(ref)` is the exit status of a command, None for one that runs until it is let go with 0."""

    end: Callable[[AttemptRef], int | None] = lambda ref: 0
    elapsed_s: float = 0.0
    commands: dict[AttemptRef, Remembered] = field(default_factory=dict)
    stops: list[AttemptRef] = field(default_factory=list)
    lost: dict[str, asyncio.Event] = field(default_factory=dict)
    shut: asyncio.Event | None = None
    """Where there is one, a session opens only once it is set."""
    judge: asyncio.Event | None = None
    """Where there is one, guards end only once it is set."""

    def executor(self, _scope: object = None) -> RememberingExecutor:
        return RememberingExecutor(self)

    def go(self, step: str) -> None:
        """Lets the commands of a step end well."""
        for ref, command in self.commands.items():
            if ref.step == step:
                command.over.set()

    def lose(self, server: str) -> None:
        """Breaks the connection to a server, which stays away."""
        self.lost.setdefault(server, asyncio.Event()).set()

    def find(self, server: str) -> None:
        """Brings a server back."""
        self.lost.pop(server).set()

    def ran(self, step: str) -> list[str]:
        """Which attempts of a step ran: `server purpose attempt`."""
        return [
            f"{ref.server} {ref.purpose.value} {ref.attempt}" for ref in self.commands if ref.step == step
        ]


class RememberingExecutor:
    """See core.engine.executor.Executor."""

    def __init__(self, servers: RememberingServers) -> None:
        self._servers = servers

    async def open(self, server: Server) -> ServerFacts:
        if self._servers.shut is not None:
            await self._servers.shut.wait()
        if server.name in self._servers.lost:
            raise Unreachable(f"{server.name}: connection refused")
        return ServerFacts(boot_id="boot-1", folder="/run/folder")

    def at_hand(self, server: Server) -> ServerFacts | None:
        return None

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        if isinstance(work, Command) and work.repeats:
            if self._servers.judge is not None:
                await self._servers.judge.wait()
            return Ended(self._servers.end(ref) or 0)
        assert ref not in self._servers.commands, f"{ref} is started twice"
        end = self._servers.end(ref)
        command = self._servers.commands[ref] = Remembered(end or 0)
        if end is not None:
            command.over.set()
        return await self._follow(server, ref, command, {}, sink)

    async def attach(
        self,
        server: Server,
        ref: AttemptRef,
        work: Work,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace = NO_TRACE,
        found: Found | None = None,
    ) -> Answer:
        await self.open(server)
        assert trace == Trace("boot-1", "/run/folder")
        command = self._servers.commands.get(ref)
        if command is None:
            return NotStarted("it never started, and never will")
        if found is not None and not command.over.is_set():
            found(self._servers.elapsed_s)
        return await self._follow(server, ref, command, offsets, sink)

    async def _follow(
        self,
        server: Server,
        ref: AttemptRef,
        command: Remembered,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
    ) -> Answer:
        at = offsets.get(Stream.STDOUT, 0)
        if command.output[at:]:
            sink(Stream.STDOUT, at, command.output[at:])
        at = max(at, len(command.output))
        while not command.over.is_set():
            if server.name in self._servers.lost:
                return InDoubt("the connection was lost", lost=True)
            await asyncio.sleep(0.005)
        if server.name in self._servers.lost:
            return InDoubt("the connection was lost", lost=True)
        if command.output[at:]:
            sink(Stream.STDOUT, at, command.output[at:])
        return Ended(143 if command.stopped else command.end)

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        return NotStarted("never")

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        self._servers.stops.append(ref)
        command = self._servers.commands.get(ref)
        if command is not None and not command.over.is_set():
            command.stopped = True
            command.over.set()
        return Stopped("its process group ended after TERM")

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        return None

    async def close(self, *, over: bool = False) -> None:
        return None
