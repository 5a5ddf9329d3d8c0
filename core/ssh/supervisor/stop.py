"""Ends the process group of a supervised command: TERM, then KILL after a grace time, and looks whether it is gone.

Gone is read from the server's process table. A group whose leader is not the one recorded is somebody else's
and is left alone. Processes that the command put into another session are out of reach.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from core.engine.executor import StopAnswer, Stopped, StopUnconfirmed
from core.model.states import Stream, from_the_start
from core.ssh import shell
from core.ssh.settings import SshSettings
from core.ssh.supervisor.session import Session

MAX_PIDS = 50
_FIRST_POLL_S = 0.02


async def stop_record(
    session: Session, settings: SshSettings, record: tuple[str, str], sudo: str | None, grace_s: float
) -> StopAnswer:
    """Ends what belongs to `record`, a folder and a name in it. Raises SessionLost."""
    words = shell.kill_words(sudo) if sudo is not None else ""
    left: list[str] = []
    for signal, wait_s in (("TERM", grace_s), ("KILL", settings.kill_wait_s)):
        left = await _end_group(session, settings, record, signal, words, wait_s)
        if not left:
            return Stopped(f"its process group ended after {signal}")
        if left == ["nopid"]:
            return await _never_ran(session, *record)
    if left == ["?"]:
        return StopUnconfirmed("the server's process table cannot be read")
    return StopUnconfirmed("its process group is still there after KILL", tuple(pids_of(left)[:MAX_PIDS]))


async def _end_group(
    session: Session, settings: SshSettings, record: tuple[str, str], signal: str, sudo: str, wait_s: float
) -> list[str]:
    """Signals the group and waits until it is gone; what is left of it."""
    loop = asyncio.get_running_loop()
    ends_at, pause_s = loop.time() + wait_s, _FIRST_POLL_S
    left = await session.kill(*record, signal, sudo)
    while left and loop.time() < ends_at:
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, settings.stop_poll_s)
        # Without a pid it may be just starting.
        again = signal if left == ["nopid"] else "-"
        left = await session.kill(*record, again, sudo)
    return left


async def _never_ran(session: Session, folder: str, record: str) -> StopAnswer:
    state = await session.get(folder, record, from_the_start(), _ignore)
    if state.claim == "n" and await session.void(folder, record) == "void":
        return Stopped("it never started, and never will")
    if state.claim in ("v", "gone"):
        return Stopped("it never started, and never will")
    return StopUnconfirmed("it was claimed, and left no pid")


def pids_of(left: Sequence[str]) -> list[int]:
    """The pids in what a server said is left of a group."""
    return [int(word) for word in left if re.fullmatch(r"[0-9]{1,9}", word)]


def _ignore(stream: Stream, start: int, data: bytes) -> None:
    """Output that nobody wants."""
