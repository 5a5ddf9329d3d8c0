"""The lease: one engine owns a workspace, by a kernel lock on a file that is never deleted.

The lock's descriptor is never inherited (close-on-exec), so a dead owner frees itself. Beside it lies
who holds it, for people and for a take-over; the lock alone decides.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from core import processes
from core.errors import StoreError, WorkspaceOwned
from core.files import private_folder, write_atomically
from core.model.views import OwnerInfo

LOCK_NAME = "lease"
OWNER_NAME = "lease.json"
LOOKS = 5
BETWEEN_LOOKS_S = 0.03


class Lease:
    """A held lease."""

    def __init__(self, descriptor: int, state_dir: Path, info: dict[str, Any]) -> None:
        self._descriptor = descriptor
        self._state_dir = state_dir
        self._info = info

    @classmethod
    def acquire(cls, state_dir: Path, *, background: bool = False) -> Lease:
        """Takes the lease of a workspace; `background` for an owner that will say where it listens.

        Raises WorkspaceOwned with the owner named.
        """
        private_folder(state_dir)
        descriptor = _open_lock(state_dir)
        try:
            _lock(descriptor)
        except BlockingIOError:
            os.close(descriptor)
            owner = _read_info(state_dir)
            named = f"{owner} ({_age(time.time() - owner.since)})" if owner else "a process that left no name"
            raise WorkspaceOwned(
                f"another engine owns this workspace: {named}",
                hint="wait until it ends, or look on with `windlass runs watch`; the lock frees itself when it dies, "
                "and `windlass engine take-over` ends an owner that hangs",
            ) from None
        except OSError as error:
            os.close(descriptor)
            raise StoreError(
                f"{state_dir / LOCK_NAME} cannot be locked: {error.strerror or error}"
            ) from error
        info = {
            "pid": os.getpid(),
            "started": processes.process_start(os.getpid()),
            "user": _user(),
            "uid": os.getuid(),
            "host": socket.gethostname(),
            "boot_id": processes.boot_id(),
            "pid_namespace": processes.pid_namespace(),
            "since": time.time(),
            "background": background,
        }
        try:
            _write_info(state_dir / OWNER_NAME, json.dumps(info).encode())
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, state_dir, info)

    def tell(self, **told: str | bool) -> None:
        """Says beside the lock where this owner is reached, and what it is: fields of OwnerInfo. Raises StoreError."""
        self._info |= told
        _write_info(self._state_dir / OWNER_NAME, json.dumps(self._info).encode())

    def release(self) -> None:
        """Gives the lease back; the file stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_owner(state_dir: Path) -> OwnerInfo | None:
    """Who owns the workspace now; None where nobody does. Never waits and never takes the lock for long."""
    try:
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_info(state_dir) or OwnerInfo(0, "unknown", "unknown", time.time())
    except OSError:
        return None
    else:
        return None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    """Takes the lock; a reader that only looks holds it for an instant, so a refusal is asked again."""
    for _ in range(LOOKS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(BETWEEN_LOOKS_S)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _open_lock(state_dir: Path) -> int:
    try:
        return os.open(state_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreError(f"{state_dir / LOCK_NAME} cannot be opened: {error.strerror or error}") from error


def _write_info(path: Path, content: bytes) -> None:
    """Writes who owns the workspace. On a full disk the old name is overwritten in its place, and else taken away:
    a wrong name is worse than none. Raises StoreError.
    """
    try:
        write_atomically(path, content)
        return
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(f"{path} cannot be written: {error.strerror or error}") from error
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if os.pwrite(descriptor, content, 0) < len(content):
                raise OSError(errno.ENOSPC, "no space left")
            os.ftruncate(descriptor, len(content))
        except OSError:
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def _read_info(state_dir: Path) -> OwnerInfo | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        info = json.loads((state_dir / OWNER_NAME).read_text("utf-8"))
        return OwnerInfo(
            pid=int(info["pid"]),
            user=str(info["user"]),
            host=str(info["host"]),
            since=float(info["since"]),
            started=float(info["started"]),
            uid=int(info["uid"]) if "uid" in info else None,
            boot_id=str(info.get("boot_id", "")),
            pid_namespace=str(info.get("pid_namespace", "")),
            socket=str(info.get("socket", "")),
            background=bool(info.get("background", False)),
            version=str(info.get("version", "")),
            agent=str(info.get("agent", "")),
            logout=str(info.get("logout", "")),
            stays=bool(info.get("stays", True)),
        )
    return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _age(seconds: float) -> str:
    seconds = max(0.0, seconds)  # the clock may have been set back since
    minutes = int(seconds // 60)
    return f"for {minutes} min" if minutes else f"for {int(seconds)} s"
