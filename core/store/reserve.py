"""Disk space kept back, so that outcomes can be committed when the disk is full.

A file of zeros beside the database; releasing it gives the space back once. It is made again at the
next start, when there is room.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RESERVE_BYTES = 16 * 1024 * 1024


class Reserve:
    """The reserve file of one database."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kept = self._make()

    def release(self) -> bool:
        """Gives the space back; False where there was none to give."""
        if not self.kept:
            return False
        self.kept = False
        with contextlib.suppress(OSError):
            self._path.unlink()
            return True
        return False

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
