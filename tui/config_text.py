"""What an edit of the configuration looks like in words: values and tasks that change, faults, lines.

Pure functions; `clean` makes display text of what files say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from core.model.views import BatchChange, FieldChange, TaskChange
from tui import words
from tui.edits import Preview, diff_of
from tui.paint import Span, Spans

MOST = 12
"""How many values and lines are listed."""
MOST_TASK_LINES = 24
"""How many lines one batch takes."""
SERVERS = 4
"""How many servers are named."""


class Clean(Protocol):
    """Makes display text of what files say."""

    def __call__(self, text: str, /, *, max_chars: int | None = ...) -> str:
        """One line."""
        ...


def effect_lines(seen: Preview, clean: Clean) -> list[Spans]:
    """What an unsaved edit changes by resolved value, and the faults that it would leave."""
    where = f"in {seen.environment}" if seen.environment else "without an environment"
    lines: list[Spans] = []
    if seen.changes:
        count = words.plural(len(seen.changes), "value changes", "values change")
        lines.append([(count, "bold"), (clean(f" {where}"), "")])
        for path, before, after in seen.changes[:MOST]:
            lines.append(
                [
                    ("  ", ""),
                    (clean(path), "accent"),
                    ("  ", ""),
                    (clean(before), "muted"),
                    ("  becomes  ", "muted"),
                    (clean(after), "bold"),
                ]
            )
        if len(seen.changes) > MOST:
            lines.append([(f"  and {len(seen.changes) - MOST} more", "muted")])
    elif seen.effect.readable:
        lines.append([(clean(f"no value changes {where}"), "bold"), ("; the file does", "")])
    else:
        lines.append([(clean(f"which values change {where} cannot be told while it cannot be read"), "bold")])
    others = seen.effect.elsewhere
    if others:
        told = ", ".join(f"{name} {count}" for name, count in list(others.items())[:MOST])
        count = words.plural(len(others), "other environment")
        lines.append([(f"and in {count}", "bold"), (clean(f": {told}"), "")])
    faults = seen.effect.faults
    if faults:
        lines.append([(f"the configuration then has {words.plural(len(faults), 'fault')}:", "warning")])
        lines += [[("  ", ""), (clean(str(fault)), "warning")] for fault in faults[:MOST]]
    return lines


def task_lines(changes: Sequence[BatchChange], clean: Clean) -> list[Spans]:
    """Which tasks of the saved batches would do something else."""
    count = sum(change.count for change in changes)
    lines: list[Spans] = []
    if count:
        batches = sum(bool(change.count) for change in changes)
        told = words.plural(count, "task changes", "tasks change")
        lines.append([(told, "bold"), (f" in {words.plural(batches, 'saved batch', 'saved batches')}", "")])
    else:
        known = " is known to change" if any(change.untold for change in changes) else " changes"
        lines.append([(f"no task of a saved batch{known}", "bold")])
    for change in changes:
        lines += _batch_lines(change, clean)
    return lines


def _batch_lines(change: BatchChange, clean: Clean) -> list[Spans]:
    name: Span = (clean(change.batch), "accent")
    if change.untold:
        about: list[Span] = [name, ("  cannot be told: ", "muted")] if change.batch else []
        return [[("  ", ""), *about, (clean(change.untold, max_chars=200), "muted")]]
    if change.broken:
        told = clean(change.broken, max_chars=200)
        return [[("  ", ""), name, ("  could not be planned any more: ", "error"), (told, "")]]
    if change.mended:
        return [[("  ", ""), name, ("  could be planned, which it cannot now", "success")]]
    lines: list[Spans] = []
    for (step, fields), servers in _alike(change.tasks).items():
        more = f" and {len(servers) - SERVERS} more" if len(servers) > SERVERS else ""
        on = f"{', '.join(servers[:SERVERS])}{more}"
        lines.append([("  ", ""), name, (clean(f" / {step}"), "bold"), (clean(f"  on {on}"), "")])
        for field in fields:
            lines += _field_lines(field, clean)
    told_tasks = len(change.tasks)
    shown = lines[:MOST_TASK_LINES]
    if len(lines) > len(shown) or change.count > told_tasks:
        shown.append([(clean(f"    and more of {change.batch}: {change.count} tasks in all"), "muted")])
    return shown


def _alike(tasks: Sequence[TaskChange]) -> dict[tuple[str, tuple[FieldChange, ...]], list[str]]:
    """Servers by what changes on them: most often it is the same everywhere."""
    found: dict[tuple[str, tuple[FieldChange, ...]], list[str]] = {}
    for task in tasks:
        found.setdefault((task.step, task.fields), []).append(task.server)
    return found


def _field_lines(field: FieldChange, clean: Clean) -> list[Spans]:
    lines: list[Spans] = []
    why = f"  ({field.why})" if field.why else ""
    if "\n" not in field.before.strip() and "\n" not in field.after.strip():
        lines.append([("    ", ""), (clean(field.field), "muted"), (clean(why), "muted")])
        lines.append([("    - ", "error"), (clean(field.before.strip(), max_chars=300), "error")])
        lines.append([("    + ", "success"), (clean(field.after.strip(), max_chars=300), "success")])
        return lines
    lines.append([("    ", ""), (clean(field.field), "muted"), (clean(why), "muted")])
    inner = diff_lines(diff_of(field.before, field.after), clean)
    return lines + [[("    ", ""), *line] for line in inner]


def diff_lines(diff: Sequence[str], clean: Clean) -> list[Spans]:
    """Lines of a unified diff."""
    lines: list[Spans] = []
    for line in diff[:MOST]:
        role = {"+": "success", "-": "error"}.get(line[:1], "muted")
        span: Span = (clean(line), role)
        lines.append([span])
    if len(diff) > MOST:
        lines.append([(f"and {len(diff) - MOST} more lines", "muted")])
    return lines
