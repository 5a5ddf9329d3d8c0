"""One authenticated SSH connection: the only door to asyncssh's connections and channels.

Invariants: a link is either open or gone for good (`gone`, with `lost_why`); sessions on it are counted
against what the server allows (MaxSessions), which is found out by being refused and remembered; a request
that is cancelled leaves no channel open behind it; a session whose receiver is behind reads nothing more
from the server until it has caught up, so what waits is bounded by the channel's window (2 MiB).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import asyncssh
from asyncssh.public_key import SSHKey

from core.ssh.failures import remote_text
from core.ssh.options import Resolved
from core.ssh.proxy import ProxyCommand
from core.ssh.slots import Slots

_CLOSE_WAIT_S = 3.0
_REFUSED_PAUSE_S = 0.05
_REFUSED_TRIES = 8

T = TypeVar("T")


class LinkGone(Exception):
    """The connection was lost before the request was made; nothing was sent. The text says why."""


class ChannelRefused(Exception):
    """The server does not open another channel; the text says why."""


@dataclass(slots=True)
class Ending:
    """How a remote command ended, as far as it is known. `lost` says why the connection went, or is None."""

    exit_status: int | None = None
    signal: str = ""
    lost: str | None = None

    @property
    def known(self) -> bool:
        """Whether the server told the end."""
        return self.exit_status is not None or bool(self.signal)


Receive = Callable[[bool, bytes], Awaitable[None] | None]
"""Gets output: whether it is stderr, and the bytes. Nothing more comes before what it returns is done."""


class ExecSession(asyncssh.SSHClientSession[bytes]):
    """The near end of a remote command. `receive(is_stderr, data)` gets its output as it arrives.

    `paused` is True while the receiver has asked for a pause: silence means nothing then.
    """

    def __init__(self, receive: Receive, on_closed: Callable[[], None]) -> None:
        self.ending = Ending()
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()
        self.received_bytes = 0
        self.on_end: Callable[[], None] | None = None
        """Told when the channel is closed, by whoever listens to nothing else of it."""
        self._receive = receive
        self._on_closed = on_closed
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._pause: asyncio.Future[None] | None = None

    @property
    def paused(self) -> bool:
        """Whether nothing is read for now."""
        return self._pause is not None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open."""
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Output arrived."""
        self.received_bytes += len(data)
        wait = self._receive(datatype == asyncssh.EXTENDED_DATA_STDERR, data)
        if wait is not None and self._pause is None and self._channel is not None:
            self._channel.pause_reading()
            self._pause = asyncio.ensure_future(wait)
            self._pause.add_done_callback(self._go_on)

    def _go_on(self, pause: asyncio.Future[None]) -> None:
        self._pause = None
        if not pause.cancelled():
            pause.exception()  # whatever it was, what was printed is still read
        if self._channel is not None and not self.closed.is_set():
            self._channel.resume_reading()

    def exit_status_received(self, status: int) -> None:
        """The command exited."""
        self.ending.exit_status = status
        self.exited.set()

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """The command was ended by a signal."""
        self.ending.signal = re.sub(r"[^A-Za-z0-9@.-]", "?", signal)[:40] or "UNKNOWN"
        self.exited.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed; with `exc` the connection went with it."""
        if exc is not None:
            self.ending.lost = remote_text(str(exc)) or type(exc).__name__
        self.exited.set()
        self.closed.set()
        if self._pause is not None:
            self._pause.cancel()
        self._on_closed()
        if self.on_end is not None:
            self.on_end()


@dataclass(slots=True)
class Channel:
    """A remote command and both its ends."""

    channel: asyncssh.SSHClientChannel[bytes]
    session: ExecSession

    def write(self, data: bytes) -> None:
        """Sends to its standard input. Raises LinkGone where the channel is closed; then nothing was sent."""
        try:
            self.channel.write(data)
        except OSError as error:
            raise LinkGone(self.session.ending.lost or str(error)) from None

    def write_eof(self) -> None:
        """Ends its standard input."""
        if not self.channel.is_closing():
            self.channel.write_eof()

    def close(self) -> None:
        """Closes the channel; the command is not signalled."""
        self.channel.close()


