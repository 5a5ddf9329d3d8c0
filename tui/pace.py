"""How fast a run and its steps go, and how much longer they may take: from what was seen without standing still.

Pure. A screen keeps one `Paces` and tells it each run that it reads; times are wall times in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.model.states import TaskState
from core.model.views import RunInfo, StepInfo
from tui import words

MIN_TASKS = 2
MIN_ELAPSED_S = 3.0
"""Of fewer tasks, and in less time, no pace is told."""


@dataclass(frozen=True, slots=True)
class StepPace:
    """`per_s` is tasks in a second, `left_s` how much longer the step may take; None where it can't be told."""

    per_s: float | None = None
    left_s: float | None = None


class Paces:
    """Since when a run, and each step of it, has been seen to go on."""

    def __init__(self) -> None:
        self._stood = False
        self._run: words.Pace | None = None
        self._steps: dict[str, words.Pace] = {}

    @property
    def of_run(self) -> words.Pace | None:
        """That of the whole run; None while it stands."""
        return self._run

    def see(self, run: RunInfo, steps: Sequence[StepInfo], now: float, *, executing: bool) -> None:
        """The run as it is now. The time in which it stood still says nothing of its pace."""
        if not executing:
            self._run, self._stood = None, True
            self._steps = {}
            return
        if self._run is None:
            self._run = words.Pace(now, run.ended_tasks) if self._stood else words.Pace(run.created)
            if self._stood:  # what a step did before is no part of its pace now
                self._steps = {
                    step.name: words.Pace(now, ended_tasks(step))
                    for step in steps
                    if step.started is not None
                }

    def of_step(self, step: StepInfo, now: float) -> StepPace:
        """How fast a step goes that has tasks in flight."""
        if self._run is None or step.started is None or not step.counts.get(TaskState.RUNNING):
            return StepPace()
        since = self._steps.get(step.name) or words.Pace(step.started)
        ended, passed_s = ended_tasks(step) - since.ended, now - since.since
        if ended < MIN_TASKS or passed_s < MIN_ELAPSED_S:
            return StepPace()
        return StepPace(ended / passed_s, passed_s / ended * (step.tasks - ended_tasks(step)))


def ended_tasks(step: StepInfo) -> int:
    """How many tasks of a step need nothing more."""
    return sum(count for state, count in step.counts.items() if state.ended)


def told(per_s: float | None) -> str:
    """ "38/s", "2.1/s", "12/min", "5/h"; at most seven cells, "" where there is none."""
    if per_s is None or per_s <= 0:
        return ""
    for factor, unit in ((1, "s"), (60, "min"), (3600, "h")):
        per = per_s * factor
        if per >= 1 or unit == "h":
            if per < 9.95 and unit == "s":
                return f"{per:.1f}/{unit}"
            return f"{max(1, round(per))}/{unit}"
    return ""


def left(left_s: float | None) -> str:
    """An estimate in a few cells, no more exact than it is: "~20s", "~2m", "~3h"."""
    if left_s is None:
        return ""
    if left_s < 55:
        return f"~{max(10, round(left_s / 10) * 10)}s" if left_s >= 8 else "~5s"
    if left_s < 3570:
        return f"~{max(1, round(left_s / 60))}m"
    return f"~{max(1, round(left_s / 3600))}h"
