"""A report as one HTML page: nothing in it is fetched or run, and it reads in light, dark and print."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from core.display import display_line
from core.report.gather import Report, Trouble
from core.report.words import clock, counted, facts, last_words, title

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #8888; vertical-align: top; }
pre { padding: .6rem; border: 1px solid #8888; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
dt { font-weight: 600; } dd { margin: 0 0 .3rem 0; overflow-wrap: anywhere; }
footer { margin-top: 2rem; border-top: 1px solid #8888; font-size: .85rem; }
@media print { body { max-width: none; margin: 0; } pre { border-color: #ccc; } }
"""


def page(report: Report) -> str:
    """The whole document."""
    parts = [f"<h1>{_text(title(report))}</h1>", _pairs(facts(report))]
    if report.next_steps:
        parts.append("<h2>What to do next</h2>")
        parts += [f"<p>{_text(what)}:</p>{_lines([how])}" for what, how in report.next_steps]
    parts += ["<h2>Steps</h2>", _steps(report)]
    if report.troubles:
        parts.append("<h2>What went wrong, and what is in doubt</h2>")
        parts += [_trouble(trouble) for trouble in report.troubles]
    if report.more:
        names = ", ".join(report.more[:50])
        rest = f" and {len(report.more) - 50} more" if len(report.more) > 50 else ""
        parts.append(f"<p>Not told in full: {_text(names + rest)}.</p>")
    moments = [f"<li>{clock(moment.time)} {_text(moment.text)}</li>" for moment in report.moments]
    if report.left_out:
        moments.append(f"<li>and {report.left_out} more</li>")
    parts.append(f"<h2>What happened</h2><ul>{''.join(moments) or '<li>Nothing yet.</li>'}</ul>")
    if report.values:
        rows = [
            (used.path, display_line(repr(used.value), max_chars=200), used.origin) for used in report.values
        ]
        more = f"<p>And {report.values_left} more.</p>" if report.values_left else ""
        table = _table(("Path", "Value", "Written in"), rows)
        parts.append(f"<h2>Configuration that was used</h2>{table}{more}")
    parts.append(f"<footer>{_text(last_words(report))}</footer>")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>{_text(title(report))}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


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
    parts = [f"<h3>{_text(str(task.key))}: {_text(task.state.word)}</h3>"]
    parts += [f"<p>{_text(sentence)}.</p>" for sentence in trouble.sentences]
    for name, texts in (("Certain", trouble.certain), ("Not known", trouble.unknown)):
        if texts:
            parts.append(f"<p>{name}:</p><ul>{''.join(f'<li>{_text(text)}</li>' for text in texts)}</ul>")
    if trouble.lines:
        parts.append(f"<p>The last {len(trouble.lines)} lines that it printed:</p>{_lines(trouble.lines)}")
    return "\n".join(parts)


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in pairs) + "</dl>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(text)}</th>" for text in heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(display_line(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _lines(lines: Sequence[str]) -> str:
    return f"<pre>{escape(chr(10).join(lines))}</pre>"


def _text(text: str) -> str:
    return escape(text)
