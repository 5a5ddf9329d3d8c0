"""The terminal's own title: the workspace, and whether it is production. What stood there before is put back.

`CSI 22;2t` keeps the title and `CSI 23;2t` puts it back (xterm's control sequences, window manipulation).
"""

from __future__ import annotations

import os

from core.display import display_line
from core.model.views import WorkspaceInfo

KEEP = "\x1b[22;2t"
PUT_BACK = "\x1b[23;2t"
TITLE_CHARS = 80


def set_title(workspace: WorkspaceInfo) -> str:
    """What to write so that the terminal has the title of a workspace; "" where the terminal has none."""
    if os.environ.get("TERM", "") in ("", "dumb", "linux"):
        return ""
    told = f"windlass {workspace.name}"
    if workspace.protection == "production":
        told += " PRODUCTION"
    if workspace.read_only:
        told += " READ-ONLY"
    return f"\x1b]2;{display_line(told)[:TITLE_CHARS]}\x07"
