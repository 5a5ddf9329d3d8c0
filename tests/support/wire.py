"""A TCP proxy on 127.0.0.1 between a client and a server: cut, or frozen so that a connection is half open.

`async with Wire.to(port) as wire:` accepts on `wire.port`. `freeze` stops forwarding and closes nothing, as a
firewall that forgot the connection does; `thaw` goes on, with every byte that was held; `cut` resets every
connection, and `refuse` makes new ones end at once until `accept` is called.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from providers.base import Server

BLOCK_BYTES = 65536


class Wire:
    """A running proxy."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.accepted = 0
        """How many connections were made through it."""
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Wire]:
        """A proxy to a port of 127.0.0.1; it cuts every connection at the end."""
        wire = cls(port)
        listening = await asyncio.start_server(wire._accept, "127.0.0.1", 0)
        wire.port = listening.sockets[0].getsockname()[1]
        try:
            yield wire
        finally:
            listening.close()
            wire.cut()
            for task in wire._tasks:
                task.cancel()
            await asyncio.gather(*wire._tasks, return_exceptions=True)
            await listening.wait_closed()

    def server(self, server: Server) -> Server:
        """The same server, reached through this proxy. Its host key must be pinned or known under a name."""
        return replace(server, ssh=replace(server.ssh, address="127.0.0.1", port=self.port))

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._writers) // 2

    def freeze(self) -> None:
        """Forwards nothing any more; nobody is told."""
        self._open.clear()

    def thaw(self) -> None:
        """Goes on forwarding."""
        self._open.set()

    def refuse(self) -> None:
        """New connections are closed at once."""
        self._refusing = True

    def accept(self) -> None:
        """New connections are forwarded again."""
        self._refusing = False

    def cut(self) -> None:
        """Resets every connection on both sides."""
        for writer in list(self._writers):
            raw = writer.get_extra_info("socket")
            if raw is not None:
                with contextlib.suppress(OSError):
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self._refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers |= {writer, far_writer}
            await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        except OSError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(BLOCK_BYTES):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            await self._open.wait()
        except OSError:
            pass
        finally:
            writer.close()
            self._writers.discard(writer)
