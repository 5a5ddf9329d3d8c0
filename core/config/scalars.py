"""How new values are written into YAML: in one line, in the style of what they replace where it can hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.batch.yaml_source import parse as parse_yaml
from core.config.compare import same
from core.errors import InputError

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_LITERAL = re.compile(r"[^\s][^\n]*(\n[^\n]*)*\Z")


def write(value: Any, *, style: str = "", flow: bool = False) -> str:
    """A value in one line; `style` is the quote that a text should have, `flow` says that it stands in [] or {}."""
    if isinstance(value, Mapping):
        pairs = (f"{write_key(key, flow=True)}: {write(item, flow=True)}" for key, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(write(item, flow=True) for item in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return repr(value)
    if style == "" and _reads_back(f"[{value}]" if flow else f"- {value}", [value]) and "\n" not in value:
        return value
    return _double(value) if style == '"' or not value.isprintable() else _single(value)


def write_key(key: str, *, flow: bool = False) -> str:
    """A key in one line."""
    if "\n" not in key and key != "<<" and _reads_back(f"{{{key}: 1}}" if flow else f"{key}: 1", {key: 1}):
        return key
    return _single(key) if key.isprintable() else _double(key)


def literal_lines(value: str) -> list[str] | None:
    """The header and the lines of a literal block (|) without indentation; None where it cannot hold the text."""
    ends = len(value) - len(value.rstrip("\n"))
    lines = value.rstrip("\n").split("\n")
    printable = all(line.isprintable() for line in lines)
    if ends > 1 or len(lines) + ends < 2 or not printable or not _LITERAL.match(value):
        return None
    return ["|" if ends else "|-", *lines]


def _single(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _double(value: str) -> str:
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _reads_back(text: str, value: Any) -> bool:
    try:
        return same(parse_yaml(text, "").data(), value)
    except InputError:
        return False
