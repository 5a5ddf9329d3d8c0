"""One local server: an SSH server on a loopback port with a home, a host key and one key that logs in."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from providers.local.children import Children
from providers.local.environment import session_environment
from providers.local.layout import MARKER
from providers.local.session import Session

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
PORTS = range(20_000, 32_000)
"""Below the ports that systems hand out to outgoing connections, so that a port can be kept."""
PORT_TRIES = 64
MAX_CONNECTIONS = 256
MAX_SESSIONS = 128
LOGIN_TIMEOUT_S = 30


class Host:
    """One server while it runs: its listener and its connections."""

    def __init__(
        self, name: str, user: str, home: Path, mark: str, login_key: asyncssh.SSHKey, children: Children
    ) -> None:
        self.name = name
        self.user = user
        self.home = home
        self.mark = mark
        self.login_key = login_key.public_data
        self.children = children
        self.port = 0
        self.accepting = True
        self.connections: set[asyncssh.SSHServerConnection] = set()
        self._acceptor: asyncssh.SSHAcceptor | None = None

    async def open(self, host_key: asyncssh.SSHKey, port: int) -> None:
        """Listens, on `port` where it is free and on another one otherwise. Raises OSError."""
        listener = bind(port)
        self.port = listener.getsockname()[1]
        try:
            self._acceptor = await asyncssh.listen(
                sock=listener,
                server_factory=lambda: _Connection(self),
                server_host_keys=[host_key],
                server_version="Windlass_local",
                encoding=None,
                line_editor=False,
                allow_pty=True,
                agent_forwarding=False,
                x11_forwarding=False,
                password_auth=False,
                kbdint_auth=False,
                host_based_auth=False,
                gss_host=None,
                login_timeout=LOGIN_TIMEOUT_S,
                config=None,
            )
        except BaseException:
            listener.close()
            raise

    def stop_listening(self) -> None:
        """Takes no more connections and starts no more commands; what runs goes on."""
        self.accepting = False
        if self._acceptor is not None:
            self._acceptor.close()

    async def close(self) -> None:
        """Closes the listener and every connection."""
        self.stop_listening()
        for connection in list(self.connections):
            connection.abort()
        if self._acceptor is not None:
            await self._acceptor.wait_closed()

    def environment(
        self, client: Mapping[bytes, bytes], connection: object, terminal: tuple[str, str] | None
    ) -> dict[str, str]:
        """The environment of a command on this server."""
        peer = (ADDRESS, 0)
        if isinstance(connection, asyncssh.SSHServerConnection):
            peer = tuple(connection.get_extra_info("peername", peer)[:2])
        return session_environment(
            user=self.user,
            home=self.home,
            mark=(MARKER, self.mark),
            client=client,
            connection=(str(peer[0]), int(peer[1]), ADDRESS, self.port),
            terminal=terminal,
        )


class _Connection(asyncssh.SSHServer):
    """One client's connection: only the workspace's key logs in; forwarding goes to loopback only."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._conn: asyncssh.SSHServerConnection | None = None
        self._sessions: list[Session] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        if len(self._host.connections) >= MAX_CONNECTIONS:
            log.warning("%s: more than %d connections; one is refused", self._host.name, MAX_CONNECTIONS)
            asyncio.get_running_loop().call_soon(conn.abort)
        self._conn = conn
        self._host.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._conn is not None:
            self._host.connections.discard(self._conn)

    def begin_auth(self, username: str) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == self._host.user and key.public_data == self._host.login_key

    def session_requested(self) -> Session | bool:
        self._sessions = [session for session in self._sessions if session.open]
        if len(self._sessions) >= MAX_SESSIONS or not self._host.accepting:
            return False
        session = Session(self._host)
        self._sessions.append(session)
        return session

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return dest_host in LOOPBACK


def bind(port: int) -> socket.socket:
    """A socket bound to a loopback port: `port` where it is free, another one otherwise. Raises OSError."""
    candidates = [port] if port else []
    candidates += random.sample(PORTS, PORT_TRIES)
    for candidate in [*candidates, 0]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((ADDRESS, candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES) or candidate == 0:
                raise
        else:
            listener.setblocking(False)
            return listener
    raise OSError(errno.EADDRINUSE, "no loopback port is free")
