"""Starts commands and reaps every child of the supervising process, its adopted orphans too.

One SIGCHLD handler waits for all children, so nothing else in the process may wait for one: no
asyncio.subprocess here. Commands start in a session of their own, with default signals, umask 022 and no
descriptor but their three standard streams.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

ExitHandler = Callable[[int], None]
"""Called on the event loop with the wait status (as of `os.waitpid`) of a child that ended."""


class Children:
    """The children of this process. One instance; it owns SIGCHLD from `watch` to `close`."""

    def __init__(self) -> None:
        self._handlers: dict[int, ExitHandler] = {}
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def watch(self) -> None:
        """Begins to reap; needs the running event loop of the main thread."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.reap)

    def close(self) -> None:
        """Stops reaping."""
        asyncio.get_running_loop().remove_signal_handler(signal.SIGCHLD)

    def start(
        self,
        arguments: Sequence[str | bytes],
        *,
        environment: Mapping[str, str],
        directory: Path,
        streams: tuple[int, int, int],
        on_exit: ExitHandler,
    ) -> int:
        """Starts a command with the given descriptors as its standard streams; returns its pid.

        The caller closes its copies of the descriptors. Raises OSError when it cannot be started.
        """
        stdin, stdout, stderr = streams
        process = subprocess.Popen(
            arguments,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=directory,
            env=environment,
            start_new_session=True,
            umask=0o022,
            bufsize=0,
        )
        self._started[process.pid] = process
        self._handlers[process.pid] = on_exit
        return process.pid

    def lives(self, pid: int) -> bool:
        """True while a command started here has not been reaped: its pid still means it."""
        return pid in self._started

    def reap(self) -> None:
        """Collects every child that has ended and tells whoever started it."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self._started.pop(pid, None)
            if process is not None:
                process.returncode = os.waitstatus_to_exitcode(status)
            handler = self._handlers.pop(pid, None)
            if handler is not None:
                try:
                    handler(status)
                except Exception:
                    log.exception("the end of process %s could not be told", pid)
