"""Numbers and times as people read them in lines and tables.

Pure functions; times are wall time in seconds since the epoch, durations are seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.model.states import TaskState


def duration(seconds_s: float | None) -> str:
    """ "0.4s", "41s", "1m 04s", "1h 02m", "3d 04h"; "" where there is none."""
    if seconds_s is None:
        return ""
    seconds_s = max(0.0, seconds_s)
    if seconds_s < 9.95:
        return f"{seconds_s:.1f}s"
    whole = round(seconds_s)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def ago(then: float, now: float) -> str:
    """ "now", "41s ago", "12m ago", "3h ago", "5d ago"."""
    passed = max(0.0, now - then)
    if passed < 5:
        return "now"
    for limit, unit in ((60, "s"), (3600, "m"), (86400, "h")):
        if passed < limit:
            return f"{int(passed // max(1, limit // 60 if unit != 'h' else 3600))}{unit} ago"
    return f"{int(passed // 86400)}d ago"


def clock(when: float) -> str:
    """The local time of day, "14:02:11"."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def stamp(when: float) -> str:
    """The absolute local time with its offset, "2026-03-01 14:02:11 +0100"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(when))


def short_path(file: str) -> str:
    """A file as it is reached from the working directory, where it lies below."""
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_absolute() and path.is_relative_to(here) else file


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 server", "12 servers"; `many` for plurals that take more than an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """ "1 byte", "524288 bytes": exact, so that it can be compared with offsets."""
    return plural(count, "byte")


def listed(names: Sequence[str], most: int = 3) -> str:
    """ "web-1, web-2 and 5 more"."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def counted(counts: Mapping[TaskState, int]) -> str:
    """Tasks by state, in the order of the states: "90 done, 6 in place"."""
    from core.model.states import TaskState

    return ", ".join(f"{counts[state]} {state.word}" for state in TaskState if counts.get(state))
