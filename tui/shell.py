"""A person's own shell on a server, in place of the interface: the terminal is given to `windlass servers ssh`.

The interface goes on behind it (it follows the engine, and draws nothing), and is drawn anew when the shell has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import IO

SSH_FAILED = 255
"""What `ssh` ends with where it came to no session."""
SHORT_S = 3.0
"""What ended badly after so short a time was no session either: what was said of it is to be read."""
END_S = 5.0
"""How long a session that is ended from here may take for that."""
COMMAND = (sys.executable, "-P", "-m", "cli", "servers", "ssh")
LEFT_ALONE = (signal.SIGINT, signal.SIGQUIT)
"""What the keys of the terminal send to us as well while the shell has it."""


async def shell_on(
    server: str, workspace: str, suspended: Callable[[], AbstractContextManager[None]], terminal: IO[str]
) -> int:
    """Opens a shell on a server and returns its exit status once it has ended.

    `suspended` gives the terminal away as long as its context lasts. Where no session came about, what was said of it
    stays until enter is pressed. Raises OSError where the shell cannot be started.
    """
    failed: BaseException | None = None
    status = 0
    with suspended(), _deaf():
        try:  # the terminal is taken back only where nothing is raised in here
            status = await _session(server, workspace, terminal)
        except BaseException as error:
            failed = error
    if failed is not None:
        raise failed
    return status


async def _session(server: str, workspace: str, terminal: IO[str]) -> int:
    _tell(terminal, f"windlass: a shell on {server}; it ends with exit, and windlass comes back")
    # Handlers are ours alone: the new process begins with the defaults.
    began = time.monotonic()
    child = await asyncio.create_subprocess_exec(*COMMAND, "-w", workspace, "--", server)
    try:
        status = await child.wait()
    except asyncio.CancelledError:
        child.terminate()  # it ends its ssh
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), END_S)
        raise
    if status == SSH_FAILED or (status and time.monotonic() - began < SHORT_S):
        _tell(terminal, f"windlass: it ended with status {status}; enter goes back")
        await _enter()
    return status


def _tell(terminal: IO[str], text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        terminal.write(f"{text}\n")
        terminal.flush()


async def _enter() -> None:
    """Returns when enter was pressed, or the terminal is gone."""
    loop, pressed = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        try:
            end = os.read(0, 1024)[-1:]
        except OSError:
            end = b""
        if end in (b"\n", b"\r", b""):
            pressed.set()

    loop.add_reader(0, read)
    try:
        await pressed.wait()
    finally:
        loop.remove_reader(0)


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    def ignore(_number: int, _frame: FrameType | None) -> None:
        """Not SIG_IGN, which the new process would inherit."""

    before = {number: signal.signal(number, ignore) for number in LEFT_ALONE}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
