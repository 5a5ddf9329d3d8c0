"""The registered workspaces as the interface lists them: what their settings say, and what their runs need.

`read` opens files: call it off the interface's thread. `activity` asks the database of one, in bounded time, and
changes nothing there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from core.engine.open import open_reader
from core.errors import InputError, WindlassError
from core.workspace import registry
from core.workspace.folder import Workspace
from core.workspace.settings import Protection
from tui.overview import overview

READ_S = 3.0
"""How long one database may take to answer."""
MOST_RUNS = 200


@dataclass(frozen=True, slots=True)
class Activity:
    """What the database of one workspace says. `needs` counts the runs that wait for a person; `last` is when something
    happened last, in seconds of wall time, 0.0 for never; `trouble` is why neither is known.
    """

    needs: int = 0
    last: float = 0.0
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class WorkspaceRow:
    """One registered workspace. `trouble` is why it cannot be opened; "" when it can. `activity` is None until it
    was asked for.

    `production` says where it is in production: "" for nowhere, "all" for the whole, else names of environments.
    """

    name: str
    path: Path
    in_use: bool = False
    here: bool = False
    environments: tuple[str, ...] = ()
    production: str = ""
    read_only: bool = False
    trouble: str = ""
    activity: Activity | None = None

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
    names = tuple(each.name for each in found.known_environments())
    return WorkspaceRow(entry.name, entry.path, entry.active, is_here, names, production, found.read_only)


async def activity(path: Path) -> Activity:
    """Asks the database of one workspace, as any other reader does; it may be owned by an engine meanwhile."""
    try:
        async with asyncio.timeout(READ_S):
            engine = await open_reader(path)
            try:
                runs = await engine.runs(limit=MOST_RUNS)
                seq = (await engine.workspace()).last_seq
                newest = await engine.events(max(0, seq - 1), limit=1)
            finally:
                await engine.close()
    except TimeoutError:
        return Activity(trouble=f"its database gave no answer within {READ_S:.0f} s")
    except WindlassError as error:
        return Activity(trouble=error.message)
    return Activity(len(overview(runs).needs), newest[-1].time if newest else 0.0)


class OpenWorkspace(Message):
    """Asks the app to go on with another workspace."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
