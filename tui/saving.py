"""Texts that a person saves from the interface: private files below the workspace's state."""

from __future__ import annotations

from pathlib import Path

from core.files import private_folder, write_atomically
from core.workspace.folder import Workspace

FOLDER = "saved"


def save_text(workspace: str, name: str, text: str) -> Path:
    """Writes a text (0600) below the state of the workspace in that folder, and returns where. Blocks.

    Raises OSError, InputError.
    """
    folder = private_folder(private_folder(Workspace.open(Path(workspace)).state_dir) / FOLDER)
    path = folder / name
    write_atomically(path, text.encode("utf-8", "replace"))
    return path
