"""A workspace as one archive, made from a folder: the same folder always gives the same bytes.

Left out are the state (`.windlass`), version control (`.git`), what of `secrets/` is not encrypted, every file that
holds a private key, links that lead out, and what is neither file, folder nor link. Names, order, times, owners and
modes in the archive say nothing of the machine it was made on.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.errors import InputError
from core.files import sync_folder
from core.workspace.folder import STATE_DIR, Workspace
from core.workspace.inside import OutsideError, open_inside

MAX_ENTRIES = 50_000
MAX_BYTES = 2 * 1024**3
"""How many entries, and bytes of files, an archive may hold: the same for writing and reading one."""

SECRETS = "secrets"
NEVER = frozenset({STATE_DIR, ".git"})
HEAD_BYTES = 1024 * 1024
"""How much of a file is looked at for what may not leave."""
_PRIVATE = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----|AGE-SECRET-KEY-1|PuTTY-User-Key-File-")
_ENCRYPTED = re.compile(rb"age-encryption\.org/v1|-----BEGIN AGE ENCRYPTED FILE-----")
_PUBLIC_NAME = re.compile(r".*\.pub|recipients(\.txt)?|\.gitignore|README(\.md)?")


@dataclass(slots=True)
class Exported:
    """What went into an archive. `left_out` maps paths to why they did not."""

    files: int = 0
    size_bytes: int = 0
    left_out: dict[str, str] = field(default_factory=dict)


def export_workspace(workspace: Workspace, target: Path, *, replace: bool = False) -> Exported:
    """Writes the archive (0600), whole or not at all. Raises InputError."""
    if target.is_dir():
        raise InputError(f"{target} is a folder; an archive is a file")
    if target.exists() and not replace:
        raise InputError(
            f"{target} exists already: nothing was written", hint="name another file, or say --force"
        )
    done = Exported()
    try:
        descriptor, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=f".{target.name}.")
        temporary = Path(name)
        folder = target.absolute().parent.resolve()
        own = (folder / target.name, folder / temporary.name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
                        _write(workspace.path.resolve(), archive, done, own)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            sync_folder(target.absolute().parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InputError(
            f"{error.filename or target} cannot be exported: {error.strerror or error}"
        ) from error
    return done


def _write(root: Path, archive: tarfile.TarFile, done: Exported, own: Sequence[Path]) -> None:
    """Every entry but `own`: the archive itself, where it is written into the workspace."""
    count = 0
    for name in _names(root, "", done):
        count += 1
        if count > MAX_ENTRIES:
            raise InputError(
                f"{root} holds more than {MAX_ENTRIES} files and folders: that is too much to export"
            )
        path = root / name
        if path.absolute() in own:
            continue
        status = path.lstat()
        entry = tarfile.TarInfo(name)
        if stat.S_ISDIR(status.st_mode):
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        elif stat.S_ISLNK(status.st_mode):
            entry.type, entry.mode, entry.linkname = tarfile.SYMTYPE, 0o777, os.readlink(path)
            archive.addfile(entry)
        else:
            _add_file(root, entry, archive, done)


def _names(root: Path, folder: str, done: Exported) -> Iterator[str]:
    """Every path below a folder, by name, folders before what is in them; what is never exported is noted."""
    for path in sorted((root / folder).iterdir(), key=lambda found: found.name):
        name = f"{folder}{path.name}"
        mode = path.lstat().st_mode
        if not folder and path.name in NEVER:
            continue
        if stat.S_ISLNK(mode):
            why = _refuse_link(root, path)
            if why:
                done.left_out[name] = why
            else:
                yield name
        elif stat.S_ISDIR(mode):
            if path.name == ".git":
                continue
            yield name
            yield from _names(root, f"{name}/", done)
        elif stat.S_ISREG(mode):
            yield name
        else:
            done.left_out[name] = "it is no file"


def _refuse_link(root: Path, path: Path) -> str:
    target = os.readlink(path)
    lexical = os.path.normpath(path.parent.relative_to(root) / target)
    if target.startswith("/"):
        return "it is an absolute link"
    if lexical.startswith("..") or not path.resolve().is_relative_to(root.resolve()):
        return "it is a link that leads out of the workspace"
    if PurePosixPath(lexical).parts[:1] and PurePosixPath(lexical).parts[0] in NEVER:
        return "it is a link into what is not exported"
    return ""


def _add_file(root: Path, entry: tarfile.TarInfo, archive: tarfile.TarFile, done: Exported) -> None:
    """Adds a file; one that may not leave is noted in `done` instead. Raises OSError, InputError."""
    try:
        opened = open_inside(root / entry.name, (root,))
    except OutsideError as error:
        done.left_out[entry.name] = str(error)
        return
    with opened as file:
        why = _refuse_content(entry.name, file.read(HEAD_BYTES))
        if why:
            done.left_out[entry.name] = why
            return
        file.seek(0)
        status = os.fstat(file.fileno())
        entry.mode, entry.size = 0o755 if status.st_mode & 0o100 else 0o644, status.st_size
        done.files += 1
        done.size_bytes += entry.size
        if done.size_bytes > MAX_BYTES:
            raise InputError(f"{root} holds more than {MAX_BYTES >> 20} MiB: that is too much to export")
        archive.addfile(entry, file)


def _refuse_content(name: str, head: bytes) -> str:
    """Why a file may not leave, by its name and beginning; "" where it may."""
    if _PRIVATE.search(head):
        return "it holds a private key"
    path = PurePosixPath(name)
    if path.parts[0] == SECRETS and not (_PUBLIC_NAME.fullmatch(path.name) or _ENCRYPTED.search(head)):
        return "it is a secret that is not encrypted"
    return ""
