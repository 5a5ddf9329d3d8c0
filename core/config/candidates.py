"""Which keys may stand at a place of a configuration file: what the schema lists there, and what other layers have.

The text need not be sound YAML: it is being typed. The place is told by indentation alone, so that in flow collections
and block scalars there may be nothing to tell; a wrong guess only offers keys that do not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from core.config.paths import Path

MOST_REFERENCES = 20
_KEY = re.compile(
    r"""(?P<indent> *)(?P<dash>- +)?(?P<key>"[^"]*"|'[^']*'|[^\s#:"'{\[&*!|>%@`-][^#:]*|-[^\s#:][^#:]*):(?:\s|$)"""
)
_TYPED = re.compile(r"(?P<indent> *)(?:- +)?(?P<typed>[A-Za-z0-9_.-]*)")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key is being typed: the mapping's path, what is typed of the key, and the keys that are there already.

    In the path every list position is 0. `column` is where the key begins, counted from 0.
    """

    path: Path
    typed: str
    column: int
    taken: frozenset[str]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key that may stand there. `about` says what it is; `opens` that a mapping or a list follows."""

    key: str
    about: str = ""
    opens: bool = False


def place_at(text: str, line: int, column: int) -> Place | None:
    """The place of a cursor (both counted from 0), None where no key is being typed."""
    lines = text.split("\n")
    if line >= len(lines):
        return None
    before, after = lines[line][:column], lines[line][column:]
    found = _TYPED.fullmatch(before)
    if found is None or after.strip():
        return None
    start = found.start("typed")
    path: list[str | int] = []
    indent = start
    if before[:start].rstrip().endswith("-"):
        path.append(0)
        indent = len(found["indent"]) + 1
    taken: set[str] = set()
    inside = True
    for above in reversed(lines[:line]):
        parts = _KEY.match(above)
        if parts is None:
            if above.strip().startswith("- ") and len(above) - len(above.lstrip()) < indent:
                return None
            continue
        at, key_at = len(parts["indent"]), parts.start("key")
        key = parts["key"].strip().strip("\"'")
        if inside and key_at == start and not path:
            taken.add(key)
        if parts["dash"] and key_at == indent:  # an entry of a list begins here
            path.append(0)
            indent, inside = at + 1, False
        elif key_at < indent and not (path and path[-1] == 0 and parts["dash"] and at >= indent):
            path.append(key)
            indent, inside = key_at, False
            if parts["dash"]:
                path.append(0)
                indent = at + 1
    if indent > 0 and path[-1:] != [0] and start > 0 and not path:
        return None
    taken |= _below(lines, line, start) if not path or path[0] != 0 else set()
    return Place(tuple(reversed(path)), found["typed"], start, frozenset(taken))


def _below(lines: list[str], line: int, column: int) -> set[str]:
    """The keys of the same mapping that follow."""
    found = set()
    for below in lines[line + 1 :]:
        if not below.strip() or below.lstrip().startswith("#"):
            continue
        indent = len(below) - len(below.lstrip())
        if indent < column:
            break
        parts = _KEY.match(below)
        if parts is not None and indent == column:
            found.add(parts["key"].strip().strip("\"'"))
    return found


def candidates(place: Place, schema: Mapping[str, Any], known: Iterable[Path]) -> list[Candidate]:
    """The keys that fit, those of the schema first; `known` are the paths of all layers."""
    found: dict[str, Candidate] = {}
    for shape in _shapes(schema, place.path):
        properties = shape.get("properties")
        required = shape.get("required") or ()
        for key, inner in (properties if isinstance(properties, Mapping) else {}).items():
            found.setdefault(str(key), _described(str(key), inner, schema, required=key in required))
    depth = len(place.path)
    inner_keys = set()
    others: list[str] = []
    for path in known:
        flat = tuple(0 if isinstance(part, int) else part for part in path)
        if len(flat) > depth and flat[:depth] == place.path and isinstance(flat[depth], str):
            others.append(str(flat[depth]))
            if len(flat) > depth + 1:
                inner_keys.add(str(flat[depth]))
    for key in others:
        found.setdefault(key, Candidate(key, "in another layer", key in inner_keys))
    fitting = [
        each
        for each in found.values()
        if each.key not in place.taken and each.key != place.typed and _fits(each.key, place.typed)
    ]
    return sorted(fitting, key=lambda each: not each.key.startswith(place.typed))


def _fits(key: str, typed: str) -> bool:
    return typed.lower() in key.lower()


def _described(key: str, inner: Any, schema: Mapping[str, Any], *, required: bool) -> Candidate:
    shape = _followed(inner, schema)
    kind = shape.get("type", "")
    kinds = " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)
    choices = shape.get("enum")
    if isinstance(choices, list) and choices:
        kinds = " | ".join(map(str, choices[:6]))
    told = [kinds, "required" if required else "", str(shape.get("description") or shape.get("title") or "")]
    opens = (
        bool({"object", "array"} & set(kind if isinstance(kind, list) else [kind])) or "properties" in shape
    )
    return Candidate(key, "; ".join(part for part in told if part), opens)


def _shapes(schema: Mapping[str, Any], path: Path) -> list[Mapping[str, Any]]:
    """The parts of a schema that speak of a path."""
    now = _parts(schema, schema)
    for part in path:
        inner: list[Any] = []
        for shape in now:
            if isinstance(part, int):
                inner += [shape.get("items"), *(shape.get("prefixItems") or ())]
                continue
            properties = shape.get("properties") or {}
            fitting = [
                each
                for pattern, each in (shape.get("patternProperties") or {}).items()
                if _matches(pattern, part)
            ]
            if part in properties:
                fitting.append(properties[part])
            inner += fitting or [shape.get("additionalProperties")]
        now = [each for shape in inner for each in _parts(shape, schema)]
    return now


def _matches(pattern: str, key: str) -> bool:
    try:
        return re.search(pattern, key) is not None
    except re.error:
        return False


def _parts(shape: Any, schema: Mapping[str, Any], depth: int = 0) -> list[Mapping[str, Any]]:
    """A schema with those that it is put together from."""
    own = _followed(shape, schema)
    if not own or depth > MOST_REFERENCES:
        return []
    found = [own]
    for word in ("allOf", "anyOf", "oneOf"):
        for each in own.get(word) or ():
            found += _parts(each, schema, depth + 1)
    return found


def _followed(shape: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference within the file leads to; {} where it leads nowhere."""
    for _ in range(MOST_REFERENCES):
        if not isinstance(shape, Mapping):
            return {}
        reference = shape.get("$ref")
        if not isinstance(reference, str):
            return shape
        if not reference.startswith("#"):
            return {}
        found: Any = schema
        for part in reference.removeprefix("#").strip("/").split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, Mapping) and name else found
        shape = found
    return {}
