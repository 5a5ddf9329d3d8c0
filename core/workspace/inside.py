"""Opens files that must lie in given folders, whatever links say meanwhile.

A path is resolved once; then the folder that holds it is walked down name by name and no link is followed any
more. So a link that is put in between after the look leads nowhere, and nothing outside is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO


class OutsideError(OSError):
    """A path that ends outside of the folders it may end in."""


def resolve_inside(path: Path, roots: Sequence[Path]) -> tuple[Path, Path]:
    """The resolved root that a path ends in, and the resolved path. Raises OutsideError, OSError."""
    try:
        real = path.resolve()
    except (ValueError, RuntimeError) as error:  # NUL, links in a circle
        raise OutsideError(f"{error}") from error
    for root in roots:
        resolved = root.resolve()
        if real.is_relative_to(resolved):
            return resolved, real
    raise OutsideError(f"it leads to {real}")


def open_inside(path: Path, roots: Sequence[Path]) -> BinaryIO:
    """A regular file to read. Raises OutsideError where it is outside of `roots`, OSError."""
    root, real = resolve_inside(path, roots)
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *folders, name = real.relative_to(root).parts or (".",)
        for part in folders:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = inner
        # A named pipe must not block.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no regular file")
    return os.fdopen(descriptor, "rb")
