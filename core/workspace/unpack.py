"""Makes a workspace from an archive that anybody may have made.

Nothing of it is believed: absolute paths, `..`, links that lead out, devices, duplicate names, state, too many
entries, too many bytes and headers without end are refused with the reason. Everything is unpacked into a new folder
beside the target, looked at whole, and renamed; else nothing stays. It grants no trust.
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from core.errors import InputError
from core.workspace.archive import MAX_BYTES, MAX_ENTRIES
from core.workspace.find import SETTINGS_FILE
from core.workspace.folder import STATE_DIR, Workspace

MAX_PATH = 1000
MAX_DEPTH = 40
MAX_READ = 1024 * 1024
"""How many bytes tarfile may ask for at once: only a header without end needs more."""
PIECE_BYTES = 256 * 1024
_OVERHEAD_BYTES = MAX_ENTRIES * 4096


def import_workspace(archive: Path, target: Path) -> Workspace:
    """Unpacks an archive into `target`, which must not exist. Raises InputError; then nothing was made."""
    if os.path.lexists(target):
        raise InputError(
            f"{target} exists already: nothing was written", hint="name a folder that does not exist"
        )
    parent = target.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=parent, prefix=".windlass-import-"))
    except OSError as error:
        raise InputError(f"{parent} cannot be written: {error.strerror or error}") from error
    try:
        _unpack(archive, folder)
        _settle(folder, archive)
        os.rename(folder, target)
    except OSError as error:
        raise InputError(f"{archive} cannot be imported: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Workspace.load(target)


class _Bounded:
    """The unpacked stream: it ends with an error after too many bytes, and gives no huge piece at once."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > MAX_READ:
            raise _Refused("a header of it is too long")
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise _Refused(f"it unpacks to more than {MAX_BYTES >> 20} MiB")
        return data

    def seek(self, position: int) -> int:
        """Forward only."""
        while (behind := position - self.tell()) > 0:
            if not self.read(min(behind, PIECE_BYTES)):
                break
        if position < self.tell():
            raise _Refused("it cannot be read in order")
        return self.tell()

    def tell(self) -> int:
        return self._stream.tell()


class _Refused(Exception):
    """Why the archive is refused."""


def _unpack(archive: Path, folder: Path) -> None:
    try:
        with archive.open("rb") as file, gzip.GzipFile(fileobj=file, mode="rb") as packed:
            stream = _Bounded(cast("IO[bytes]", packed), MAX_BYTES + _OVERHEAD_BYTES)
            with tarfile.open(fileobj=stream, mode="r:") as entries:  # type: ignore[call-overload]
                _write(entries, folder)
            while stream.read(PIECE_BYTES):  # to its end: its checksum is looked at there
                pass
    except _Refused as error:
        raise InputError(
            f"{archive} is refused: {error}",
            hint="nothing was written; `windlass workspace export` makes archives",
        ) from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise InputError(
            f"{archive} is no archive of a workspace: {error}", hint="`windlass workspace export` makes one"
        ) from error


def _write(archive: tarfile.TarFile, folder: Path) -> None:
    seen: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = {PurePosixPath()}
    links: dict[PurePosixPath, str] = {}
    left = MAX_BYTES
    for entry in _members(archive, folder):
        path = _path(entry.name)
        if path in seen:
            raise _Refused(f"it holds {entry.name!r} twice")
        seen.add(path)
        if path in folders and not entry.isdir():
            raise _Refused(f"{entry.name!r} is a folder as well")
        if any(above not in folders and (above in seen or above in links) for above in path.parents):
            raise _Refused(f"{entry.name!r} lies in what is no folder")
        for above in reversed(path.parents):
            if above not in folders:
                (folder / above).mkdir(mode=0o755)
                folders.add(above)
        if entry.isdir():
            (folder / path).mkdir(mode=0o755, exist_ok=path in folders)
            folders.add(path)
        elif entry.issym():
            links[path] = _link(path, entry.linkname)
        elif entry.isreg() and not entry.issparse():
            left -= entry.size
            if left < 0:
                raise _Refused(f"it unpacks to more than {MAX_BYTES >> 20} MiB")
            _file(archive, entry, folder / path)
        else:
            raise _Refused(f"{entry.name!r} is neither a file, a folder nor a symbolic link")
    for path, target in links.items():  # last: nothing was written through one of them
        (folder / path).symlink_to(target)


def _members(archive: tarfile.TarFile, folder: Path) -> Iterator[tarfile.TarInfo]:
    """The entries, each of which Python's own filter for data has passed as well."""
    check = getattr(tarfile, "data_filter", None)
    for number, entry in enumerate(archive, start=1):
        if number > MAX_ENTRIES:
            raise _Refused(f"it holds more than {MAX_ENTRIES} entries")
        if entry.isdir() and not PurePosixPath(entry.name).parts:
            continue  # the top itself, as `tar -C DIR .` writes it
        if entry.isreg() or entry.isdir() or entry.issym():
            _path(entry.name)
            if entry.issym():
                _link(_path(entry.name), entry.linkname)
            if check is not None:
                try:
                    check(entry, str(folder))
                except tarfile.TarError as error:  # its words name the folder it is unpacked in
                    raise _Refused(f"{entry.name!r} is not safe to unpack") from error
        yield entry


def _path(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if not name or "\0" in name or "\\" in name or not name.isprintable():
        raise _Refused(f"{name!r} is no name for a file")
    if path.is_absolute() or ".." in path.parts:
        raise _Refused(f"{name!r} leads out of the workspace")
    if not path.parts:
        raise _Refused(f"{name!r} is no name for a file")
    if len(name) > MAX_PATH or len(path.parts) > MAX_DEPTH:
        raise _Refused(f"{name[:60]!r}… is too long or too deep")
    if path.parts[0] in (STATE_DIR, ".git") or path.parts[0].lower() == STATE_DIR:
        raise _Refused(f"{name!r} is state, which an archive never holds")
    return path


def _link(path: PurePosixPath, target: str) -> str:
    lexical = os.path.normpath(path.parent / target) if target else ".."
    if target.startswith("/") or lexical == ".." or lexical.startswith("../") or "\0" in target:
        raise _Refused(f"the link {str(path)!r} leads out of the workspace")
    return target


def _file(archive: tarfile.TarFile, entry: tarfile.TarInfo, path: Path) -> None:
    source = archive.extractfile(entry)
    if source is None:
        raise _Refused(f"{entry.name!r} cannot be read")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o755 if entry.mode & 0o100 else 0o644), "wb") as file:
        left = entry.size
        while left:
            piece = source.read(min(left, PIECE_BYTES))
            if not piece:
                raise _Refused(f"{entry.name!r} is cut off")
            file.write(piece)
            left -= len(piece)


def _settle(folder: Path, archive: Path) -> None:
    """Looks at the whole: links end inside, and it is a workspace. Raises InputError."""
    root = folder.resolve()
    for path in folder.rglob("*"):
        if path.is_symlink():
            try:
                inside = path.resolve().is_relative_to(root)
            except (OSError, RuntimeError):
                inside = False
            if not inside:
                name = path.relative_to(folder)
                raise InputError(f"{archive} is refused: the link '{name}' leads out of the workspace")
    settings = folder / SETTINGS_FILE
    if settings.is_symlink() or not settings.is_file():
        raise InputError(f"{archive} holds no workspace: there is no {SETTINGS_FILE} at its top")
    Workspace.load(folder)
