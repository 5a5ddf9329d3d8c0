"""A log that stays small: standard error is the file, and past a bound it moves to `NAME.1` and starts anew."""

from __future__ import annotations

import logging
import os
import shutil
import sys

MAX_LOG_BYTES = 1024 * 1024


class BoundedLog(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to standard error, which is `path` opened for append; keeps at most two times the bound."""

    def __init__(self, path: str, *, max_bytes: int = MAX_LOG_BYTES) -> None:
        super().__init__(sys.stderr)
        self._path = path
        self._max_bytes = max_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record and moves the file when it has grown too large."""
        super().emit(record)
        try:
            descriptor = self.stream.fileno()
            if os.fstat(descriptor).st_size > self._max_bytes:
                old = f"{self._path}.1"
                os.close(os.open(old, os.O_WRONLY | os.O_CREAT, 0o600))
                shutil.copyfile(self._path, old)
                os.ftruncate(descriptor, 0)
        except OSError:
            self.handleError(record)
