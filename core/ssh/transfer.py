"""Places files on servers over SFTP, atomically, and reads their digests back.

The content goes into a temporary file beside the target (`.windlass-` and a random name, 0600), is checked
against its digest while it is read here, synced where the server can, given its mode, and renamed over the
target. So the target holds the old content or the new one, never a part; a symbolic link at the target is
replaced, not followed. Parent folders are not created: the answer names the one that is missing. What is
certain: before the rename is asked for nothing has happened; a connection lost right then leaves it in
doubt, and the digest of the target settles it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import posixpath
import secrets
import stat

import asyncssh

from core.engine.executor import Ended, InDoubt, NotStarted, Upload
from core.ssh.failures import remote_text
from core.ssh.link import ChannelRefused, Link, LinkGone

CHUNK_BYTES = 1024 * 1024
PIECE_BYTES = 32 * 1024
"""What every SFTP server takes in one request; the pieces of a chunk are on their way together."""
MAX_DIGEST_BYTES = 4 * 1024 * 1024 * 1024
_CLEAN_WAIT_S = 3.0


CONNECTION_LOST = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)


class TransferFailed(Exception):
    """The transfer certainly failed and left nothing behind; the text says why."""


def remote_path(target: str) -> str:
    """The path as SFTP takes it: `~/x` and relative paths stand in the login directory.

    Raises TransferFailed for one that cannot name a file.
    """
    if "\0" in target:
        raise TransferFailed(f"{target!r} contains a NUL character")
    path = target[2:].lstrip("/") if target.startswith("~/") else target
    if path.startswith("~"):
        raise TransferFailed(f"{target}: only ~/ is understood, not another user's home")
    if not path or path.endswith("/") or posixpath.basename(path) in (".", ".."):
        raise TransferFailed(f"{target!r} names no file")
    return path


async def upload(link: Link, work: Upload, *, wait_s: float) -> Ended | NotStarted | InDoubt:
    """Places a file. Waits up to `wait_s` seconds for a free session.

    A cancelled upload removes its temporary file; the rename itself is not interrupted.
    """
    name = link.resolved.name
    try:
        path = remote_path(work.target)
        async with link.sftp(wait_s=wait_s) as client:
            placing = _Placing(client, work, path, name)
            try:
                return await placing.run()
            except (asyncssh.Error, OSError) as error:
                if not link.gone and not isinstance(error, CONNECTION_LOST):
                    raise TransferFailed(f"{work.target} on {name}: {_words(error)}") from None
                why = f"the connection to {name} was lost: {link.lost_why or _words(error)}"
                if placing.renaming:
                    return InDoubt(f"{why}, while {work.target} was put in its place")
                return NotStarted(f"{why}; {work.target} was not touched", again=True)
    except TransferFailed as error:
        return Ended(1, why=str(error), evidence="nothing was placed")
    except LinkGone as error:
        return NotStarted(f"the connection to {name} was lost before: {error}", again=True)
    except ChannelRefused as error:
        return NotStarted(f"no file transfer: {error}")


async def digest(link: Link, target: str, *, wait_s: float, max_bytes: int = MAX_DIGEST_BYTES) -> str | None:
    """The sha256 of a file on the server in hexadecimal, None where there is no such file.

    Raises LinkGone, ChannelRefused, TransferFailed.
    """
    path = remote_path(target)
    async with link.sftp(wait_s=wait_s) as client:
        try:
            return await _digest(client, path, target, max_bytes)
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None
        except (asyncssh.Error, OSError) as error:
            if link.gone:
                raise LinkGone(link.lost_why) from None
            raise TransferFailed(f"{target}: {_words(error)}") from None


async def _digest(client: asyncssh.SFTPClient, path: str, target: str, max_bytes: int) -> str | None:
    attributes = await client.stat(path)
    if attributes.permissions is not None and not stat.S_ISREG(attributes.permissions):
        raise TransferFailed(f"{target} is no regular file")
    size = attributes.size or 0
    if size > max_bytes:
        raise TransferFailed(f"{target} is larger than {max_bytes} bytes")
    hasher = hashlib.sha256()
    async with client.open(path, "rb", encoding=None) as file:
        for chunk in range(0, size, CHUNK_BYTES):
            starts = range(chunk, min(chunk + CHUNK_BYTES, size), PIECE_BYTES)
            reads = (_read_piece(file, at, min(PIECE_BYTES, size - at)) for at in starts)
            for result in await asyncio.gather(*reads, return_exceptions=True):
                if isinstance(result, BaseException):
                    raise result
                hasher.update(result)
    return hasher.hexdigest()


async def _read_piece(file: asyncssh.SFTPClientFile, offset: int, size: int) -> bytes:
    """`size` bytes from `offset`, fewer only where the file has become shorter meanwhile."""
    piece = bytearray()
    while len(piece) < size:
        data = await file.read(size - len(piece), offset + len(piece))
        if not data:
            break
        piece += data.encode() if isinstance(data, str) else data
    return bytes(piece)


class _Placing:
    """One upload over an open SFTP session. `renaming` is set before the rename is asked for."""

    def __init__(self, client: asyncssh.SFTPClient, work: Upload, path: str, name: str) -> None:
        self.renaming = False
        self._client, self._work, self._path, self._name = client, work, path, name
        self._folder = posixpath.dirname(path)
        self._temporary = posixpath.join(self._folder, f".windlass-{secrets.token_hex(12)}")
        self._may_exist = False

    async def run(self) -> Ended:
        await self._refuse_folder()
        try:
            await self._write()
            self.renaming = True
            how = await _to_the_end(asyncio.ensure_future(self._rename()))
        except BaseException:
            if self._may_exist and not self.renaming:
                await asyncio.shield(asyncio.ensure_future(self._clean()))
            raise
        return Ended(0, evidence=how)

    async def _refuse_folder(self) -> None:
        with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            if stat.S_ISDIR((await self._client.lstat(self._path)).permissions or 0):
                raise TransferFailed(f"{self._work.target} on {self._name} is a folder")

    async def _write(self) -> None:
        work, hasher, offset = self._work, hashlib.sha256(), 0
        try:
            source = work.source.open("rb")
        except OSError as error:
            raise TransferFailed(f"{work.source} cannot be read: {error.strerror}") from None
        with source:
            flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
            self._may_exist = True  # a stop may come after the server has made it and before its answer
            try:
                file = await self._client.open(
                    self._temporary, flags, asyncssh.SFTPAttrs(permissions=0o600), encoding=None
                )
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                raise TransferFailed(await self._missing()) from None
            except asyncssh.SFTPPermissionDenied:
                where = self._folder or "the login directory"
                raise TransferFailed(f"{where} on {self._name} does not let this user write") from None
            async with file:
                while data := source.read(CHUNK_BYTES):
                    hasher.update(data)
                    await _write_pieces(file, data, offset)
                    offset += len(data)
                if hasher.hexdigest() != work.digest:
                    raise TransferFailed(
                        f"{work.source} has changed since the plan: sha256 {hasher.hexdigest()}, "
                        f"planned was {work.digest}"
                    )
                await file.setstat(asyncssh.SFTPAttrs(permissions=work.mode))
                with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                    await file.fsync()

    async def _missing(self) -> str:
        """Which folder on the way to the target is missing."""
        parts = self._folder.split("/")
        for count in range(1, len(parts) + 1):
            folder = "/".join(parts[:count])
            if folder and not await self._client.isdir(folder):
                return f"{self._work.target} on {self._name}: the folder {folder} is missing; uploads create none"
        return f"{self._work.target} on {self._name}: its folder is missing; uploads create none"

    async def _rename(self) -> str:
        try:
            await self._client.posix_rename(self._temporary, self._path)
        except asyncssh.SFTPOpUnsupported:
            return await self._replace()
        except asyncssh.SFTPConnectionLost:
            raise
        except asyncssh.SFTPError as error:
            self.renaming = False
            await self._clean()
            raise TransferFailed(
                f"{self._work.target} on {self._name} cannot be replaced: {_words(error)}"
            ) from None
        return "renamed in place"

    async def _replace(self) -> str:
        """For servers that cannot rename over a file: the target is away for a moment."""
        with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            await self._client.remove(self._path)
        await self._client.rename(self._temporary, self._path)
        return "removed and renamed: this server cannot do both at once"

    async def _clean(self) -> None:
        with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
            async with asyncio.timeout(_CLEAN_WAIT_S):
                await self._client.remove(self._temporary)


async def _write_pieces(file: asyncssh.SFTPClientFile, data: bytes, offset: int) -> None:
    """Writes a chunk. Every request is waited for, so that none fails without being looked at."""
    starts = range(0, len(data), PIECE_BYTES)
    writes = (file.write(data[at : at + PIECE_BYTES], offset + at) for at in starts)
    for result in await asyncio.gather(*writes, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _to_the_end(task: asyncio.Task[str]) -> str:
    """The task's result, also when the waiter is cancelled meanwhile: the task takes effect all the same."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise
        return await task


def _words(error: BaseException) -> str:
    match error:
        case asyncssh.SFTPPermissionDenied():
            return "permission denied"
        case asyncssh.SFTPNoSpaceOnFilesystem() | asyncssh.SFTPQuotaExceeded():
            return "no space left"
        case asyncssh.SFTPFailure():
            said = remote_text(error.reason)
            return f"the server says {said!r} (no space left, or a path that it cannot use?)"
        case asyncssh.SFTPError() | asyncssh.DisconnectError():
            return remote_text(error.reason)
        case OSError():
            return error.strerror or remote_text(str(error))
        case _:
            return remote_text(str(error)) or type(error).__name__
