"""Where a value stands in the configuration: `web.port`, `hosts[0]`, `labels["a.b"]`.

A path is a tuple of keys (text) and positions in lists (whole numbers from 0). Every path has one written form
that `show` gives and `parse` reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from core.errors import InputError

Path: TypeAlias = tuple[str | int, ...]

MAX_PARTS = 50
_PLAIN = re.compile(r"""[^\s.\[\]'"=\\]+""")
_PART = re.compile(
    r"""(?P<key>[^\s.\[\]'"=\\]+)|\[(?:(?P<index>0|[1-9][0-9]{0,6})|(?P<single>'[^']*')|(?P<double>"(?:[^"\\]|\\.)*"))\]"""
)


def parse(text: str) -> Path:
    """The path that a text writes. Raises InputError where it writes none."""
    parts: list[str | int] = []
    position = 0
    while position < len(text) or not parts:
        if parts and text[position] == ".":
            position += 1
            found = _PLAIN.match(text, position)
        elif parts and text[position] != "[":
            found = None
        else:
            found = _PART.match(text, position)
        if found is None:
            raise InputError(
                f"{text!r} is no path: it cannot be read from character {position + 1} on",
                hint='write web.port, hosts[0] or labels["a.b"]',
            )
        parts.append(_part(found))
        position = found.end()
        if len(parts) > MAX_PARTS:
            raise InputError(f"a path has at most {MAX_PARTS} parts")
    return tuple(parts)


def _part(found: re.Match[str]) -> str | int:
    groups = found.groupdict()
    if groups.get("index") is not None:
        return int(groups["index"])
    if groups.get("single") is not None:
        return groups["single"][1:-1]
    if groups.get("double") is not None:
        try:
            return str(json.loads(groups["double"]))
        except ValueError:
            raise InputError(
                f"{groups['double']} is no text in quotes: only JSON's escapes are read"
            ) from None
    return found[0]


def show(path: Iterable[str | int]) -> str:
    """The written form of a path; the whole configuration is `.`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text or "."


def look_up(data: Any, path: Path) -> Any:
    """The part of plain data at a path. Raises KeyError where there is none."""
    for part in path:
        in_mapping = isinstance(data, Mapping) and isinstance(part, str) and part in data
        in_list = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not in_mapping and not in_list:
            raise KeyError(part)
        data = data[part]
    return data