class Link:
    """A connection to one server or jump host.

    `spare` gives up a session that is kept for later use, when the server allows no more; it says whether
    there was one.
    """

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        resolved: Resolved,
        max_channels: int,
        proxy: ProxyCommand | None = None,
    ) -> None:
        self.resolved = resolved
        self.connection = connection
        self.lost_why = ""
        self.spare: Callable[[], bool] | None = None
        self._proxy = proxy
        self._slots = Slots(max_channels)

    @property
    def gone(self) -> bool:
        """Whether the connection is closed or lost."""
        return bool(self.lost_why) or self.connection.is_closed()

    @property
    def host_key(self) -> SSHKey | None:
        """The host key that the server proved."""
        return self.connection.get_server_host_key()

    @property
    def max_channels(self) -> int:
        """How many sessions at once the server is known or assumed to allow."""
        return self._slots.limit

    def allow_channels(self, most: int) -> None:
        """What is known of this server from an earlier connection."""
        self._slots.lower(most)

    def note_lost(self, error: Exception | None) -> None:
        """The connection ended; told once by whoever watches it."""
        self.lost_why = remote_text(str(error)) if error is not None else "the connection was closed"
        self._slots.fail(LinkGone(self.lost_why))

    # ------------------------------------------------------------ channels

    async def execute(self, command: str, receive: Receive, *, wait_s: float) -> Channel:
        """Runs a command line in a channel of its own.

        Waits up to `wait_s` seconds for a free session. Raises LinkGone, ChannelRefused.
        """

        async def create() -> Channel:
            session = ExecSession(receive, self._slots.free)
            created = False

            def factory() -> ExecSession:
                nonlocal created
                created = True
                return session

            try:
                channel, _ = await self.connection.create_session(
                    factory, command, encoding=None, request_pty=False
                )
            except BaseException:
                if not created:
                    self._slots.free()
                raise
            return Channel(channel, session)

        return await self._open(create, lambda channel: channel.close(), wait_s)

    @contextlib.asynccontextmanager
    async def sftp(self, *, wait_s: float) -> AsyncIterator[asyncssh.SFTPClient]:
        """An SFTP session, closed at the end. Raises LinkGone, ChannelRefused."""

        async def create() -> asyncssh.SFTPClient:
            try:
                client: asyncssh.SFTPClient = await self.connection.start_sftp_client()
            except BaseException:
                self._slots.free()
                raise
            return client

        def drop(client: asyncssh.SFTPClient) -> None:
            client.exit()
            self._slots.free()

        client = await self._open(create, drop, wait_s)
        try:
            yield client
        finally:
            drop(client)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WAIT_S):
                    await client.wait_closed()

    async def connect_onward(self, host: str, port: int) -> None:
        """Opens a TCP connection from the server and closes it. Raises LinkGone, asyncssh.ChannelOpenError."""
        if self.gone:
            raise LinkGone(self.lost_why)
        opening = asyncio.ensure_future(self.connection.open_connection(host, port))
        try:
            _, writer = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda done: _drop_late(done, lambda streams: streams[1].close()))
            raise
        except asyncssh.ChannelOpenError:
            if self.gone:
                raise LinkGone(self.lost_why) from None
            raise
        writer.close()

    async def close(self) -> None:
        """Closes the connection; what still runs on it is abandoned."""
        self.connection.close()
        try:
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self.connection.wait_closed()
        except TimeoutError:
            self.connection.abort()
            await self.connection.wait_closed()
        if self._proxy is not None:
            await self._proxy.close()

    async def _open(self, create: Callable[[], Awaitable[T]], drop: Callable[[T], None], wait_s: float) -> T:
        """Opens a session when there is room for it; `create` gives its slot back where it fails."""
        refused = ""
        for tries in range(_REFUSED_TRIES):
            if tries:
                await asyncio.sleep(_REFUSED_PAUSE_S * tries)
            await self._take(wait_s)
            opening = asyncio.ensure_future(create())
            try:
                return await asyncio.shield(opening)
            except asyncio.CancelledError:
                opening.add_done_callback(lambda done: _drop_late(done, drop))
                raise
            except asyncssh.ChannelOpenError as error:
                if self.gone:
                    raise LinkGone(self.lost_why) from None
                refused = remote_text(error.reason) or "refused"
            except (asyncssh.Error, OSError) as error:
                if self.gone:
                    raise LinkGone(self.lost_why) from None
                raise ChannelRefused(remote_text(str(error))) from None
            if self.spare is not None and self.spare():
                continue
            # A session that just ended may still count over there: the first refusal proves nothing.
            if tries and self._slots.used:
                self._slots.lower(self._slots.used)
        raise ChannelRefused(f"{self.resolved.name} opens no session: {refused}")

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for a session: one that is kept for later use should be given up."""
        return self._slots.wanted

    async def _take(self, wait_s: float) -> None:
        if self.gone:
            raise LinkGone(self.lost_why)
        if self._slots.full and self.spare is not None:
            self.spare()
        try:
            await self._slots.take(wait_s)
        except TimeoutError:
            raise ChannelRefused(
                f"{self.resolved.name} allows {self._slots.limit} sessions at once, "
                f"and none became free within {wait_s:g} s"
            ) from None


def _drop_late(done: asyncio.Future[T], drop: Callable[[T], None]) -> None:
    """Closes what was opened after nobody waited for it any more."""
    if not done.cancelled() and done.exception() is None:
        drop(done.result())
