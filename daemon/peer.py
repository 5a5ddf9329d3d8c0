"""Who is at the other end of the Unix socket: asked of the kernel (SO_PEERCRED), once for each connection."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

from daemon.context import SOCKET_HOST


class PeerProtocol(H11Protocol):
    """uvicorn's protocol, with uid and pid of a socket's client in the place of its address."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client connected."""
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family == socket.AF_UNIX:
            uid, pid = peer_of(connection)
            self.client = (f"{SOCKET_HOST}:{uid}:{pid}", 0)


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Uid and pid of the process that connected; ours and 0 where the system cannot tell.

    The socket is private (0600 in a 0700 folder), so who connects where it cannot be told has our account.
    """
    if hasattr(socket, "SO_PEERCRED"):
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid, uid, _ = struct.unpack("3i", found)
        return uid, pid
    return os.getuid(), 0
