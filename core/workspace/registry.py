"""The workspaces that a user has registered by name, and the one in use.

A name stands for a folder; nothing in a folder is changed here, and removing a name removes no file. The
registry says where a workspace is, not that it is there: whoever opens it finds out.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.model.names import refuse_workspace_name
from core.workspace.find import SETTINGS_FILE
from core.workspace.userfiles import UserFile

FILE = UserFile("workspaces.json", "the registered workspaces")


@dataclass(frozen=True, slots=True)
class Entry:
    """One registered workspace; `active` is the one in use. `there` is false where no workspace lies there."""

    name: str
    path: Path
    active: bool = False

    @property
    def there(self) -> bool:
        """Whether there is a workspace in the folder now."""
        try:
            return (self.path / SETTINGS_FILE).is_file()
        except OSError:
            return False


def entries() -> list[Entry]:
    """Every registered workspace, by name. Raises InputError."""
    data = FILE.read()
    active = data.get("active")
    found = _paths(data)
    return [Entry(name, Path(found[name]), name == active) for name in sorted(found)]


def find(name: str) -> Entry | None:
    """The workspace registered under a name, or None. Raises InputError."""
    return next((entry for entry in entries() if entry.name == name), None)


def active() -> Entry | None:
    """The workspace in use, or None. Raises InputError."""
    return next((entry for entry in entries() if entry.active), None)


def of_folder(path: Path) -> Entry | None:
    """The entry of a folder, or None. Raises InputError."""
    real = path.resolve()
    return next((entry for entry in entries() if entry.path.resolve() == real), None)


def add(name: str, path: Path) -> Entry:
    """Registers a folder under a name. Raises InputError where the name or the folder is taken."""
    _refuse(name)
    real = path.resolve()
    with _changing() as (data, paths):
        if name in paths and Path(paths[name]).resolve() != real:
            raise taken(name, paths[name])
        for known, folder in paths.items():
            if known != name and Path(folder).resolve() == real:
                raise InputError(
                    f"{real} is registered as '{known}' already",
                    hint=f"`windlass workspace rename {known} {name}` gives it that name",
                )
        paths[name] = str(real)
        return Entry(name, real, data.get("active") == name)


def taken(name: str, path: str | Path) -> InputError:
    """The error of a name that another folder has."""
    return InputError(
        f"the name '{name}' is taken by {path}",
        hint=f"give another one with --name, or free it: `windlass workspace remove {name}` (no file is removed)",
    )


def use(name: str) -> Entry:
    """Makes a registered workspace the one in use; the caller has looked whether it opens. Raises InputError."""
    with _changing() as (data, paths):
        _known(name, paths)
        data["active"] = name
        return Entry(name, Path(paths[name]), True)


def rename(old: str, new: str) -> Entry:
    """Gives a registered workspace another name; the folder stays as it is. Raises InputError."""
    _refuse(new)
    with _changing() as (data, paths):
        _known(old, paths)
        if new in paths and new != old:
            raise taken(new, paths[new])
        paths[new] = paths.pop(old)
        if data.get("active") == old:
            data["active"] = new
        return Entry(new, Path(paths[new]), data.get("active") == new)


def remove(name: str) -> Entry:
    """Forgets a name; no file is removed. Raises InputError."""
    with _changing() as (data, paths):
        _known(name, paths)
        was_active = data.get("active") == name
        if was_active:
            del data["active"]
        return Entry(name, Path(paths.pop(name)), was_active)


def require(name: str) -> Entry:
    """As `find`. Raises InputError where there is none of that name, with a near one."""
    _known(name, _paths(FILE.read()))
    found = find(name)
    assert found is not None
    return found


def _paths(data: Any) -> dict[str, str]:
    found = data.get("workspaces", {})
    if not isinstance(found, dict):
        return {}
    return {str(name): path for name, path in found.items() if isinstance(path, str) and "\0" not in path}


@contextmanager
def _changing() -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
    with FILE.changing() as data:
        paths = _paths(data)
        yield data, paths
        data["workspaces"] = paths


def _refuse(name: str) -> None:
    why = refuse_workspace_name(name)
    if why:
        raise InputError(f"{name!r} names no workspace: {why}")


def _known(name: str, paths: dict[str, str]) -> None:
    if name in paths:
        return
    close = difflib.get_close_matches(name, paths, n=1)
    there = (
        f"there are: {', '.join(sorted(paths))}" if paths else "`windlass workspace add DIR` registers one"
    )
    raise InputError(
        f"no workspace is registered as {name!r}", hint=f"did you mean '{close[0]}'?" if close else there
    )
