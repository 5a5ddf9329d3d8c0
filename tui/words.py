"""Numbers and times as people read them: durations like `1m 04s`, counts like `46/48`, times relative.

Pure functions; every time is wall time in seconds since the epoch, every `_s` a duration in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.model.states import TaskState, UndoState
from core.model.views import RunInfo

MIN_TASKS_FOR_ESTIMATE = 3
MIN_ELAPSED_FOR_ESTIMATE_S = 3.0


def duration(seconds_s: float | None) -> str:
    """A duration: "0.4s" below a second, "41s", "1m 04s", "1h 02m", "3d 04h"; "" where there is none."""
    if seconds_s is None:
        return ""
    seconds_s = max(0.0, seconds_s)
    if 0.05 <= seconds_s < 0.95:
        return f"{seconds_s:.1f}s"
    whole = round(seconds_s)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def milliseconds(seconds_s: float) -> str:
    """A short duration: "12ms" below a second, then as `duration`."""
    return f"{round(seconds_s * 1000)}ms" if seconds_s < 1 else duration(seconds_s)


def ago(then: float, now: float) -> str:
    """How long ago: "now", "41s ago", "12m ago", "3h ago", "5d ago"."""
    passed = max(0.0, now - then)
    if passed < 5:
        return "now"
    if passed < 60:
        return f"{int(passed)}s ago"
    if passed < 3600:
        return f"{int(passed // 60)}m ago"
    if passed < 86400:
        return f"{int(passed // 3600)}h ago"
    return f"{int(passed // 86400)}d ago"


def clock(when: float, *, seconds: bool = False) -> str:
    """The local time of day: "14:02", or "14:02:11"."""
    return time.strftime("%H:%M:%S" if seconds else "%H:%M", time.localtime(when))


def stamp(when: float) -> str:
    """The absolute local time: "2026-03-01 14:02:11"."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(when))


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 server", "12 servers"; `many` for plurals that take more than an s."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """A number of bytes: "812 B", "1.4 kB", "3.0 MB"."""
    if count < 1000:
        return f"{count} B"
    for unit, factor in (("kB", 10**3), ("MB", 10**6)):
        if count < factor * 1000:
            return f"{count / factor:.1f} {unit}"
    return f"{count / 10**9:.1f} GB"


def listed(names: Sequence[str], most: int = 3) -> str:
    """ "web-1, web-2 and 5 more"."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


TROUBLE = (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.IN_DOUBT, TaskState.BLOCKED)


def trouble(counts: Mapping[TaskState, int]) -> str:
    """What went wrong, in words: "3 failed, 2 in doubt"; "" where nothing did."""
    return ", ".join(f"{counts[state]} {state.word}" for state in TROUBLE if counts.get(state))


def undo_trouble(counts: Mapping[UndoState, int]) -> str:
    """What went wrong in a rollback, in words: "1 undo failed, 2 undo in doubt"."""
    wrong = (UndoState.FAILED, UndoState.IN_DOUBT)
    return ", ".join(f"{counts[state]} {state.word}" for state in wrong if counts.get(state))


def elapsed_s(run: RunInfo, now: float) -> float:
    """How long a run has taken, or took."""
    return max(0.0, (run.ended if run.ended is not None else now) - run.created)


@dataclass(frozen=True, slots=True)
class Pace:
    """From when on a run was seen to execute without standing still, and how many tasks had ended by then."""

    since: float
    ended: int = 0


def left_s(run: RunInfo, now: float, pace: Pace | None = None) -> float | None:
    """How much longer a run may take, from the pace seen so far; None where it can't be told."""
    pace = pace or Pace(run.created)
    ended, passed = run.ended_tasks - pace.ended, now - pace.since
    if run.ended is not None or run.tasks <= 0 or run.ended_tasks >= run.tasks:
        return None
    if ended < MIN_TASKS_FOR_ESTIMATE or ended * 20 < run.tasks or passed < MIN_ELAPSED_FOR_ESTIMATE_S:
        return None
    return passed / ended * (run.tasks - run.ended_tasks)


def about(seconds_s: float | None, *, none: str = "–") -> str:
    """An estimate, no more exact than it is: "about 20s left", "about 2m left"; `none` where it can't be told."""
    if seconds_s is None:
        return none
    if seconds_s < 8:
        return "a few seconds left"
    if seconds_s < 55:
        return f"about {max(10, round(seconds_s / 10) * 10)}s left"
    if seconds_s < 3570:
        return f"about {max(1, round(seconds_s / 60))}m left"
    hours, minutes = divmod(round(seconds_s / 600) * 10, 60)
    return f"about {hours}h {minutes:02d}m left"


def percent(part: int, whole: int) -> int:
    """A share in percent, rounded down, so that 100 means all of it; of nothing it is 0."""
    return 100 * part // whole if whole > 0 else 0


def as_typed(value: object) -> str:
    """A parameter as it would be typed: true and false as YAML writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)
