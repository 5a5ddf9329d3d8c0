"""Who else has the database open or locked, for the error that names it (Linux only; elsewhere nobody)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from core.processes import process_name

COMPANIONS = ("", "-wal", "-shm")


def lock_holders(path: Path) -> list[int]:
    """Pids of other processes that keep a writer out: those that hold write locks on the database or its
    companions, else read locks; where the kernel does not say whose a lock is, those that have the files open.
    """
    inodes = set()
    for suffix in COMPANIONS:
        with contextlib.suppress(OSError):
            inodes.add(path.with_name(path.name + suffix).stat().st_ino)
    try:
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return []
    found: dict[str, set[int]] = {"WRITE": set(), "READ": set()}
    nameless = False
    for line in lines:
        fields = line.split()
        with contextlib.suppress(ValueError, IndexError):
            kind = "WRITE" if "WRITE" in fields else "READ"
            start = fields.index(kind)
            pid, inode = int(fields[start + 1]), int(fields[start + 2].rsplit(":", 1)[1])
            if inode in inodes and pid != os.getpid():
                nameless = nameless or pid <= 0
                if pid > 0:
                    found[kind].add(pid)
    return sorted(found["WRITE"] or found["READ"] or (_having_open(inodes) if nameless else set()))


def named(pids: list[int]) -> str:
    """ "pid 4711 (sqlite3), pid 4712 (python3)"."""
    return ", ".join(f"pid {pid} ({name})" if (name := process_name(pid)) else f"pid {pid}" for pid in pids)


def _having_open(inodes: set[int]) -> set[int]:
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    if descriptor.stat().st_ino in inodes:
                        found.add(int(process.name))
    return found - {os.getpid()}
