"""Small file helpers: private folders, and files that are either the old ones or the new ones."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from core.errors import InputError


def private_folder(path: Path) -> Path:
    """Makes a folder that only its owner may enter (0700); an existing one is tightened.

    Raises InputError where something else than a folder of ours is in the way.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.lstat()
    if path.is_symlink():
        raise InputError(f"{path} is a symbolic link; Windlass keeps its state in real folders only")
    if status.st_uid != os.geteuid():
        raise InputError(f"{path} belongs to another user (uid {status.st_uid})")
    if status.st_mode & 0o077:
        path.chmod(0o700)
    return path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replaces a file whole: written beside it, synced, then renamed. A link at `path` is replaced, not followed."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: what was renamed into it stays there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
