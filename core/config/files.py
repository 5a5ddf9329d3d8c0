"""Edits of a workspace's configuration files: one at a time, written whole or not at all, each kept to be reverted.

What an edit changed is kept in `.windlass/config-history/NUMBER.json` (0600) before the file is replaced. A revert is
an edit as well, and is refused where the file has changed since.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from core.config.edit import Edited
from core.config.load import BASE, ENVIRONMENTS
from core.config.sources import read_text
from core.errors import InputError, NotPossible
from core.files import private_folder, write_atomically
from core.store.audit import AuditLog
from core.workspace.folder import Workspace

HISTORY = "config-history"
LOCK = "config.lock"


@dataclass(frozen=True, slots=True)
class Change:
    """One edit that was made. `before` is the file's text before it, None where there was no file."""

    number: int
    time: float
    actor: str
    action: str
    path: str
    file: str
    before: str | None
    after: str


def file_of(workspace: Workspace, environment: str) -> str:
    """The file that edits go to, from the workspace's folder. Raises InputError for an unknown environment."""
    if environment:
        workspace.environment(environment)
        return f"{ENVIRONMENTS}/{environment}.yaml"
    return BASE


def change_file(
    workspace: Workspace,
    file: str,
    edit: Callable[[str], Edited],
    *,
    actor: str,
    action: str,
    path: str,
    keep: int,
) -> tuple[Edited, Change | None]:
    """Edits a file and keeps what was there; without a difference nothing is written and there is no change.

    `keep` is how many changes are kept. Raises InputError: the edit is refused, or the file cannot be written.
    """
    with _alone(workspace):
        before = read_text(workspace.path / file, file)
        edited = edit(before or "")
        if edited.before == edited.after:
            return edited, None
        change = Change(_next(workspace), time.time(), actor, action, path, file, before, edited.after)
        _write(workspace, change, keep)
        return edited, change


def revert(workspace: Workspace, number: int | None, *, actor: str, keep: int) -> Change:
    """Puts back what was there before a change, the newest by default. Raises NotPossible, InputError."""
    with _alone(workspace):
        changes = history(workspace)
        if not changes:
            raise NotPossible("there is no edit of the configuration to revert")
        chosen = changes[0] if number is None else next((c for c in changes if c.number == number), None)
        if chosen is None:
            raise InputError(
                f"there is no edit {number}", hint=f"kept are {changes[-1].number} to {changes[0].number}"
            )
        now = read_text(workspace.path / chosen.file, chosen.file)
        if now != chosen.after:
            later = [c.number for c in changes if c.file == chosen.file and c.number > chosen.number]
            hint = f"revert {max(later)} first" if later else "it was changed by hand: edit it by hand"
            raise NotPossible(
                f"{chosen.file} has changed since edit {chosen.number}; nothing was changed", hint=hint
            )
        back = Change(
            _next(workspace),
            time.time(),
            actor,
            f"revert {chosen.number}",
            chosen.path,
            chosen.file,
            now,
            chosen.before or "",
        )
        _write(workspace, back, keep)
        return back


def history(workspace: Workspace) -> list[Change]:
    """The changes that are kept, newest first. What cannot be read is left out."""
    found = []
    for file in (workspace.state_dir / HISTORY).glob("*.json"):
        try:
            found.append(Change(**json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda change: change.number, reverse=True)


# ---------------------------------------------------------------- writing


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Keeps other edits of the workspace's configuration waiting."""
    lock = workspace.make_state_dir() / LOCK
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _next(workspace: Workspace) -> int:
    numbers = [
        int(file.stem) for file in (workspace.state_dir / HISTORY).glob("*.json") if file.stem.isdecimal()
    ]
    return max(numbers, default=0) + 1


def _write(workspace: Workspace, change: Change, keep: int) -> None:
    told = {"did": change.action, "path": change.path, "file": change.file, "edit": change.number}
    AuditLog(workspace.state_dir).append(change.actor, "config.edit", told)
    target = workspace.path / change.file
    kept = workspace.state_dir / HISTORY / f"{change.number}.json"
    try:
        real = target.resolve()
        if not real.is_relative_to(workspace.path.resolve()):
            raise InputError(f"{change.file} is a link that leads out of the workspace")
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = real.stat().st_mode & 0o777 if real.exists() else 0o644
        private_folder(kept.parent)
        write_atomically(kept, json.dumps(asdict(change)).encode())
        try:
            write_atomically(real, change.after.encode(), mode=mode)
        except BaseException:
            kept.unlink()
            raise
    except OSError as error:
        raise InputError(f"{change.file} cannot be written: {error.strerror or error}") from error
    for old in history(workspace)[keep:]:
        (kept.parent / f"{old.number}.json").unlink(missing_ok=True)
