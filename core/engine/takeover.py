"""Takes a workspace from an engine that hangs: names the holder of the lease, kills it, waits for its locks.

A process is killed only where the lease names it beyond doubt: pid and start time match, it is this user's,
on this host, in this pid namespace, and where the kernel tells who holds the lock, it tells this pid. It is
pinned by a file descriptor before its start time is compared, so that a pid that is given to somebody else in
between is never hit. SIGKILL also ends a stopped process; its locks, SQLite's too, go with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from core import processes
from core.engine.lease import LOCK_NAME, Lease, read_owner
from core.errors import NotPossible, WorkspaceOwned
from core.model import events
from core.model.views import OwnerInfo
from core.store.store import Store
from core.store.tx import Tx

WAIT_S = 15.0
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What a take-over did. `waited_s` is how long the lock took to come free after the kill."""

    owner: OwnerInfo
    waited_s: float


def find_holder(state_dir: Path) -> OwnerInfo:
    """Who would be killed. Raises NotPossible where nobody holds the lease, WorkspaceOwned where the holder
    is not this user's to kill or cannot be told for certain.
    """
    owner = read_owner(state_dir)
    if owner is None:
        raise NotPossible(
            "no engine owns this workspace: there is nothing to take over",
            hint="`windlass runs list` shows what waits to be resumed",
        )
    _refuse(owner, state_dir)
    return owner


async def take_over(state_dir: Path, database: Path, owner: OwnerInfo, *, actor: str) -> TakenOver:
    """Kills the owner that `find_holder` named and returns when the workspace is free.

    The log then tells of it. Raises WorkspaceOwned where the holder is another one by now, or does not go.
    """
    with _pinned(owner.pid) as descriptor:
        now = read_owner(state_dir)
        if now is None:
            raise NotPossible(
                f"{owner} has ended by itself: there is nothing to take over",
                hint="`windlass runs list` shows what waits to be resumed",
            )
        if (now.pid, now.started) != (owner.pid, owner.started):
            raise WorkspaceOwned(
                f"the workspace has changed hands: {now} owns it now, {owner} did before",
                hint="nothing was killed; look again with `windlass engine status`",
            )
        _refuse(now, state_dir)
        _kill(owner, descriptor)
    began = time.monotonic()
    lease = await asyncio.to_thread(_wait_for, state_dir, owner)
    waited_s = time.monotonic() - began
    try:
        if database.exists():
            # Opening takes SQLite's write lock once, and raises the epoch: whatever is left of the old
            # owner writes nothing more.
            store = await Store.open(database)
            try:
                tx = Tx()
                tx.event(
                    events.ENGINE_TAKEN_OVER,
                    actor=actor,
                    data={"pid": owner.pid, "user": owner.user, "host": owner.host, "since": owner.since},
                )
                await store.commit(tx)
            finally:
                await store.close()
    finally:
        lease.release()
    return TakenOver(owner, waited_s)


def _refuse(owner: OwnerInfo, state_dir: Path) -> None:
    """Raises WorkspaceOwned unless the owner is certainly a process that this user may end."""
    where = "nothing was killed"
    if not owner.pid or not owner.started:
        raise WorkspaceOwned(
            f"the lock of this workspace is held, and {state_dir / 'lease.json'} does not say for certain by whom",
            hint=f"{where}; `fuser {state_dir / LOCK_NAME}` names the process: end it by hand",
        )
    if owner.host != socket.gethostname() or _differ(owner.boot_id, processes.boot_id()):
        raise WorkspaceOwned(
            f"the engine that owns this workspace runs on another host: {owner}; this is {socket.gethostname()}",
            hint=f"{where}; call `windlass engine take-over` on {owner.host}",
        )
    if _differ(owner.pid_namespace, processes.pid_namespace()):
        raise WorkspaceOwned(
            f"the engine that owns this workspace runs in another container ({owner}, {owner.pid_namespace}): "
            "its pid means another process here",
            hint=f"{where}; call `windlass engine take-over` in the container where it was started",
        )
    user = processes.process_owner(owner.pid)
    if (owner.uid is not None and owner.uid != os.getuid()) or (user is not None and user != os.geteuid()):
        raise WorkspaceOwned(
            f"the engine that owns this workspace is another user's: {owner}",
            hint=f"{where}; call `windlass engine take-over` as {owner.user}",
        )
    holders = processes.flock_holders(state_dir / LOCK_NAME)
    if processes.process_start(owner.pid) != owner.started or (holders and owner.pid not in holders):
        held = [pid for pid in holders if pid and pid != owner.pid]
        named = f"; the lock is held by pid {', '.join(map(str, held))}" if held else ""
        raise WorkspaceOwned(
            f"pid {owner.pid} is not the engine that took this workspace: another process has that number now{named}",
            hint=f"{where}; `fuser {state_dir / LOCK_NAME}` names the process that holds it: end it by hand",
        )


def _differ(one: str, other: str) -> bool:
    return bool(one and other and one != other)


@contextmanager
def _pinned(pid: int) -> Iterator[int]:
    """A descriptor that means this very process, whatever becomes of its pid; -1 where there is none."""
    descriptor = -1
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _kill(owner: OwnerInfo, descriptor: int) -> None:
    try:
        if descriptor >= 0:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        else:
            os.kill(owner.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself in this instant
    except PermissionError as error:
        raise WorkspaceOwned(
            f"{owner} cannot be killed: {error.strerror}",
            hint=f"call `windlass engine take-over` as {owner.user}",
        ) from error


def _wait_for(state_dir: Path, owner: OwnerInfo) -> Lease:
    """The lease, once the killed owner has let go of it. Raises WorkspaceOwned when it does not in time."""
    ends_at = time.monotonic() + WAIT_S
    while True:
        try:
            return Lease.acquire(state_dir)
        except WorkspaceOwned as error:
            now = read_owner(state_dir)
            if now is not None and (now.pid, now.started) != (owner.pid, owner.started):
                raise WorkspaceOwned(
                    f"{owner} was killed, and another engine was quicker: {now} owns the workspace now",
                    hint=error.hint,
                ) from None
            if time.monotonic() >= ends_at:
                does = processes.process_state(owner.pid)
                raise WorkspaceOwned(
                    f"{owner} was sent SIGKILL and still holds the lock after {WAIT_S:g} s; it is {does}",
                    hint="a process that waits in the kernel (a dead disk or network mount) goes when that ends; "
                    "nothing else was changed",
                ) from None
            time.sleep(LOOK_EVERY_S)
