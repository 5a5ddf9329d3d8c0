"""How one event goes out: as a signed request, or into a program. Either it was taken, or SendFailed says why not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from core.config.settings import Notification, Webhook
from core.engine.result import flat
from core.errors import WindlassError
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

    def __init__(self, webhook: Webhook, read_key: Callable[[], bytes]) -> None:
        """`read_key` gives what signs. It blocks, and is asked again after each refusal: it may have been changed.

        Raises what `read_key` raises.
        """
        import httpx  # where nobody is told by requests, nobody waits for it

        self._url = webhook.url
        self._read_key = read_key
        self._key = read_key()
        self._refused = False
        # What goes to this machine in clear goes through no proxy.
        proxied = webhook.url.startswith("https:")
        self._client = httpx.AsyncClient(timeout=ANSWER_WAIT_S, follow_redirects=False, trust_env=proxied)

    async def send(self, id_: str, body: bytes) -> None:
        """See Sender.send."""
        if self._refused:
            try:
                self._key = await asyncio.to_thread(self._read_key)
            except WindlassError as error:
                raise SendFailed(f"what signs cannot be read: {error}"[:TOLD_BYTES]) from error
        headers = signed_headers(self._key, id_, int(time.time()), body)
        try:
            async with (
                asyncio.timeout(ANSWER_WAIT_S),
                self._client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                if answer.is_success:
                    self._refused = False
                    return
                told = await _beginning(answer)
        except TimeoutError:
            raise SendFailed(f"no answer within {ANSWER_WAIT_S:g} s") from None
        except Exception as error:  # also what comes of odd addresses: nothing of it may end the outlet
            raise SendFailed(flat(f"{type(error).__name__}: {error}")[:TOLD_BYTES]) from error
        words = f"answered {answer.status_code}" + (f": {told}" if told else "")
        self._refused = True
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
        # Files, not pipes: what the program leaves behind may hold a pipe open when it has long ended.
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(body + b"\n")
            given.seek(0)
            status = await self._run(given, said)
            said.seek(max(0, said.seek(0, os.SEEK_END) - TOLD_BYTES))
            told = flat(said.read(TOLD_BYTES).decode("utf-8", "replace"))
        if status:
            raise SendFailed(f"ended with status {status}" + (f": {told}" if told else ""))

    async def _run(self, given: IO[bytes], said: IO[bytes]) -> int:
        """Runs it and returns its exit status."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=given,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=said,
                cwd=self._folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise SendFailed(flat(f"{self._command[0]} cannot be run: {error}")) from error
        try:
            async with asyncio.timeout(self._timeout_s):
                return await process.wait()
        except TimeoutError:
            raise SendFailed(f"did not end within {self._timeout_s:g} s and was killed") from None
        finally:
            if process.returncode is None:
                _end(process)
                await process.wait()

    async def close(self) -> None:
        """See Sender.close."""


def _end(process: asyncio.subprocess.Process) -> None:
    """Kills what is left of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
