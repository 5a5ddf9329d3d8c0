"""Which workspace is meant, and which batch in it.

A workspace is the one that was named (`-w`, a folder or a registered name), else that of
`WINDLASS_WORKSPACE`, else the nearest folder upward with a `workspace.yaml`, else the one in use
(`windlass workspace use`). A folder that is a workspace goes before a registered name. A folder found by
looking upward must belong to who runs Windlass: nobody plants one in /tmp.

A batch is a name (`batches/NAME.yaml`) or a path that ends in the workspace, links followed. Everything
else (`..`, NUL, look-alikes, folders elsewhere) is refused with the reason.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError
from core.model.names import refuse_batch_name, refuse_workspace_name

SETTINGS_FILE = "workspace.yaml"
VARIABLE = "WINDLASS_WORKSPACE"
BATCH_SUFFIXES = (".yaml", ".yml")
LISTED = 12
"""How many names an error message lists."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A workspace's absolute folder, and why it is that one; "" where that is plain to see."""

    path: Path
    why: str = ""


def find_workspace(
    given: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Path:
    """The absolute folder of the workspace that is meant. Raises InputError with what was looked at."""
    return choose_workspace(given, environ=environ, cwd=cwd).path


def choose_workspace(
    given: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Chosen:
    """As `find_workspace`, with why it is that one. Raises InputError."""
    env = os.environ if environ is None else environ
    here = Path.cwd() if cwd is None else cwd
    if given is not None:
        return Chosen(_named(os.fspath(given), "-w", here))
    if env.get(VARIABLE):
        return Chosen(_named(env[VARIABLE], VARIABLE, here), f"{VARIABLE} says so")
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            _refuse_planted(folder)
            return Chosen(folder, "" if folder == here else "it is the nearest folder upward that is one")
    return _in_use(here)


def _in_use(here: Path) -> Chosen:
    from core.workspace import registry

    entry = registry.active()
    if entry is None:
        raise InputError(
            f"no workspace here: there is no {SETTINGS_FILE} in {here} nor in any folder above it, "
            "and none is in use",
            hint=f"make one with `windlass init DIR`, or name one with -w DIR or {VARIABLE}",
        )
    if not entry.there:
        raise _gone(f"the workspace in use, '{entry.name}',", entry.name, entry.path)
    return Chosen(entry.path, f"'{entry.name}' is in use (`windlass workspace use`)")


def _gone(what: str, name: str, path: Path) -> InputError:
    return InputError(
        f"{what} is registered in {path}, where there is no workspace (any more)",
        hint=f"`windlass workspace remove {name}` forgets it; `windlass workspace list` shows the others",
    )


def _named(text: str, what: str, here: Path) -> Path:
    if "\0" in text or not text:
        raise InputError(f"{what}: {text!r} is no folder")
    # Links stay as they are: the folder is named as the person named it.
    folder = Path(os.path.abspath(here / Path(text).expanduser()))
    if (folder / SETTINGS_FILE).is_file():
        return folder
    if not refuse_workspace_name(text):
        from core.workspace import registry

        entry = registry.find(text)
        if entry is not None:
            if not entry.there:
                raise _gone(f"{what}: '{text}'", text, entry.path)
            return entry.path
    if not folder.exists():
        raise InputError(
            f"{what}: the folder {folder} does not exist", hint=f"`windlass init {text}` makes it"
        )
    if folder.is_file():
        raise InputError(f"{what}: {folder} is a file; a workspace is a folder")
    raise InputError(
        f"{what}: {folder} is no workspace: it has no {SETTINGS_FILE}",
        hint="`windlass init DIR` makes a workspace in an empty or a new folder",
    )


def _refuse_planted(folder: Path) -> None:
    """Refuses a workspace that somebody else left where we happened to look."""
    me = os.geteuid()
    trusted = {me, 0}
    if me == 0 and os.environ.get("SUDO_UID", "").isdigit():
        trusted.add(int(os.environ["SUDO_UID"]))
    owners = {path.stat().st_uid for path in (folder, folder / SETTINGS_FILE)}
    if not owners <= trusted:
        raise InputError(
            f"{folder} is a workspace, but it belongs to another user: it could run that user's programs as you",
            hint=f"if you trust it, name it: -w {folder}",
        )


def batch_names(batches_dir: Path) -> list[str]:
    """The names of all batches, in order."""
    try:
        return sorted(path.stem for path in batches_dir.glob("*.yaml") if not refuse_batch_name(path.stem))
    except OSError:
        return []


def find_batch(text: str, workspace: Path, *, cwd: Path | None = None) -> Path:
    """The absolute path of a batch, from its name or a path (from the working directory, else the workspace).

    Raises InputError: no such batch (with a near one), or a name or path that is refused.
    """
    if "\0" in text or not text:
        raise InputError(f"{text!r} names no batch")
    if "/" in text or text.endswith(BATCH_SUFFIXES):
        return _by_path(text, workspace, Path.cwd() if cwd is None else cwd)
    batches = workspace / "batches"
    why = refuse_batch_name(text)
    if why:
        raise InputError(f"{text!r} names no batch: {why}")
    path = batches / f"{text}.yaml"
    if not path.is_file():
        raise InputError(f"there is no batch '{text}' in {batches}", hint=_near(text, batches))
    return _inside(path, workspace)


def _by_path(text: str, workspace: Path, here: Path) -> Path:
    tried = [here / text]
    if not Path(text).is_absolute():
        tried.append(workspace / text)
    for path in tried:
        if path.is_file():
            return _inside(path, workspace)
    stem = Path(text).stem
    raise InputError(f"there is no file {text}", hint=_near(stem, workspace / "batches"))


def _inside(path: Path, workspace: Path) -> Path:
    """The path within the workspace, without `..`, links followed."""
    real, root = path.resolve(), workspace.resolve()
    if not real.is_relative_to(root):
        why = f"it leads to {real}, out of" if real != path else "it is not in"
        raise InputError(
            f"{path} is refused: {why} the workspace {workspace}",
            hint=f"copy it into {workspace / 'batches'}: a workspace holds all that its runs are made of",
        )
    return workspace / real.relative_to(root)


def _near(name: str, batches: Path) -> str:
    names = batch_names(batches)
    if not names:
        return f"there is none yet: write one to {batches / 'NAME.yaml'}"
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"did you mean '{close[0]}'?"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"there are: {', '.join(names[:LISTED])}{more}"
