"""Copies of the files that a run uses, by content, so that a resume uploads what was planned.

A blob is named by the sha256 of its content. Files above `COPY_LIMIT_BYTES` are not copied: their
digest alone is kept, and a file that changed since stops the resume with both digests.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import InputError
from core.workspace.inside import open_inside

COPY_LIMIT_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file as it was when the run was planned. `path` is relative to the workspace, or absolute."""

    path: str
    digest: str
    size_bytes: int
    copied: bool


class Blobs:
    """The folder `.windlass/blobs` (0700); every file in it is 0600 and never changed.

    Files are read from the workspace, and from the folders of `also` where it allows some.
    """

    def __init__(self, folder: Path, workspace: Path, also: Sequence[Path] = ()) -> None:
        self._folder = folder
        self._workspace = workspace
        self._roots = (workspace, *also)

    def open(self, path: str) -> BinaryIO:
        """A file that a batch names, to read. Raises OutsideError, OSError."""
        return open_inside(self._workspace / path, self._roots)

    @property
    def workspace(self) -> Path:
        """The workspace whose files are kept."""
        return self._workspace

    def describe(self, path: str) -> FileRef:
        """The digest and size of such a file, without keeping a copy. Raises OSError."""
        with self.open(path) as file:
            digest, size = _digest(file)
        return FileRef(path, digest, size, copied=False)

    def keep(self, path: str) -> FileRef:
        """Copies such a file (up to the limit) and says what was kept. Raises OSError."""
        with self.open(path) as file:
            content = file.read(COPY_LIMIT_BYTES + 1)
        if len(content) > COPY_LIMIT_BYTES:
            return self.describe(path)
        return FileRef(path, self.keep_bytes(content), len(content), copied=True)

    def keep_bytes(self, content: bytes) -> str:
        """Stores bytes and returns their sha256 in hexadecimal."""
        digest = hashlib.sha256(content).hexdigest()
        target = self._folder / digest
        if not target.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(target)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        return digest

    def find(self, file: FileRef) -> Path:
        """Where the content of `file` can be read now.

        Raises InputError, naming both digests, where it was not copied and has changed, or is gone.
        """
        if file.copied:
            kept = self._folder / file.digest
            if kept.is_file():
                return kept
            raise InputError(
                f"the stored copy of {file.path} is gone from {self._folder}",
                hint="start a new run: this one cannot be carried on with the file it was planned with",
            )
        source = self._workspace / file.path
        try:
            with self.open(file.path) as opened:
                digest, _ = _digest(opened)
        except OSError as error:
            raise InputError(f"{file.path} cannot be read any more: {error.strerror or error}") from error
        if digest != file.digest:
            raise InputError(
                f"{file.path} has changed since the run was planned: sha256 {file.digest} then, {digest} now",
                hint="put the old file back, or start a new run",
            )
        return source

    def path(self, digest: str) -> Path:
        """Where a stored blob lies."""
        return self._folder / digest


def _digest(file: BinaryIO) -> tuple[str, int]:
    """sha256 and size of a file, read piece by piece."""
    digest, size = hashlib.sha256(), 0
    while piece := file.read(PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
