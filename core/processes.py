"""What the kernel tells of processes: when one started, what it does, which locks it holds.

Read from /proc; where there is none, everything is unknown (0, "" or nothing), never guessed.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

DOING = {
    "R": "running",
    "S": "running",
    "I": "running",
    "D": "waiting in the kernel",
    "T": "stopped",
    "t": "stopped",
    "Z": "ended",
    "X": "ended",
}


def process_start(pid: int) -> float:
    """When a process started, in clock ticks since boot; 0 where it cannot be told. With the pid it names
    one process for good.
    """
    try:
        return float(_stat(pid)[19])
    except (OSError, IndexError, ValueError):
        return 0.0


def process_state(pid: int) -> str:
    """What a process does: running, stopped, waiting in the kernel, ended; gone where there is none."""
    try:
        return DOING.get(_stat(pid)[0], "unknown")
    except FileNotFoundError:
        return "gone" if Path("/proc/self/stat").exists() else "unknown"
    except (OSError, IndexError):
        return "unknown"


def process_owner(pid: int) -> int | None:
    """The user id that a process runs under."""
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def process_name(pid: int) -> str:
    """The name of a process's program ("" where it cannot be told)."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def boot_id() -> str:
    """This boot of this kernel."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def pid_namespace() -> str:
    """The world in which this process's pids mean something."""
    with contextlib.suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink())
    return ""


def flock_holders(path: Path) -> list[int]:
    """Pids that hold a whole-file kernel lock on a file; 0 stands for one of another pid namespace."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            if fields[1] == "FLOCK" and int(fields[5].rsplit(":", 1)[1]) == inode:
                found.append(int(fields[4]))
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the name, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rsplit(")", 1)[1].split()
