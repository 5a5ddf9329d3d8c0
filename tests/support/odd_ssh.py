"""An SSH server in the test's own process, for what well-behaved servers do not do.

`behave(process)` gets every exec request. `run_shell` is a behaviour that runs /bin/sh as a careless
server would: in the server's own process group.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from providers.base import Server, SshTarget
from tests.support.sshd import one_line, write_key

Behaviour = Callable[[asyncssh.SSHServerProcess[bytes]], Coroutine[Any, Any, None]]


@dataclass(slots=True)
class OddServer:
    """A running server."""

    port: int
    user_key: Path
    host_key: asyncssh.SSHKey

    def server(self, name: str = "odd") -> Server:
        """The server as a provider describes it."""
        target = SshTarget(
            address="127.0.0.1",
            port=self.port,
            user="deploy",
            identity_files=(self.user_key,),
            host_keys=(one_line(self.host_key),),
            use_ssh_config=False,
        )
        return Server(name=name, provider="test", ssh=target)


@asynccontextmanager
async def odd_server(
    folder: Path,
    behave: Behaviour | None,
    sftp: type[asyncssh.SFTPServer] | bool = False,
    ciphers: Sequence[str] = (),
) -> AsyncIterator[OddServer]:
    """Runs a server for the time of a test; without `behave` it refuses every command."""
    running: set[asyncio.Task[None]] = set()

    def watched(process: asyncssh.SSHServerProcess[bytes]) -> asyncio.Task[None]:
        assert behave is not None
        task = asyncio.ensure_future(behave(process))
        running.add(task)
        task.add_done_callback(running.discard)
        return task

    host_key = write_key(folder / "host")
    write_key(folder / "user")
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[host_key],
        authorized_client_keys=str(folder / "user.pub"),
        process_factory=watched if behave is not None else None,
        sftp_factory=sftp,
        encoding=None,
        config=None,
        **({"encryption_algs": list(ciphers)} if ciphers else {}),
    )
    try:
        yield OddServer(acceptor.get_port(), folder / "user", host_key)
    finally:
        acceptor.close()
        await acceptor.wait_closed()
        # Shells see the end of their input when the connection is closed, and end.
        if running:
            await asyncio.wait(running, timeout=10)
        await asyncio.sleep(0)


def run_shell(environment: Mapping[str, str] | None = None) -> Behaviour:
    """Runs each command line by /bin/sh, without a session or process group of its own."""

    async def behave(process: asyncssh.SSHServerProcess[bytes]) -> None:
        child = await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            process.command or "",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        feeding = asyncio.ensure_future(_feed(process, child.stdin))
        await asyncio.gather(_copy(child.stdout, process.stdout), _copy(child.stderr, process.stderr))
        status = await child.wait()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        if status < 0:
            process.exit_with_signal("TERM" if status == -15 else "KILL")
        else:
            process.exit(status)

    return behave


async def _feed(process: asyncssh.SSHServerProcess[bytes], stdin: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await process.stdin.read(65536):
            stdin.write(data)
            await stdin.drain()
    stdin.close()


async def _copy(source: asyncio.StreamReader, target: asyncssh.SSHWriter[bytes]) -> None:
    while data := await source.read(65536):
        with contextlib.suppress(OSError):
            target.write(data)
            await target.drain()
