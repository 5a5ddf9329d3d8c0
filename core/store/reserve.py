"""Disk space kept back, so that outcomes can be committed when the disk is full.

A file of zeros beside the database; releasing it gives the space back once. While it is not there nothing
may start (the engine asks `restore` first), so that its space is for the outcomes of what was in flight and
for the pause. Used by the writer's thread and the event loop.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

RESERVE_NAME = "reserve"
RESERVE_BYTES = 16 * 1024 * 1024
MARGIN_BYTES = 4 * 1024 * 1024
"""Must be free beside the reserve: a disk on which the reserve takes the last byte is a full one."""
NEEDED_BYTES = RESERVE_BYTES + MARGIN_BYTES


class Reserve:
    """The reserve file of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.kept = self._make()

    def release(self) -> bool:
        """Gives the space back; False where there was none to give."""
        with self._lock:
            if not self.kept:
                return False
            self.kept = False
            with contextlib.suppress(OSError):
                self._path.unlink()
                return True
            return False

    def restore(self) -> bool:
        """Keeps the space back again where it is not; False where there is not enough."""
        with self._lock:
            self.kept = self.kept or self._make()
            return self.kept

    def _make(self) -> bool:
        try:
            if self._path.is_file() and self._path.stat().st_size >= RESERVE_BYTES:
                return True
            if _free_bytes(self._path.parent) < NEEDED_BYTES:
                return False
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError:
            return False
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
            else:
                os.write(descriptor, bytes(RESERVE_BYTES))
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink()
            return False
        finally:
            os.close(descriptor)
        return True


def make_room(path: Path) -> None:
    """Gives the reserve back where the disk is so full that the database could not even be opened."""
    with contextlib.suppress(OSError):
        if _free_bytes(path.parent) < MARGIN_BYTES:
            path.unlink()


def _free_bytes(folder: Path) -> int:
    told = os.statvfs(folder)
    return told.f_bavail * told.f_frsize
