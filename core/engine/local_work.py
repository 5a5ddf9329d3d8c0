"""Work that the engine does itself: HTTP waits, on the server named `engine`.

`RoutingExecutor` sends each attempt where it belongs: to the engine's own executor or to the servers'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from core.engine.executor import (
    NO_TRACE,
    Answer,
    Ended,
    Executor,
    Found,
    HttpProbe,
    InDoubt,
    NotStarted,
    OutputSink,
    ServerFacts,
    StopAnswer,
    Stopped,
    Trace,
    Work,
)
from core.model.ids import ENGINE_SERVER, AttemptRef
from core.model.states import Stream
from providers.base import Server

if TYPE_CHECKING:
    import httpx

BODY_LIMIT_BYTES = 1024 * 1024


class LocalExecutor:
    """Runs probes from the engine's own process; they change nothing, so doubt does not arise."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def open(self, server: Server) -> ServerFacts:
        """The engine is always there."""
        return ServerFacts()

    def at_hand(self, server: Server) -> ServerFacts | None:
        """The engine is always there."""
        return ServerFacts()

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        """Asks once."""
        if not isinstance(work, HttpProbe):
            return NotStarted(f"the engine itself runs no {type(work).__name__.lower()}")
        answer, told = await self._get(work)
        sink(Stream.STDOUT, 0, f"{told}\n".encode())
        return answer

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
        """A probe is simply made again."""
        return NotStarted("a probe is made again")

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        """A probe that was not made changes nothing."""
        return NotStarted("a probe changes nothing")

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        """Nothing outlives a probe."""
        return Stopped("a probe leaves no process")

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        """Nothing is kept."""

    async def close(self, *, over: bool = False) -> None:
        """Closes the HTTP client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _get(self, probe: HttpProbe) -> tuple[Answer, str]:
        import httpx

        if self._client is None:
            # No proxy and no credentials from the environment: a probe sees what it is told to see.
            self._client = httpx.AsyncClient(follow_redirects=False, trust_env=False)
        try:
            async with self._client.stream("GET", probe.url, timeout=probe.timeout_s) as response:
                body = b""
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > BODY_LIMIT_BYTES:
                        break
        except httpx.InvalidURL as error:
            why = f"{probe.url!r} is not a URL: {error}"
        except httpx.HTTPError as error:
            why = f"GET {probe.url}: {error or type(error).__name__}"
        else:
            told = f"GET {probe.url}: {response.status_code}, {len(body)} bytes"
            if response.status_code not in probe.status:
                why = f"{told}; wanted {', '.join(map(str, probe.status))}"
            elif probe.contains and probe.contains.encode() not in body:
                why = f"{told}; it does not contain {probe.contains!r}"
            else:
                return Ended(0, evidence=told), told
        return Ended(1, why=why), why


class RoutingExecutor:
    """Two executors as one: `engine` to the engine's own, every other server to the servers' executor."""

    def __init__(self, servers: Executor, engine: Executor) -> None:
        self._servers = servers
        self._engine = engine

    def _of(self, server: Server) -> Executor:
        return self._engine if server.name == ENGINE_SERVER else self._servers

    async def open(self, server: Server) -> ServerFacts:
        """See Executor.open."""
        return await self._of(server).open(server)

    def at_hand(self, server: Server) -> ServerFacts | None:
        """See Executor.at_hand."""
        return self._of(server).at_hand(server)

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        """See Executor.start."""
        return await self._of(server).start(server, ref, work, sink, trace)

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
        """See Executor.attach."""
        return await self._of(server).attach(server, ref, work, offsets, sink, trace, found)

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        """See Executor.void."""
        return await self._of(server).void(server, ref, trace)

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        """See Executor.stop."""
        return await self._of(server).stop(server, ref, grace_s, work, trace)

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        """See Executor.forget."""
        await self._of(server).forget(server, ref)

    async def close(self, *, over: bool = False) -> None:
        """Closes both."""
        await self._servers.close(over=over)
        await self._engine.close(over=over)
