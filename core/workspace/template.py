"""Makes a workspace from a template that is shipped with Windlass.

Templates are the folders of the package `workspaces`; they are read as package resources, so that they
come out of a wheel, a zip or a read-only installation just as well. The copy is the user's own: plain
files that may be written, a `.gitignore`, and `.windlass/` (0700). A folder with anything in it is refused,
and nothing is left half made: a copy that fails is taken back.
"""

from __future__ import annotations

import difflib
import re
import shutil
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from core.errors import InputError
from core.model.names import refuse_workspace_name
from core.workspace.find import SETTINGS_FILE
from core.workspace.folder import STATE_DIR

PACKAGE = "workspaces"
GITIGNORE = f"""\
# State of Windlass: database, logs, copies of files in use, keys of local servers
/{STATE_DIR}/
"""
_NAME_LINE = re.compile(r"^name:.*$", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
"""Names that YAML reads as text without quotes."""


def templates() -> list[str]:
    """The names of the templates, in order."""
    return sorted(folder.name for folder in resources.files(PACKAGE).iterdir() if _is_template(folder))


def create_workspace(target: Path, template: str) -> list[str]:
    """Makes the workspace `target` (a new or an empty folder); returns the files made, relative to it.

    The workspace takes the folder's name, where that can name one. Raises InputError.
    """
    source = _template(template)
    existed = target.is_dir()
    _check_target(target)
    made: list[str] = []
    try:
        target.mkdir(parents=True, exist_ok=True)
        _copy(source, target, "", made)
        if not (target / ".gitignore").exists():
            (target / ".gitignore").write_text(GITIGNORE)
            made.append(".gitignore")
        state = target / STATE_DIR
        state.mkdir(mode=0o700)
        state.chmod(0o700)
        _take_name(target)
    except OSError as error:
        _take_back(target, existed)
        where = error.filename or target
        raise InputError(f"{where} cannot be made: {error.strerror or error}") from error
    return sorted(made)


def _template(name: str) -> Traversable:
    known = templates()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(known)}"
        raise InputError(f"there is no template '{name}'", hint=hint)
    return resources.files(PACKAGE) / name


def _is_template(folder: Traversable) -> bool:
    return folder.is_dir() and (folder / SETTINGS_FILE).is_file()


def _check_target(target: Path) -> None:
    if "\0" in str(target):
        raise InputError(f"{str(target)!r} is no folder")
    try:
        if target.exists() and not target.is_dir():
            raise InputError(f"{target} is a file; a workspace is a folder")
        if target.is_dir() and any(target.iterdir()):
            has = "is a workspace already" if (target / SETTINGS_FILE).exists() else "is not empty"
            raise InputError(
                f"the folder {target} {has}: nothing was written", hint="name an empty or a new folder"
            )
    except OSError as error:
        raise InputError(f"{target} cannot be read: {error.strerror or error}") from error


def _copy(source: Traversable, target: Path, prefix: str, made: list[str]) -> None:
    for entry in sorted(source.iterdir(), key=lambda found: found.name):
        if entry.name in {"__pycache__", STATE_DIR}:
            continue
        if entry.is_dir():
            (target / entry.name).mkdir()
            _copy(entry, target / entry.name, f"{prefix}{entry.name}/", made)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
            made.append(prefix + entry.name)


def _take_name(target: Path) -> None:
    """Names the workspace after its folder, in the settings as the template wrote them."""
    name = target.resolve().name
    if refuse_workspace_name(name):
        return
    bare = _BARE.fullmatch(name) and name.lower() not in {"true", "false", "null"}
    settings = target / SETTINGS_FILE
    line = f"name: {name}" if bare else f'name: "{name}"'
    settings.write_text(_NAME_LINE.sub(line, settings.read_text("utf-8"), count=1), "utf-8")


def _take_back(target: Path, existed: bool) -> None:
    """Removes what a failed copy has made; the folder was empty or not there before."""
    if not existed:
        shutil.rmtree(target, ignore_errors=True)
        return
    for entry in target.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
