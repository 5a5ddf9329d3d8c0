"""Who acts: what events and decisions are signed with."""

from __future__ import annotations

import getpass
import os
import socket


def actor() -> str:
    """`user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without an entry, as containers have
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname() or 'localhost'}"


def at_terminal() -> str:
    """`user@host (pts/3)`: who acts, and at which terminal where there is one."""
    try:
        terminal = os.ttyname(0).removeprefix("/dev/")
    except OSError:
        return actor()
    return f"{actor()} ({terminal})"
