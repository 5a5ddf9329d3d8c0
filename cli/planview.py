"""A plan as people read it: whole for `windlass plan`, in a few lines before a run is confirmed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.terminal import Cell, clean, paint, table
from cli.words import listed, plural

if TYPE_CHECKING:
    from core.model.views import Plan, PlannedStep, UsedValue

GUARD = {True: "check", False: ""}


def headline(plan: Plan) -> str:
    """ "web-rollout: 8 steps, 96 tasks on 12 servers (12 local)"."""
    providers = ", ".join(f"{count} {name}" for name, count in plan.servers_by_provider.items())
    where = plural(len(plan.servers), "server") + (f" ({providers})" if providers else "")
    return clean(f"{plan.batch}: {plural(len(plan.steps), 'step')}, {plural(plan.tasks, 'task')} on {where}")


def notices(plan: Plan) -> list[str]:
    """What a person should know before it starts: irreversible steps, servers in use, warnings."""
    lines = []
    if plan.irreversible:
        lines.append(f"irreversible (no undo): {listed(plan.irreversible, 6)}")
    for number in sorted(set(plan.held.values())):
        names = [name for name, run in plan.held.items() if run == number]
        lines.append(f"held by run {number}: {listed(names)}")
    lines += [f"warning: {warning}" for warning in plan.warnings]
    lines += [f"goes with the session: {told}" for told in plan.credentials]
    return [clean(line) for line in lines]


def whole(plan: Plan) -> list[str]:
    """The plan with every step."""
    lines = []
    if plan.protection == "production":
        lines.append(f"{paint('PRODUCTION', 'error', sys.stdout)}: {clean(plan.place)}")
    lines.append(headline(plan))
    if plan.environment:
        lines.append(clean(f"environment: {plan.environment} (protection {plan.protection})"))
    if plan.params:
        shown = ", ".join(f"{name}={value!r}" for name, value in plan.params.items())
        lines.append(clean(f"parameters: {shown}"))
    shown = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in plan.strategy.items())
    lines += [clean(f"strategy: {shown}"), "", *used_lines(plan.config)]
    rows = [_row(step) for step in plan.steps]
    headers = ("STEP", "KIND", "SERVERS", "AFTER", "UNDO", "GUARD", "WHAT")
    lines += table(headers, rows, right=("SERVERS",), max_chars=60)
    told = notices(plan)
    if plan.confirm:
        told.append(clean(f"starting it needs {plan.confirm} typed: {'; '.join(plan.confirm_why)}"))
    return [*lines, "", *told] if told else lines


def used_lines(config: Sequence[UsedValue], most: int = 20) -> list[str]:
    """The values of the configuration that a plan or a run uses, and where they were written; with a line below."""
    from core.config.render import one_line

    rows: list[list[Cell]] = [
        [used.path, clean(one_line(used.value), 60), (used.origin, "muted")] for used in config[:most]
    ]
    if not rows:
        return []
    left = [f"and {len(config) - most} more: --json has all"] if len(config) > most else []
    return [*table(("CONFIGURATION", "VALUE", "WRITTEN IN"), rows, max_chars=100), *left, ""]


def _row(step: PlannedStep) -> list[Cell]:
    undo: Cell = (step.undo, "warning") if step.undo == "irreversible" else step.undo
    count = "engine" if step.servers == ("engine",) else str(len(step.servers))
    return [step.name, step.kind, count, "; ".join(step.needs), undo, GUARD[step.guarded], step.summary]
