"""Beside a task that failed or is in doubt, where there is room: what is certain, what is not, and the choices.

Pure functions: views in, spans out. `d` opens the same with room for all of it, and lets a person choose.
"""

from __future__ import annotations

from core.model.states import FAILING
from core.model.views import Explanation, RunInfo, TaskInfo
from tui.choices import choices_for
from tui.doubts import is_doubtful
from tui.look import Look
from tui.paint import Spans, hanging


def is_for(task: TaskInfo) -> bool:
    """True where a task needs somebody."""
    return is_doubtful(task) or task.state in FAILING


def on_call_lines(task: TaskInfo, run: RunInfo, told: Explanation, look: Look, width: int) -> list[Spans]:
    """Certain, not known, and each choice with its consequence."""
    lines: list[Spans] = []
    dot = f" {look.glyphs.dot} "
    for title, sentences, role in (("Certain", told.certain, ""), ("Not known", told.unknown, "warning")):
        if sentences:
            lines.append([(title, "bold")])
            for sentence in sentences:
                lines += hanging((dot, "muted"), look.text(sentence), width, role)
    choices = choices_for(task, run)
    if choices:
        lines.append([("Choices", "bold"), ("  d chooses", "muted")])
        for choice in choices:
            told_here = look.own(f"{choice.title}: {choice.consequence}")
            lines += hanging((dot, "muted"), look.text(told_here), width, choice.role)
    return lines
