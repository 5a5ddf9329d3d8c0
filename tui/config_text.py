"""What an edit of the configuration looks like in words: the values that change, the faults, the lines of the file.

Pure functions; `clean` makes display text of what files say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tui import words
from tui.configuration import Preview
from tui.paint import Span, Spans

Clean = Callable[[str], str]
MOST = 12
"""How many values and lines are listed."""


def preview_lines(seen: Preview, environment: str, clean: Clean) -> list[Spans]:
    """Everything that an unsaved edit comes to."""
    if seen.before == seen.after:
        return [[(clean(f"{seen.file} says so already: there is nothing to save"), "muted")]]
    where = f"in {environment}" if environment else "without an environment"
    lines: list[Spans] = []
    if seen.changes:
        lines.append(
            [
                (words.plural(len(seen.changes), "value changes", "values change"), "bold"),
                (clean(f" {where}"), ""),
            ]
        )
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
    else:
        lines.append([(clean(f"no value changes {where}"), "bold"), ("; the file does", "")])
    if seen.faults:
        lines.append([(f"the configuration then has {words.plural(len(seen.faults), 'fault')}:", "warning")])
        lines += [[("  ", ""), (clean(str(fault)), "warning")] for fault in seen.faults[:MOST]]
    return [*lines, [], *diff_lines(seen.diff, clean)]


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
