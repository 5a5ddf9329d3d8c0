"""Who has a workspace open: a small file for each, locked as long as its process lives.

It is for people only, so nothing fails for it: where it cannot be written, nobody is told of this one. Windows of one
account see each other, and who follows events with a token is told by the engine that serves it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from core.files import private_folder
from core.model.views import Watcher

FOLDER = "watching"
FILE_BYTES = 4096
AT_MOST = 100


class Presence:
    """One who is here, for the time of a `with` block. `how` is "interface", "watching" or "events"."""

    def __init__(self, state_dir: Path, actor: str, how: str, run: int | None = None) -> None:
        self.id = secrets.token_hex(8)
        self._folder = state_dir / FOLDER
        self._told: dict[str, Any] = {"actor": actor, "how": how, "run": run, "since": time.time()}
        self._descriptor = -1

    def __enter__(self) -> Presence:
        new, path = self._folder / f"{self.id}.new", self._path
        with contextlib.suppress(OSError):
            if not self._folder.parent.is_dir():
                return self  # nothing was ever run here, and a look makes nothing
            private_folder(self._folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            self._descriptor = os.open(new, flags, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.pwrite(self._descriptor, json.dumps(self._told).encode(), 0)
            new.rename(path)  # it is seen only when it is locked
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                self._path.unlink()
            os.close(self._descriptor)
            self._descriptor = -1

    @property
    def _path(self) -> Path:
        return self._folder / f"{self.id}.json"


def watchers(state_dir: Path) -> tuple[Watcher, ...]:
    """Everybody who is here, longest first; what a killed process left is taken away."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((state_dir / FOLDER).glob("*.json"))[:AT_MOST]:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if (there := _read(path)) is not None:
                    found.append(there)
    return tuple(sorted(found, key=lambda one: one.since))


def _read(path: Path) -> Watcher | None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            told = json.loads(os.pread(descriptor, FILE_BYTES, 0))
            run = int(told["run"]) if told["run"] is not None else None
            return Watcher(path.stem, str(told["actor"]), str(told["how"]), float(told["since"]), run)
        path.unlink()
        return None
    finally:
        os.close(descriptor)
