"""How a batch file on disk differs from the text that a run was made from."""

from __future__ import annotations

import difflib
from pathlib import Path

from core.workspace.folder import STATE_DIR

BATCHES = "batches"
MOST_BYTES = 8 * 1024 * 1024


def changes(stored: str, file: str, workspace: Path) -> str:
    """A unified diff from the stored text to the file; "" where they are the same or no file was ever there.

    The file is looked for in this workspace first, which may have been moved or copied since. A file that is gone
    counts as empty.
    """
    named = Path(file)
    if not named.is_absolute() or STATE_DIR in named.parts:
        return ""  # not made from a file of a person's
    here = workspace / BATCHES / named.name
    path = here if named.parent.name == BATCHES and here.is_file() else named
    try:
        with path.open("rb") as stream:
            now = stream.read(MOST_BYTES).decode("utf-8", "backslashreplace")
    except OSError:
        now = ""
    if now == stored:
        return ""
    lines = difflib.unified_diff(
        stored.splitlines(),
        now.splitlines(),
        f"{path.name} (as the run has it)",
        f"{path.name} (now)",
        lineterm="",
    )
    return "\n".join(lines) or "the two differ in line ends only"
