"""What both forms of a report say alike: a run's headline, times, and the counts of a step."""

from __future__ import annotations

import time
from collections.abc import Mapping

from core.display import display_line
from core.model.actors import place
from core.model.states import TaskState
from core.report.gather import Report


def stamp(when: float) -> str:
    """Wall time with its offset: "2026-03-01 14:02:11 +0100"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(when))


def clock(when: float) -> str:
    """The local time of day: "14:02:11"."""
    return time.strftime("%H:%M:%S", time.localtime(when))


def took(seconds_s: float) -> str:
    """A duration: "41 s", "12 min 04 s", "3 h 02 min"."""
    whole = max(0, round(seconds_s))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(counts: Mapping[TaskState, int]) -> str:
    """Counts by state: "46 done, 2 failed"."""
    return ", ".join(f"{count} {state.word}" for state, count in counts.items() if count) or "none"


def title(report: Report) -> str:
    """What the report is about, in a line."""
    run = report.run
    state = "interrupted" if run.interrupted and run.state.open else run.state.word
    return f"Run {run.number} of {display_line(run.batch)}: {state}"


def facts(report: Report) -> list[tuple[str, str]]:
    """The facts of the run, each with its name."""
    run = report.run
    ended = run.ended if run.ended is not None else report.made
    found = [
        ("Workspace", f"{report.workspace} ({report.folder})"),
        ("Environment", f"{run.environment} (protection {run.protection})" if run.environment else ""),
        ("Why", run.why),
        ("Tasks", f"{run.tasks} on {run.servers} servers: {counted(run.counts)}"),
        ("Started", f"{stamp(run.created)} by {place(run.actor)}"),
        ("Ended", stamp(run.ended) if run.ended is not None else "not yet"),
        ("Took", took(ended - run.created)),
        ("Parameters", ", ".join(f"{name}={value!r}" for name, value in run.params.items())),
        ("Control", place(run.controller)),
    ]
    return [(name, display_line(text)) for name, text in found if text]


def last_words(report: Report) -> str:
    """How the report came about, and what is not in it."""
    return (
        f"Made on {stamp(report.made)} by Windlass {report.version}, of what is stored of the run. The values "
        "of secrets were taken out of what commands printed before it was stored, in the forms that Windlass knows; "
        "parameters and reasons stand here as they were typed."
    )
