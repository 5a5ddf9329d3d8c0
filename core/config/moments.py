"""The configuration files as they were at an earlier moment, from the edits that are kept of them.

A moment is a time, or an edit by its number (as things were right after it). What was changed by hand is not kept: it
is seen only in what the next edit found, and such a gap is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.config.files import Change, history
from core.config.load import BASE, ENVIRONMENTS
from core.config.sources import read_text
from core.errors import InputError
from core.workspace.folder import Workspace

_AGE = re.compile(r"(?:(?P<d>\d{1,5})d)?(?:(?P<h>\d{1,5})h)?(?:(?P<m>\d{1,5})m)?")
WAYS = "a time (2026-03-01T14:00), how long ago (90m, 2h, 3d), or the number of an edit"


@dataclass(frozen=True, slots=True)
class Then:
    """The texts of the files that were different, by their names, and what is not certain about them."""

    texts: dict[str, str] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


def files_then(workspace: Workspace, moment: str, now: float) -> Then:
    """The files at a moment as it is written on a command line; `now` in seconds since the epoch.

    Raises InputError: it is no moment, or no such edit is kept.
    """
    changes = sorted(history(workspace), key=lambda change: change.number)
    if moment.isdecimal():
        number = int(moment)
        kept = [change.number for change in changes]
        if number not in kept and number != (kept[0] - 1 if kept else None):
            hint = f"kept are {kept[0]} to {kept[-1]}" if kept else "no edit is kept"
            raise InputError(
                f"there is no edit {number}", hint=f"{hint}; `windlass config history` lists them"
            )
        done = [change for change in changes if change.number <= number]
        first = bool(kept) and number < kept[0]
    else:
        at = _time(moment, now)
        done = [change for change in changes if change.time <= at]
        first = not done
    return _then(workspace, changes, len(done), before_all=first)


def _then(workspace: Workspace, changes: Sequence[Change], done: int, *, before_all: bool) -> Then:
    texts: dict[str, str] = {}
    notices: list[str] = []
    for file in {change.file for change in changes} | _files(workspace):
        past = [change for change in changes[:done] if change.file == file]
        to_come = [change for change in changes[done:] if change.file == file]
        present = read_text(workspace.path / file, file) or ""
        next_known = (to_come[0].before or "") if to_come else present
        text = past[-1].after if past else next_known
        if past and text != next_known:
            after = f"edit {past[-1].number}" + (f" and before edit {to_come[0].number}" if to_come else "")
            notices.append(
                f"{file} was changed by hand after {after}: when is not known, so that is left out"
            )
        if text != present:
            texts[file] = text
    if before_all and changes:
        notices.append(
            f"the oldest edit that is kept is {changes[0].number}: that is how things were before it"
        )
    elif not changes:
        notices.append("no edit is kept, so the files are taken as they are now")
    return Then(texts, tuple(sorted(notices)))


def _files(workspace: Workspace) -> set[str]:
    folder = workspace.path / ENVIRONMENTS
    return {BASE, *(f"{ENVIRONMENTS}/{path.name}" for path in folder.glob("*.yaml"))}


def _time(text: str, now: float) -> float:
    age = _AGE.fullmatch(text)
    if age is not None and text:
        days, hours, minutes = (int(age[unit] or 0) for unit in "dhm")
        return now - (days * 86400 + hours * 3600 + minutes * 60)
    try:
        # Without an offset it is the time of the clock here.
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        raise InputError(f"{text!r} is no moment", hint=f"write {WAYS}") from None
