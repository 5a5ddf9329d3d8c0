"""How one event goes out: as a signed request, or into a program. Either it was taken, or SendFailed says why not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from core.config.settings import Notification, Webhook
from core.engine.result import flat
from core.outgoing.message import signed_headers

if TYPE_CHECKING:
    import httpx

ANSWER_WAIT_S = 15.0
TOLD_BYTES = 400
PAUSE_AT_MOST_S = 3600.0
TRY_LATER = frozenset({408, 425, 429})


class SendFailed(Exception):
    """It was not taken. `refused`: trying again is of little use; `after_s`: the other side asked to wait so long."""

    def __init__(self, why: str, *, refused: bool = False, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.why = why
        self.refused = refused
        self.after_s = after_s


class Sender(Protocol):
    """Where messages go."""

    async def send(self, id_: str, body: bytes) -> None:
        """Returns when the message was taken. Raises SendFailed."""
        ...

    async def close(self) -> None:
        """Lets go of connections."""
        ...


class HttpSender:
    """Posts to an address. 2xx is taken; a redirect is followed nowhere, as it was signed for this address."""

    def __init__(self, webhook: Webhook, key: bytes) -> None:
        import httpx  # where nobody is told by requests, nobody waits for it

        self._url = webhook.url
        self._key = key
        self._client = httpx.AsyncClient(timeout=ANSWER_WAIT_S, follow_redirects=False)

    async def send(self, id_: str, body: bytes) -> None:
        """See Sender.send."""
        import httpx

        headers = signed_headers(self._key, id_, int(time.time()), body)
        try:
            async with (
                asyncio.timeout(ANSWER_WAIT_S),
                self._client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                if answer.is_success:
                    return
                told = await _beginning(answer)
        except TimeoutError:
            raise SendFailed(f"no answer within {ANSWER_WAIT_S:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            raise SendFailed(flat(f"{type(error).__name__}: {error}")[:TOLD_BYTES]) from error
        words = f"answered {answer.status_code}" + (f": {told}" if told else "")
        client_error = 400 <= answer.status_code < 500 and answer.status_code not in TRY_LATER
        after_s = _asked_to_wait(answer.headers.get("retry-after", ""))
        raise SendFailed(words, refused=client_error or answer.is_redirect, after_s=after_s)

    async def close(self) -> None:
        """See Sender.close."""
        await self._client.aclose()


async def _beginning(answer: httpx.Response) -> str:
    data = b""
    async for piece in answer.aiter_bytes():
        data += piece
        if len(data) >= TOLD_BYTES:
            break
    return flat(data[:TOLD_BYTES].decode("utf-8", "replace"))


def _asked_to_wait(text: str) -> float:
    """Seconds from a Retry-After header; 0 where it says none (a date is not waited for)."""
    return min(float(text), PAUSE_AT_MOST_S) if text.isascii() and text.isdigit() and len(text) < 8 else 0.0


class ProgramSender:
    """Runs a program for each message, without a shell, in the workspace; exit status 0 means that it was taken."""

    def __init__(self, notification: Notification, folder: Path) -> None:
        self._command = notification.command
        self._timeout_s = notification.timeout_s
        self._folder = folder

    async def send(self, id_: str, body: bytes) -> None:
        """See Sender.send."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise SendFailed(flat(f"{self._command[0]} cannot be run: {error}")) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                told = await _run(process, body)
        except TimeoutError:
            raise SendFailed(f"did not end within {self._timeout_s:g} s and was killed") from None
        finally:
            _end(process)
            await process.wait()
        if process.returncode:
            raise SendFailed(f"ended with status {process.returncode}" + (f": {told}" if told else ""))

    async def close(self) -> None:
        """See Sender.close."""


async def _run(process: asyncio.subprocess.Process, body: bytes) -> str:
    assert process.stdin is not None and process.stderr is not None
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it need not read what it is given
        process.stdin.write(body + b"\n")
        await process.stdin.drain()
        process.stdin.close()
    told = b""
    while piece := await process.stderr.read(4096):
        told = (told + piece)[-TOLD_BYTES:]
    await process.wait()
    return flat(told.decode("utf-8", "replace"))


def _end(process: asyncio.subprocess.Process) -> None:
    """Kills what is left of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
