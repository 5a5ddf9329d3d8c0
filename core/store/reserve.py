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

RESERVE_BYTES = 16 * 1024 * 1024


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
