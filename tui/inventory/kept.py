"""How the inventory is to look, kept in the user's own files: one for all workspaces, filters apart for each."""

from __future__ import annotations

from core.workspace.userfiles import UserFile
from tui.inventory.view import View

KEPT = UserFile("inventory.json", "how the inventory is to look")


def read_view(workspace: str) -> View:
    """The view of a workspace's inventory. Blocks; raises InputError where the file cannot be read."""
    return View.of(KEPT.read(), workspace)


def keep_view(view: View, workspace: str, was: View) -> None:
    """Keeps what has changed since it `was` another, beside what others kept. Blocks; raises InputError."""
    with KEPT.changing() as data:
        data.update(view.kept(data, workspace, was))
