"""What templates of the configuration mostly are: references to other values, plain ones or within an expression.

Compiling a template takes a millisecond. A text of plain references needs none; expressions that differ in nothing
but what they refer to share one: `{{ config.a.b | upper }}` and `{{ config.c | upper }}` are both
`{{ config.r0 | upper }}`. Whatever is not certain to mean the same is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from core.config.paths import Path
from core.sandbox import MAX_RENDERED, Telling

NO_REFERENCES = object()
"""What stands for "this is left to a template"."""
SHORT = 4096
"""Characters; a longer text is left to a template."""
_CHAIN = r"config((?:\.[A-Za-z][A-Za-z0-9_]*)+)"
_PLAIN = re.compile(rf"\{{\{{ *{_CHAIN} *\}}\}}")
_LITERAL = re.compile(r"[^{}\n\r]*")
_EXPRESSION = re.compile(r"(\{\{[^{}\n\r]*\}\})")
_IN_EXPRESSION = re.compile(rf"(?<![\w.]){_CHAIN}(?!\w)")
_ELSE = re.compile(r"""['"][^'"]*config|\.\s+config""")
"""Where `config` may stand for something else: within a text, or as a part of another value."""


def plain_references(text: str) -> tuple[list[str], list[Path]] | None:
    """The text around plain references, one piece more than there are paths; None for everything else."""
    pieces = _PLAIN.split(text)
    around = pieces[::2]
    if len(pieces) == 1 or len(text) > SHORT or not all(map(_LITERAL.fullmatch, around)):
        return None
    return around, [_path(chain) for chain in pieces[1::2]]


def joined(around: Sequence[str], found: Sequence[Any]) -> Any:
    """What plain references come to: a single one keeps its type. `NO_REFERENCES` where a template must say it."""
    if len(found) == 1 and not "".join(around).strip():
        return found[0] if found[0] is None or isinstance(found[0], str | int | float) else NO_REFERENCES
    if not all(isinstance(value, str | int | float) for value in found):
        return NO_REFERENCES
    texts = [("true" if value else "false") if isinstance(value, bool) else str(value) for value in found]
    if sum(map(len, texts)) > MAX_RENDERED - SHORT:
        return NO_REFERENCES
    return "".join(piece for pair in zip(around, [*texts, ""], strict=True) for piece in pair)


def shape(text: str, known: Callable[[Path], bool]) -> tuple[str, list[Path]] | None:
    """A text with `config.r0`, `config.r1`, … for its references, and their paths; None where it has no such form.

    `known` tells whether there is a value at a path; a template that refers to any other is left alone.
    """
    pieces = _EXPRESSION.split(text)
    if len(text) > SHORT or len(pieces) == 1 or not all(map(_LITERAL.fullmatch, pieces[::2])):
        return None
    for piece in pieces[1::2]:
        if _ELSE.search(piece) or "config" in _IN_EXPRESSION.sub("", piece):
            return None
    found: list[Path] = []

    def put(chain: re.Match[str]) -> str:
        found.append(_path(chain[1]))
        return f"config.r{len(found) - 1}"

    pieces[1::2] = [_IN_EXPRESSION.sub(put, piece) for piece in pieces[1::2]]
    return ("".join(pieces), found) if found and all(map(known, found)) else None


def _path(chain: str) -> Path:
    return tuple(chain[1:].split("."))


class Referred(Telling):
    """`config` as a shape sees it: its references by number, worked out when they are asked for."""

    def __init__(self, found: Sequence[Path], value: Callable[[Path], Any]) -> None:
        self._paths: Mapping[str, Path] = {f"r{number}": path for number, path in enumerate(found)}
        self._value = value

    def __getitem__(self, key: str) -> Any:
        return self._value(self._paths[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, key: object) -> bool:
        return key in self._paths

    def missing(self, key: str) -> str:
        return f"there is no {key}"
