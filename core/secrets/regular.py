"""Reads small files that may have been put there by somebody else: no devices, no pipes, no end without a bound."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from core.errors import InputError


def read_regular(path: Path, most: int, *, follow: bool = False) -> tuple[bytes, os.stat_result]:
    """The content of a regular file and what it was when it was read.

    Raises FileNotFoundError, and InputError for a link (unless `follow`), what is no file, or more than `most` bytes.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        if not follow and path.is_symlink():
            raise InputError(f"{path} is a symbolic link") from None
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path} is no file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise InputError(f"{path} has more than {most} bytes")
    return content, status
