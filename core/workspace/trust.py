"""Which workspaces their user trusts to name programs that are run on this machine.

Trust is given by a person for one folder and kept in the user's own data folder, never in a workspace. It
belongs to the folder's resolved path together with the identity of its `.windlass` folder (inode and birth), so a
copy, a clone, an import, and another workspace that takes the folder's place are not trusted. Moving a workspace
loses it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import InputError, NotTrusted
from core.store.incarnation import Identity, identity
from core.workspace.folder import Workspace
from core.workspace.userfiles import UserFile

FILE = UserFile("trusted.json", "which workspaces are trusted")


def is_trusted(workspace: Workspace) -> bool:
    """Whether who runs Windlass trusts this workspace. Raises InputError where that cannot be read."""
    stored = _known(FILE.read()).get(str(workspace.path.resolve()))
    if not isinstance(stored, dict):
        return False
    try:
        then = Identity(stored["machine"], stored["inode"], stored["born"])
        return then.same(identity(workspace.state_dir))
    except (KeyError, TypeError, OSError):
        return False


def trust(workspace: Workspace) -> None:
    """Trusts a workspace from now on. Raises InputError."""
    state = workspace.make_state_dir()
    with FILE.changing() as data:
        known = _known(data)
        known[str(workspace.path.resolve())] = {**asdict(identity(state)), "since": round(time.time())}
        data["workspaces"] = known


def trust_own(path: Path) -> str:
    """Trusts a workspace that its user has just made; why that did not work, or "": it is no reason to fail."""
    try:
        trust(Workspace.load(path))
    except InputError as error:
        return error.message
    return ""


def untrust(workspace: Workspace) -> bool:
    """Takes the trust back; False where there was none. Raises InputError."""
    with FILE.changing() as data:
        known = _known(data)
        had = known.pop(str(workspace.path.resolve()), None)
        data["workspaces"] = known
    return had is not None


def check_trusted(workspace: Workspace, what: str) -> None:
    """Raises NotTrusted, naming `what` would be run, where the workspace is not trusted."""
    if not is_trusted(workspace):
        raise NotTrusted(
            f"{what}: it was not run, as the workspace {workspace.path} is not trusted", hint=HINT
        )


HINT = "look at what it names, then: `windlass workspace trust`"


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    found = data.get("workspaces", {})
    return dict(found) if isinstance(found, dict) else {}
