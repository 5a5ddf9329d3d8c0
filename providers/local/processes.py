"""Finds and ends the processes that were started on local servers.

They are known from the process table: by the marker in their environment, by descent from a process that
is known, and by descent from the supervising process, which adopts orphans on Linux. Of an orphan that
shed the marker the working directory tells the server; where that tells nothing either, it is ended with
the last server. A working directory alone proves nothing: a person's own shell may stand there. Where
there is no `/proc`, `ps` gives descent and, where the system lets it, the marker.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from providers.local.layout import MARKER

PROC = Path("/proc")
_PR_SET_CHILD_SUBREAPER = 36
_PS_ENVIRONMENT = {"PATH": "/bin:/usr/bin", "LC_ALL": "C"}


@dataclass(frozen=True, slots=True)
class Process:
    """One process. `started` tells it from a later one with the same pid; `server` is "" where unknown."""

    pid: int
    parent: int
    started: str
    mark: str = ""
    directory: str = ""


def adopt_orphans() -> None:
    """Makes this process the parent of orphaned descendants, where the system can (Linux)."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def start_of(pid: int) -> str:
    """When a process started, as the system writes it; "" when it does not live."""
    if PROC.joinpath("self", "stat").exists():
        fields = _stat(pid)
        return fields[19] if fields and fields[0] != "Z" else ""
    answer = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
        env=_PS_ENVIRONMENT,
    )
    return " ".join(answer.stdout.split())


def processes() -> list[Process]:
    """Every process of the system that is no zombie."""
    if PROC.joinpath("self", "stat").exists():
        return list(_from_proc())
    return list(_from_ps())


def ancestors(table: Iterable[Process], pid: int) -> set[int]:
    """A process and everything above it."""
    parents = {process.pid: process.parent for process in table}
    line: set[int] = set()
    while pid > 0 and pid not in line:
        line.add(pid)
        pid = parents.get(pid, 0)
    return line


@dataclass(frozen=True, slots=True)
class Belonging:
    """Which processes belong to servers.

    `marks` are values of the marker ("FOLDER-DIGEST/NAME"), or of its first half for every server of a
    state folder. `adopter` is the supervising process (0: there is none): of its descendants, those that
    work below one of `folders` belong too, and with `everything` all of them do.
    """

    marks: frozenset[str]
    adopter: int = 0
    folders: tuple[str, ...] = ()
    everything: bool = False

    def of(self, table: Collection[Process], spared: Collection[int] = ()) -> list[Process]:
        """The processes that belong and their descendants, without those in `spared`."""
        children: dict[int, list[Process]] = {}
        for process in table:
            children.setdefault(process.parent, []).append(process)
        adopted = _descendants(children, children.get(self.adopter, ())) if self.adopter else {}
        known = [process for process in table if self._is_marked(process)]
        known += [process for process in adopted.values() if self.everything or self._works_inside(process)]
        found = _descendants(children, known)
        return [process for pid, process in found.items() if pid not in spared]

    def _is_marked(self, process: Process) -> bool:
        if not process.mark:
            return False
        return process.mark in self.marks or process.mark.partition("/")[0] in self.marks

    def _works_inside(self, process: Process) -> bool:
        place = process.directory
        return any(place == folder or place.startswith(folder + "/") for folder in self.folders)


def _descendants(children: Mapping[int, Collection[Process]], roots: Iterable[Process]) -> dict[int, Process]:
    found: dict[int, Process] = {}
    waiting = list(roots)
    while waiting:
        process = waiting.pop()
        if process.pid not in found:
            found[process.pid] = process
            waiting.extend(children.get(process.pid, ()))
    return found


async def end(
    find: Callable[[], Collection[Process]], *, grace_s: float = 2.0, limit_s: float = 10.0
) -> list[Process]:
    """Ends what `find` finds: TERM, after the grace time KILL, until nothing is left. Returns what is left.

    `find` is asked again in each round, so that what was started meanwhile is ended too.
    """
    begun = time.monotonic()
    told: set[tuple[int, str]] = set()
    while True:
        left = await asyncio.to_thread(find)
        spent = time.monotonic() - begun
        if not left or spent > limit_s:
            return list(left)
        for process in left:
            key = (process.pid, process.started)
            if spent >= grace_s:
                _send(process, signal.SIGKILL)
            elif key not in told:
                told.add(key)
                _send(process, signal.SIGTERM)
                _send(process, signal.SIGCONT)
        await asyncio.sleep(0.02 if spent < 0.5 else 0.1)


def _send(process: Process, number: signal.Signals) -> None:
    if process.pid in (0, 1, os.getpid()) or start_of(process.pid) != process.started:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process.pid, number)


# ---------------------------------------------------------------- the process table


def _stat(pid: int | str) -> list[str]:
    """The fields of /proc/PID/stat from the state on: state, parent, …, [19] the start time."""
    try:
        text = PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except OSError:
        return []
    return text[text.rfind(")") + 2 :].split()


def _from_proc() -> Iterable[Process]:
    prefix = f"{MARKER}=".encode()
    with os.scandir(PROC) as entries:
        pids = [entry.name for entry in entries if entry.name.isdigit()]
    for pid in pids:
        fields = _stat(pid)
        if not fields or fields[0] in "ZX":
            continue
        mark = directory = ""
        with contextlib.suppress(OSError):
            for variable in PROC.joinpath(pid, "environ").read_bytes().split(b"\0"):
                if variable.startswith(prefix):
                    mark = os.fsdecode(variable[len(prefix) :])
        with contextlib.suppress(OSError):
            directory = os.readlink(PROC / pid / "cwd")
        yield Process(int(pid), int(fields[1]), fields[19], mark, directory)


def _from_ps() -> Iterable[Process]:
    """BSD's form of ps, which Linux's ps takes as well: the environment follows the command."""
    with subprocess.Popen(
        ["ps", "axeww", "-o", "pid=,ppid=,stat=,lstart=,command="],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_PS_ENVIRONMENT,
    ) as ps:
        output, _ = ps.communicate(timeout=30)
    needle = f"{MARKER}="
    for line in output.decode(errors="replace").splitlines():
        fields = line.split(None, 8)
        if len(fields) < 8 or not fields[0].isdigit() or fields[2].startswith("Z"):
            continue
        if int(fields[0]) == ps.pid:
            continue
        started = " ".join(fields[3:8])
        rest = fields[8] if len(fields) > 8 else ""
        mark = rest.rpartition(needle)[2].split(" ", 1)[0] if needle in rest else ""
        yield Process(int(fields[0]), int(fields[1]), started, mark)
