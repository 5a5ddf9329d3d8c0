"""An executor in memory: commands are looked up by a rule, their effects recorded in a list.

It behaves like servers do, as far as the seam goes: a command that was handed over has its effect,
whether or not anyone hears of its end.
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

OK = Ended(0)
Rule = Callable[[AttemptRef, Work], "Reply | None"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command does: its answer, what it prints, and an event that it waits for.

    `pieces` are printed after `output`, each at its offset, so that holes can be made.
    """

    answer: Answer = OK
    output: bytes = b""
    pieces: tuple[tuple[int, bytes], ...] = ()
    until: asyncio.Event | None = None


@dataclass
class MemoryServers:
    """The servers of one test, outliving engines. `effects` lists what was handed over, in order."""

    rule: Rule = lambda ref, work: None
    unreachable: set[str] = field(default_factory=set)
    effects: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    stops: list[str] = field(default_factory=list)

    def executor(self, _scope: object = None) -> MemoryExecutor:
        """A new session with all of them."""
        return MemoryExecutor(self)


class MemoryExecutor:
    """See core.engine.executor.Executor."""

    def __init__(self, servers: MemoryServers) -> None:
        self._servers = servers
        self._stopping: dict[AttemptRef, asyncio.Event] = {}

    async def open(self, server: Server) -> ServerFacts:
        if server.name in self._servers.unreachable:
            raise Unreachable(f"{server.name}: connection refused")
        return ServerFacts(boot_id="boot-1")

    def at_hand(self, server: Server) -> ServerFacts | None:
        return None

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        reply = self._servers.rule(ref, work) or Reply()
        if isinstance(reply.answer, NotStarted):
            return reply.answer
        text = work.text if isinstance(work, Command) else type(work).__name__
        self._servers.effects.append(f"{ref.step}@{ref.server} {ref.purpose} {ref.attempt}: {text}")
        self._servers.at_once += 1
        self._servers.most_at_once = max(self._servers.most_at_once, self._servers.at_once)
        try:
            await asyncio.sleep(0)
            if reply.output:
                sink(Stream.STDOUT, 0, reply.output)
            for offset, data in reply.pieces:
                sink(Stream.STDOUT, offset, data)
            if reply.until is not None:
                stopping = self._stopping.setdefault(ref, asyncio.Event())
                waits = [asyncio.ensure_future(event.wait()) for event in (reply.until, stopping)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                if stopping.is_set():
                    return Ended(143, "TERM")
            return reply.answer
        finally:
            self._servers.at_once -= 1
            self._stopping.pop(ref, None)

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
        return InDoubt("no record is kept in memory")

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        return InDoubt("no record is kept in memory")

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        self._servers.stops.append(str(ref))
        if ref in self._stopping:
            self._stopping[ref].set()
        return Stopped("it stopped waiting")

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        return None

    async def close(self, *, over: bool = False) -> None:
        return None
