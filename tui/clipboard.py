"""Text on its way to a clipboard: by the terminal or by tmux, and into a file beside it, as neither tells if it came.

OSC 52 is how a terminal is asked for it, also over SSH. tmux drops that of applications unless it is told otherwise,
and takes text by `load-buffer -w` instead, which hands it on to its own terminal (tmux(1)).
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from core.files import private_folder, write_atomically
from core.workspace.userfiles import user_folder

FILE = "copied.txt"
TMUX_WAIT_S = 2.0


def save(text: str) -> Path | None:
    """Writes text to the user's own file (0600) and returns its path; None where it cannot be written. Blocks."""
    with contextlib.suppress(OSError, ValueError):
        path = private_folder(user_folder()) / FILE
        write_atomically(path, text.encode("utf-8", "replace"))
        return path
    return None


def to_tmux(text: str) -> bool:
    """Gives text to the tmux that this terminal belongs to; whether there is one, and it took it. Blocks."""
    if not os.environ.get("TMUX"):
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        given = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],
            input=text.encode("utf-8", "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TMUX_WAIT_S,
        )
        return given.returncode == 0
    return False
