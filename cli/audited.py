"""The audit log, as commands that need no engine write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli.actor import actor


def audited(folder: Path, action: str, **details: Any) -> None:
    """Writes who is about to change what in the workspace at `folder`.

    Raises StoreError: then nothing may be changed.
    """
    from core.store.audit import AuditLog
    from core.workspace.folder import Workspace

    AuditLog(Workspace.open(folder).state_dir).append(actor(), action, details)
