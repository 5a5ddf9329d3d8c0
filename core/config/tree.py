"""Configuration values that know where they were written, and how an upper layer goes over a lower one.

Mappings merge by key. Everything else replaces what lies below it whole: lists, texts, numbers, and `null`, which
is a value of its own and hides what it lies on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from core.batch.yaml_source import Node, Scalar
from core.config.paths import Path


class Layer(Enum):
    """The layers, lowest first; later ones win."""

    DEFAULTS = "defaults"
    USER = "user"
    WORKSPACE = "workspace"
    ENVIRONMENT = "environment"
    VARIABLE = "variable"
    OPTION = "option"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written. For a variable or an option `file` names it; lines and columns count from 1."""

    layer: Layer
    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        if self.layer is Layer.DEFAULTS:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(slots=True)
class Entry:
    """A value. `items` are a mapping's, `entries` a list's; a scalar has `value`."""

    kind: str  # "mapping", "sequence" or "scalar"
    origin: Origin
    value: Scalar = None
    block: bool = False  # a literal or folded scalar: its text begins on the line after its origin
    items: dict[str, Entry] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def child(self, part: str | int) -> Entry | None:
        """The value under a key or at a position, None where there is none."""
        if self.kind == "mapping" and isinstance(part, str):
            return self.items.get(part)
        if self.kind == "sequence" and isinstance(part, int) and part < len(self.entries):
            return self.entries[part]
        return None

    def data(self) -> Any:
        """Plain data, templates as they were written."""
        if self.kind == "mapping":
            return {key: entry.data() for key, entry in self.items.items()}
        if self.kind == "sequence":
            return [entry.data() for entry in self.entries]
        return self.value


def from_node(node: Node, layer: Layer, file: str, place: tuple[int, int] | None = None) -> Entry:
    """The entry of a parsed node. A collection stands where its key does, a scalar where its text begins."""
    at_key = place is not None and (node.kind != "scalar" or node.value is None)
    line, column = place if place is not None and at_key else (node.line, node.column)
    entry = Entry(node.kind, Origin(layer, file, line, column), node.value, node.block)
    for key, child in node.items.items():
        entry.items[key] = from_node(child, layer, file, node.keys[key])
    entry.entries = [from_node(child, layer, file) for child in node.entries]
    return entry


def nested(path: Path, entry: Entry) -> Entry:
    """An entry wrapped into the mappings that lead to it; the path holds keys only."""
    for part in reversed(path):
        entry = Entry("mapping", entry.origin, items={str(part): entry})
    return entry


def merge(below: Entry, above: Entry) -> Entry:
    """What is seen where one layer goes over another. Neither is changed."""
    if below.kind != "mapping" or above.kind != "mapping":
        return above
    merged = Entry("mapping", above.origin, items=dict(below.items))
    for key, entry in above.items.items():
        under = merged.items.get(key)
        merged.items[key] = entry if under is None else merge(under, entry)
    return merged


def walk(entry: Entry, path: Path = ()) -> Iterator[tuple[Path, Entry]]:
    """Every scalar, and every empty collection, with its path, in the order of the layers."""
    if entry.kind == "mapping" and entry.items:
        for key, child in entry.items.items():
            yield from walk(child, (*path, key))
    elif entry.kind == "sequence" and entry.entries:
        for index, child in enumerate(entry.entries):
            yield from walk(child, (*path, index))
    else:
        yield path, entry


def every_path(entry: Entry, path: Path = ()) -> Iterator[Path]:
    """The paths of all values below an entry, collections included."""
    children: list[tuple[str | int, Entry]] = [*entry.items.items(), *enumerate(entry.entries)]
    for part, child in children:
        yield (*path, part)
        yield from every_path(child, (*path, part))
