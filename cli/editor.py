"""Opens a text in the user's editor, in a private file that is gone afterwards, however that ends."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

MEMORY = Path("/dev/shm")
"""A folder whose files never reach a disk, but for swap; Linux has it."""


def edited(content: bytes, name: str = "secret", *, shown: str = "secrets edit …") -> bytes:
    """What the user made of `content`, in a file of that name; `shown` is the command, for a hint.

    Raises InputError where there is no editor, or where it fails.
    """
    from core.errors import InputError

    named = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        words = shlex.split(named)
    except ValueError:  # a quote without its end
        words = [named]
    if not words or shutil.which(words[0]) is None:
        raise InputError(
            f"there is no editor {words[0] if words else ''!r}",
            hint=f"name one: EDITOR=nano windlass {shown}",
        )
    with _private_folder() as folder:
        file = folder / name
        file.touch(mode=0o600)
        file.write_bytes(content)
        status = subprocess.run([*words, str(file)], check=False).returncode
        if status != 0:
            raise InputError(f"the editor {words[0]} ended with status {status}; nothing was stored")
        try:
            return file.read_bytes()
        except OSError as error:
            raise InputError(f"the editor left no file ({error.strerror}); nothing was stored") from error


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder (0700) that is removed also when a signal asks us to end."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    caught = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in caught}
    folder = Path(tempfile.mkdtemp(prefix="windlass-", dir=MEMORY if memory else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)
