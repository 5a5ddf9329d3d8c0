"""A report as Markdown (CommonMark, with tables as GitHub has them). Nothing that servers say can end a block."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.display import display_line
from core.report.gather import Report, Trouble
from core.report.words import clock, counted, facts, last_words, title

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_BEGINS_LIST = re.compile(r"^(\d{0,9})(?=[.)](\s|$)|(?<!\d)[-+=])")


def markdown(report: Report) -> str:
    """The whole document."""
    parts = [f"# {_text(title(report))}", _facts(report)]
    if report.next_steps:
        parts.append("## What to do next")
        parts += [f"{_text(what)}:\n\n{_fenced([how])}" for what, how in report.next_steps]
    parts += ["## Steps", _steps(report)]
    if report.troubles:
        parts.append("## What went wrong, and what is in doubt")
        parts += [_trouble(trouble) for trouble in report.troubles]
    if report.more:
        names = ", ".join(map(_text, report.more[:50]))
        rest = f" and {len(report.more) - 50} more" if len(report.more) > 50 else ""
        parts.append(f"Not told in full: {names}{rest}.")
    parts += ["## What happened", _moments(report)]
    if report.values:
        parts += ["## Configuration that was used", _values(report)]
    parts.append(f"---\n\n{_text(last_words(report))}")
    return "\n\n".join(parts) + "\n"


def _facts(report: Report) -> str:
    return "\n".join(f"- **{name}**: {_text(text)}" for name, text in facts(report))


def _steps(report: Report) -> str:
    rows = [
        (
            step.name,
            step.kind,
            f"{sum(c for s, c in step.counts.items() if s.ended)}/{step.tasks}",
            counted(step.counts),
        )
        for step in report.steps
    ]
    return _table(("Step", "Kind", "Ended", "Tasks"), rows)


def _trouble(trouble: Trouble) -> str:
    task = trouble.task
    parts = [f"### {_text(str(task.key))}: {_text(task.state.word)}"]
    parts += [_text(sentence) + "." for sentence in trouble.sentences]
    if trouble.certain:
        parts.append("Certain:\n\n" + "\n".join(f"- {_text(text)}" for text in trouble.certain))
    if trouble.unknown:
        parts.append("Not known:\n\n" + "\n".join(f"- {_text(text)}" for text in trouble.unknown))
    if trouble.lines:
        parts.append(f"The last {len(trouble.lines)} lines that it printed:\n\n{_fenced(trouble.lines)}")
    return "\n\n".join(parts)


def _moments(report: Report) -> str:
    lines = [f"- {clock(moment.time)} {_text(moment.text)}" for moment in report.moments]
    if report.left_out:
        lines.append(f"- and {report.left_out} more")
    return "\n".join(lines) or "Nothing yet."


def _values(report: Report) -> str:
    rows = [(used.path, display_line(repr(used.value), max_chars=200), used.origin) for used in report.values]
    more = f"\n\nAnd {report.values_left} more." if report.values_left else ""
    return _table(("Path", "Value", "Written in"), rows) + more


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    lines += [f"| {' | '.join(_text(display_line(cell)) for cell in row)} |" for row in rows]
    return "\n".join(lines)


def _text(text: str) -> str:
    """Text that means nothing to Markdown: on one line, what is special escaped, and what could begin a block."""
    escaped = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    return _BEGINS_LIST.sub(r"\1\\", escaped)


def _fenced(lines: Sequence[str]) -> str:
    """Lines as they are, in a fence that is longer than any in them."""
    longest = max((len(run) for line in lines for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((f"{fence}text", *lines, fence))
