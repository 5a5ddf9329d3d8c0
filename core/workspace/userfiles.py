"""Small JSON files of the user's own, outside of every workspace: which workspaces there are, which are trusted.

They lie in the user's data folder (0700), each 0600 and replaced whole. A change holds a lock from reading to
writing, so that two commands at once lose nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.files import private_folder, write_atomically

MAX_BYTES = 16 * 1024 * 1024


def user_folder() -> Path:
    """Where they lie; it may not exist yet."""
    import platformdirs

    return Path(platformdirs.user_data_dir("windlass", appauthor=False))


def config_folder() -> Path:
    """Where what the user writes for Windlass lies: the own configuration, themes, keys; it may not exist."""
    import platformdirs

    return platformdirs.user_config_path("windlass", appauthor=False)


class UserFile:
    """One such file, by name. `what` says to people what it holds."""

    def __init__(self, name: str, what: str) -> None:
        self._name = name
        self._what = what

    @property
    def path(self) -> Path:
        """Where it lies."""
        return user_folder() / self._name

    def read(self) -> Mapping[str, Any]:
        """Its content; empty where there is none. Raises InputError where it cannot be read."""
        path = self.path
        try:
            with path.open("rb") as stream:
                data = json.loads(stream.read(MAX_BYTES))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            raise self._unreadable(str(getattr(error, "strerror", "") or error)) from error
        if not isinstance(data, dict) or data.get("format") != 1:
            raise self._unreadable("it has another format than this Windlass knows")
        return data

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """Its content to change; written when the block ends well. Raises InputError."""
        try:
            folder = private_folder(user_folder())
            lock = os.open(folder / f"{self._name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unreadable(error.strerror or str(error)) from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                raise self._unreadable(error.strerror or str(error), "locked") from error
            data = {"format": 1, **self.read()}
            yield data
            content = json.dumps(data, indent=2, sort_keys=True) + "\n"
            try:
                write_atomically(self.path, content.encode())
            except OSError as error:
                raise self._unreadable(error.strerror or str(error), "written") from error
        finally:
            os.close(lock)

    def _unreadable(self, why: str, what: str = "read") -> InputError:
        return InputError(
            f"{self.path}, which holds {self._what}, cannot be {what}: {why}",
            hint="correct or remove that file; no workspace is changed by that",
        )
