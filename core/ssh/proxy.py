"""A `ProxyCommand` of ssh_config: a local program whose input and output are the way to the server.

It runs as ssh runs it (`exec` in /bin/sh, a session of its own) with one end of a socket pair; what it says
on stderr is kept, bounded, for the words of a failure. `close` ends its process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

MAX_SAID_BYTES = 4096
_END_WAIT_S = 1.0


class ProxyCommand:
    """A running proxy command."""

    def __init__(self, process: asyncio.subprocess.Process, ours: socket.socket) -> None:
        self.socket = ours
        self._process = process
        self._said = bytearray()
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, command: str) -> ProxyCommand:
        """Starts the command. Raises OSError."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                "/bin/sh",
                "-c",
                f"exec {command}",
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        return cls(process, ours)

    async def said(self) -> str:
        """What it wrote to stderr; waits a moment for a command that is just ending."""
        await asyncio.wait([self._listening], timeout=_END_WAIT_S)
        return bytes(self._said).decode("utf-8", "replace")

    async def close(self) -> None:
        """Ends the command and everything in its process group."""
        self.socket.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_END_WAIT_S):
                    await self._process.wait()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        # Until its stderr has ended too, or a process that it left elsewhere holds it open.
        await asyncio.wait([self._listening], timeout=_END_WAIT_S)
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        stream = self._process.stderr
        while stream is not None and (data := await stream.read(MAX_SAID_BYTES)):
            self._said += data
            del self._said[:-MAX_SAID_BYTES]
