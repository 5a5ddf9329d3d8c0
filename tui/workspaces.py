"""The registered workspaces as the interface lists them. `read` opens files: call it off the interface's thread."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from core.errors import InputError
from core.workspace import registry
from core.workspace.folder import Workspace
from core.workspace.settings import Protection


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """One registered workspace. `trouble` is why it cannot be opened; "" when it can.

    `production` says where it is in production: "" for nowhere, "all" for the whole, else names of environments.
    """

    name: str
    path: Path
    in_use: bool = False
    here: bool = False
    production: str = ""
    read_only: bool = False
    trouble: str = ""

    @property
    def state(self) -> str:
        """In words: what it is just now."""
        if self.here:
            return "open here"
        if self.trouble:
            return "not there" if self.trouble.startswith("no workspace") else "faulty"
        return "in use" if self.in_use else "there"

    @property
    def protection(self) -> str:
        """In words: how it guards against a mistake; "" where it does not."""
        where = "" if self.production == "all" else f" in {self.production}"
        told = ((f"PRODUCTION{where}", self.production), ("READ-ONLY", self.read_only))
        return " ".join(word for word, holds in told if holds)


def read(here: Path) -> list[WorkspaceRow]:
    """Every registered workspace, by name; `here` is the folder that is open. Raises InputError."""
    return [_row(entry, here.resolve()) for entry in registry.entries()]


def _row(entry: registry.Entry, here: Path) -> WorkspaceRow:
    is_here = entry.path.resolve() == here
    if not entry.there:
        trouble = f"no workspace lies in {entry.path}"
        return WorkspaceRow(entry.name, entry.path, entry.active, is_here, trouble=trouble)
    try:
        found = Workspace.open(entry.path)
    except InputError as error:
        trouble = str(error.faults[0]) if error.faults else error.message
        return WorkspaceRow(entry.name, entry.path, entry.active, is_here, trouble=trouble)
    guarded = [each.name for each in found.environments if each.protection is Protection.PRODUCTION]
    production = "all" if found.protection is Protection.PRODUCTION else ", ".join(guarded)
    return WorkspaceRow(entry.name, entry.path, entry.active, is_here, production, found.read_only)


class OpenWorkspace(Message):
    """Asks the app to go on with another workspace."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
