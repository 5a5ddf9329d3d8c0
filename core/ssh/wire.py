"""How packets leave: those of one turn of the loop together, and none for nothing.

asyncssh writes each packet by itself, and puts an empty one (SSH_MSG_IGNORE) before each. Each is a call of
the system here and wakes the server's process, which costs more than all that is in it. The empty ones
protect ciphers in CBC mode alone (RFC 4251, section 9.3.1), so they stay there and go everywhere else.

A `Way` stands where asyncssh takes a connection to tunnel through: anything that makes connections will do.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, cast

import asyncssh
from asyncssh.constants import MSG_IGNORE
from asyncssh.packet import SSHPacketLogger

Maker = Callable[..., Any]
"""Makes one end of a connection: an asyncio protocol, or what asyncssh takes for one over a tunnel."""


class Gathered(asyncio.Transport):
    """A transport that sends what is written within a turn of the loop at once; all else is the inner one's.

    Order and flow control are the inner transport's. What was written before `close` or `abort` is handed on
    before either.
    """

    def __init__(self, inner: asyncio.Transport) -> None:
        super().__init__()
        self._inner = inner
        self._parts: list[bytes] = []
        self._loop = asyncio.get_running_loop()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Sends it before the loop looks for events again."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(bytes(data))

    def flush(self) -> None:
        """Hands on what was written."""
        if self._parts:
            data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            self._inner.write(data)

    def write_eof(self) -> None:
        """Ends the stream."""
        self.flush()
        self._inner.write_eof()

    def can_write_eof(self) -> bool:
        """Whether the stream can be ended."""
        return self._inner.can_write_eof()

    def close(self) -> None:
        """Closes when all is sent."""
        self.flush()
        self._inner.close()

    def abort(self) -> None:
        """Closes at once."""
        self.flush()
        self._inner.abort()

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._inner.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the inner transport knows."""
        return self._inner.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Reads no more for now."""
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        """Reads on."""
        self._inner.resume_reading()


class Way:
    """The way to a server: over the network, over a socket that is there, or through another connection."""

    def __init__(
        self,
        *,
        family: int = 0,
        local_addr: tuple[str, int] | None = None,
        sock: socket.socket | None = None,
        through: asyncssh.SSHClientConnection | None = None,
    ) -> None:
        self._family = family
        self._local_addr = local_addr
        self._sock = sock
        self._through = through

    async def create_connection(self, session_factory: Maker, host: str, port: int) -> tuple[Any, Any]:
        """Connects (see asyncio and asyncssh). Raises OSError, asyncssh.Error."""
        made: list[Any] = []

        def factory() -> Any:
            connection = session_factory()
            _send_sparingly(connection)
            connection_made = connection.connection_made

            def gather(transport: Any) -> None:
                connection_made(Gathered(transport))

            connection.connection_made = gather
            made.append(connection)
            return connection

        if self._through is not None:
            return cast(
                "tuple[Any, Any]", await self._through.create_connection(cast(Any, factory), host, port)
            )
        loop = asyncio.get_running_loop()
        if self._sock is not None:
            return await loop.create_connection(factory, sock=self._sock)
        return await loop.create_connection(
            factory, host, port, family=self._family, local_addr=self._local_addr
        )


def _send_sparingly(connection: Any) -> None:
    """Lets a connection of asyncssh send no empty packets where its cipher does not need them."""
    send = connection.send_packet

    def send_packet(pkttype: int, *args: bytes, handler: SSHPacketLogger | None = None) -> None:
        if pkttype == MSG_IGNORE and not connection.get_extra_info("send_cipher", "").endswith("-cbc"):
            return
        send(pkttype, *args, handler=_QUIET)

    connection.send_packet = send_packet


class _Quiet(SSHPacketLogger):
    """Writes no packets into logs: nobody asks for that here, and to find that out costs as much again."""

    def log_sent_packet(self, pkttype: int, pktid: int | None, packet: Any, note: str = "") -> None:
        """Nothing is written."""


_QUIET = _Quiet()
