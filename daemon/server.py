"""Serves an engine: the REST API on its Unix socket, and over TCP where that is asked for.

Signals belong to whoever runs the engine, not to uvicorn; the API is the last thing that closes, so that
followers see the end of what they follow.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Generator, Sequence

import uvicorn

from daemon.app import make_app
from daemon.context import Served
from daemon.peer import PeerProtocol
from daemon.sockets import Tls

CLOSE_WAIT_S = 2
AT_ONCE = 1024
"""How many connections and requests are served at once; beyond that they are answered 503."""


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals alone and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens."""
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Captures none."""
        yield


@contextlib.asynccontextmanager
async def serving(
    served: Served, sockets: Sequence[socket.socket], tls: Tls | None = None
) -> AsyncIterator[None]:
    """Serves on these sockets as long as the context is open; then answers what was asked, and closes."""
    config = uvicorn.Config(
        make_app(served),
        http=PeerProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who asks is told by the kernel or by a token, never by a header
        date_header=True,
        timeout_graceful_shutdown=CLOSE_WAIT_S,
        limit_concurrency=AT_ONCE,
        ssl_certfile=tls.certificate if tls is not None else None,
        ssl_keyfile=tls.key if tls is not None else None,
    )
    server = _Server(config)
    task = asyncio.ensure_future(server.serve(list(sockets)))
    begun = asyncio.ensure_future(server.listening.wait())
    try:
        await asyncio.wait([task, begun], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield
    finally:
        begun.cancel()
        server.should_exit = True
        await asyncio.wait([task])
