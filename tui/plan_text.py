"""A plan as lines: what it would do, on which servers, what can't be undone, what to know before.

Pure: a `Plan` in, spans out.
"""

from __future__ import annotations

from core.model.states import TaskState
from core.model.views import Plan, PlannedStep
from themes.signs import TASK_SIGNS
from tui import words
from tui.look import Look
from tui.paint import Span, Spans

NAME_CELLS = 16
KIND_CELLS = 8
COUNT_CELLS = 11
UNDO_WORDS = {"reversible": "can be undone", "irreversible": "irreversible", "none needed": ""}


def plan_lines(plan: Plan, description: str, look: Look, width: int) -> list[Spans]:
    """The plan at a width in cells; steps in order, with what they wait for below their names."""
    clean = look.text
    lines: list[Spans] = []
    if plan.protection == "production":
        lines += [[("PRODUCTION", "bold error"), (": ", ""), (clean(plan.place), "bold")], []]
    elif plan.environment:
        lines += [[("environment ", "muted"), (clean(plan.environment), "bold")], []]
    if description:
        lines += [[(clean(description), "")], []]
    lines += [_totals(plan, look), []]
    for warning in plan.warnings:
        lines.append([("! ", "bold warning"), (clean(warning), "warning")])
    for told in plan.credentials:
        lines.append([("! ", "bold warning"), ("goes with the session: ", "muted"), (clean(told), "warning")])
    if plan.held:
        runs = words.listed(sorted({f"run {number}" for number in plan.held.values()}))
        lines.append(
            [("! ", "bold warning"), (clean(f"{runs} holds {words.listed(sorted(plan.held))}"), "warning")]
        )
    if plan.irreversible:
        steps = words.listed(list(plan.irreversible), most=8)
        lines.append([("! ", "bold warning"), (clean(f"cannot be undone: {steps}"), "warning")])
    if plan.confirm:
        told = f"starting it needs {plan.confirm} typed: {'; '.join(plan.confirm_why)}"
        lines.append([("! ", "bold error"), (clean(told), "error")])
    if len(lines) and lines[-1]:
        lines.append([])
    for step in plan.steps:
        lines += _step(step, look, width)
    if plan.config:
        from core.config.render import (
            one_line,
        )  # it brings a YAML library, which the first frame goes without

        lines += [[], [("configuration", "muted")]]
        for used in plan.config:
            shown = clean(one_line(used.value), max_chars=max(20, width // 2))
            lines.append(
                [
                    ("    ", ""),
                    (clean(used.path), "bold"),
                    (f" = {shown}", ""),
                    (f"  {clean(used.origin)}", "muted"),
                ]
            )
    strategy = ", ".join(
        f"{key} {value}" for key, value in plan.strategy.items() if value not in (None, "", {}, [])
    )
    if strategy:
        lines += [[], [("strategy  ", "muted"), (clean(strategy), "muted")]]
    return lines


def _totals(plan: Plan, look: Look) -> Spans:
    providers = ", ".join(f"{look.text(name)} {count}" for name, count in plan.servers_by_provider.items())
    return [
        (words.plural(len(plan.steps), "step"), "bold"),
        (", ", ""),
        (words.plural(plan.tasks, "task"), "bold"),
        (" on ", ""),
        (words.plural(len(plan.servers), "server"), "bold"),
        (f" ({providers})" if providers else "", "muted"),
    ]


def _step(step: PlannedStep, look: Look, width: int) -> list[Spans]:
    clean = look.text
    undo = UNDO_WORDS.get(step.undo, step.undo)
    first: list[Span] = [
        (look.mark(TASK_SIGNS[TaskState.WAITING]) + " ", "muted"),
        (f"{clean(step.name):<{NAME_CELLS}} ", "bold"),
        (f"{words.plural(len(step.servers), 'server'):>{COUNT_CELLS}}  ", ""),
        (f"{clean(step.kind):<{KIND_CELLS}}", "muted"),
    ]
    if undo:
        first.append((f" {clean(undo)}", "warning" if step.undo == "irreversible" else "success"))
    if step.guarded:
        first.append((", " if undo else " ", "muted"))
        first.append(("checked first", "muted"))
    lines: list[Spans] = [first]
    if step.summary:
        lines.append([("    ", ""), (clean(step.summary, max_chars=max(20, width - 6)), "muted")])
    if step.needs:
        lines.append([("    ", ""), (clean("after " + "; ".join(step.needs)), "muted")])
    return lines
