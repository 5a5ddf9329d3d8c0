"""YAML 1.2 with positions, from hostile input.

A document is read as a stream of events and built without recursion into nodes that remember where they
stand. Refused, each with its position: duplicate keys, tags, merge keys, keys that are not scalars,
aliases that hold themselves, several documents, and whatever exceeds the caps on bytes, depth, aliases and
expanded nodes (an alias counts as everything it stands for). Plain scalars follow YAML 1.2's core schema:
`no` and `012` are not what YAML 1.1 made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from core.errors import Fault, InputError

Scalar = str | int | float | bool | None

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+\Z")
OTHER_BASE = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
INTEGER_DIGITS = 300


@dataclass(frozen=True, slots=True)
class Limits:
    """What a document may cost."""

    max_bytes: int = 8 * 1024 * 1024
    depth: int = 50
    aliases: int = 100
    nodes: int = 1_000_000


@dataclass(slots=True)
class Node:
    """A value and where it stands (1-based). `items` are a mapping's values, `entries` a sequence's."""

    line: int
    column: int
    kind: str  # "mapping", "sequence" or "scalar"
    value: Scalar = None
    block: bool = False  # a literal or folded scalar: its text begins on the next line
    quoted: bool = False
    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    entries: list[Node] = field(default_factory=list)
    size: int = 1


class Document:
    """A parsed document: plain data, and the position of each part of it."""

    def __init__(self, root: Node, text: str, file: str) -> None:
        self.root = root
        self.text = text
        self.file = file

    def data(self) -> Any:
        """Plain dicts, lists and scalars. Aliased parts are separate copies."""
        return _plain(self.root)

    def node(self, *path: str | int) -> Node | None:
        """The node at a path, None where there is none."""
        node: Node | None = self.root
        for part in path:
            if node is None:
                return None
            if node.kind == "mapping":
                node = node.items.get(str(part))
            elif node.kind == "sequence" and isinstance(part, int) and 0 <= part < len(node.entries):
                node = node.entries[part]
            else:
                return None
        return node

    def at(self, *path: str | int) -> tuple[int, int]:
        """Line and column of the part at a path, or of the nearest part around it that is there.

        A scalar or an entry stands where its value does, a mapping or sequence where its key does.
        """
        node, place = self.root, (self.root.line, self.root.column)
        for part in path:
            if node.kind == "mapping" and str(part) in node.items:
                key = node.keys[str(part)]
                node = node.items[str(part)]
                place = (node.line, node.column) if node.kind == "scalar" and node.value is not None else key
            elif node.kind == "sequence" and isinstance(part, int) and 0 <= part < len(node.entries):
                node = node.entries[part]
                place = (node.line, node.column)
            else:
                break
        return place

    def key_at(self, *path: str | int) -> tuple[int, int]:
        """Line and column of the key that a path ends in."""
        around = self.node(*path[:-1])
        if around is not None and around.kind == "mapping" and str(path[-1]) in around.keys:
            return around.keys[str(path[-1])]
        return self.at(*path)


def parse(text: str, file: str, limits: Limits | None = None) -> Document:
    """Parses one document. Raises InputError with every fault that can be told."""
    limits = limits or Limits()
    if len(text) > limits.max_bytes or len(text.encode("utf-8", "surrogatepass")) > limits.max_bytes:
        raise _refused([Fault(file, 0, 0, f"more than {limits.max_bytes} bytes")])
    builder = _Builder(file, text, limits)
    try:
        for event in YAML(typ="safe", pure=True).parse(text.removeprefix("\ufeff")):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        builder.faults.append(
            Fault(file, line, column, f"not YAML: {problem}", _syntax_hint(text, line, problem))
        )
    except _TooMuch as error:
        builder.faults.append(error.fault)
    except (YAMLError, ValueError, RecursionError) as error:
        told = " ".join(str(error).split())[:300]
        builder.faults.append(Fault(file, *_position_of(error, text), f"not YAML: {told}"))
    if builder.faults:
        raise _refused(builder.faults)
    if builder.root is None:
        raise _refused([Fault(file, 1, 1, "the document is empty")])
    return Document(builder.root, text, file)


class _TooMuch(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


@dataclass(slots=True)
class _Open:
    """A collection under construction; `key` is the key whose value comes next."""

    node: Node
    anchor: str | None
    flow: bool
    key: str | None = None
    key_place: tuple[int, int] = (0, 0)
    skip: bool = False  # the value of a refused key is read and dropped


class _Builder:
    def __init__(self, file: str, text: str, limits: Limits) -> None:
        self.root: Node | None = None
        self.faults: list[Fault] = []
        self._file = file
        self._lines = text.splitlines()
        self._limits = limits
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}  # None while the anchored part is being built
        self._aliases = 0
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        match event:
            case ScalarEvent():
                self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self._start(event)
            case MappingEndEvent() | SequenceEndEvent():
                opened = self._stack.pop()
                if opened.anchor:
                    self._anchors[opened.anchor] = opened.node
                self._place(opened.node)
            case AliasEvent():
                self._alias(event)
            case DocumentStartEvent():
                self._documents += 1
                if self._documents == 2:
                    raise _TooMuch(self._fault(event, "a second document: one file holds one document"))

    def _fault(self, event: Any, message: str, hint: str = "") -> Fault:
        return Fault(self._file, event.start_mark.line + 1, event.start_mark.column + 1, message, hint)

    def _tagged(self, event: Any) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in ("!", "None"):
            self.faults.append(self._fault(event, f"tags are not allowed: {str(tag)[:80]}"))

    def _scalar(self, event: Any) -> None:
        self._tagged(event)
        plain = event.style is None or event.style == ""
        node = Node(
            event.start_mark.line + 1,
            event.start_mark.column + 1,
            "scalar",
            value=_resolve(event.value) if plain else event.value,
            block=event.style in ("|", ">"),
            quoted=not plain,
        )
        if event.anchor:
            self._anchors[event.anchor] = node
        if self._stack and self._stack[-1].node.kind == "mapping" and self._stack[-1].key is None:
            self._key(event, plain)
            return
        self._place(node)

    def _key(self, event: Any, plain: bool) -> None:
        opened = self._stack[-1]
        name = str(event.value)
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if plain and name == "<<":
            self.faults.append(self._fault(event, "merge keys (<<) are not allowed", "write the keys out"))
            opened.skip = True
        elif name in opened.node.items:
            line, column = opened.node.keys[name]
            self.faults.append(self._fault(event, f"key {name!r} is here twice", f"first at {line}:{column}"))
            opened.skip = True
        opened.key, opened.key_place = name, place

    def _start(self, event: Any) -> None:
        self._tagged(event)
        mapping = isinstance(event, MappingStartEvent)
        flow = bool(event.flow_style)
        if self._stack and self._stack[-1].node.kind == "mapping" and self._stack[-1].key is None:
            line = event.start_mark.line
            source = self._lines[line].strip() if line < len(self._lines) else ""
            if mapping and flow and self._stack[-1].flow:
                key, colon, value = source.partition(": ")
                quoted = f"{key}{colon}'{value}'" if colon else f"'{source}'"
                raise _TooMuch(
                    self._fault(
                        event, "{{ … }} without quotes is a mapping to YAML", f"write it quoted: {quoted}"
                    )
                )
            raise _TooMuch(self._fault(event, "a key must be a plain word, not a mapping or a list"))
        if len(self._stack) >= self._limits.depth:
            raise _TooMuch(self._fault(event, f"nested deeper than {self._limits.depth} levels"))
        node = Node(
            event.start_mark.line + 1, event.start_mark.column + 1, "mapping" if mapping else "sequence"
        )
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(node, event.anchor, flow))

    def _alias(self, event: Any) -> None:
        self._aliases += 1
        if self._aliases > self._limits.aliases:
            raise _TooMuch(self._fault(event, f"more than {self._limits.aliases} aliases"))
        target = self._anchors.get(event.anchor)
        if target is None:
            known = event.anchor in self._anchors
            told = "is inside what it stands for" if known else "has no anchor before it"
            raise _TooMuch(self._fault(event, f"alias *{event.anchor} {told}"))
        if self._stack and self._stack[-1].node.kind == "mapping" and self._stack[-1].key is None:
            raise _TooMuch(self._fault(event, "an alias cannot be a key"))
        self._place(target, aliased=True)

    def _place(self, node: Node, *, aliased: bool = False) -> None:
        self._nodes += node.size if aliased else 1
        if self._nodes > self._limits.nodes:
            raise _TooMuch(
                Fault(self._file, node.line, node.column, f"expands to more than {self._limits.nodes} nodes")
            )
        if not self._stack:
            self.root = node
            return
        opened = self._stack[-1]
        around = opened.node
        if around.kind == "sequence":
            around.entries.append(node)
            around.size += node.size
            return
        if opened.key is not None and not opened.skip:
            around.items[opened.key] = node
            around.keys[opened.key] = opened.key_place
            around.size += node.size
        opened.key, opened.skip = None, False


def _resolve(text: str) -> Scalar:
    """A plain scalar by YAML 1.2's core schema (yaml.org/spec/1.2.2, section 10.3.2)."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    first = text[0]
    if first.isdigit() or first in "+-.":
        if INTEGER.match(text) and len(text) <= INTEGER_DIGITS:
            return int(text)
        if OTHER_BASE.match(text):
            return int(text[2:], 8 if text[1] == "o" else 16)
        if FLOAT.match(text):
            return float(text)
    return text


def _plain(root: Node) -> Any:
    """Data from nodes; as deep as the depth cap allows, so plain recursion is safe."""
    if root.kind == "mapping":
        return {key: _plain(node) for key, node in root.items.items()}
    if root.kind == "sequence":
        return [_plain(node) for node in root.entries]
    return root.value


def _syntax_hint(text: str, line: int, problem: str) -> str:
    lines = text.splitlines()
    around = lines[max(0, line - 2) : line]
    if any("{{" in candidate and "'" not in candidate and '"' not in candidate for candidate in around):
        return "text with {{ … }} must be quoted, or stand in a block after |"
    if "\\t" in problem or any(candidate.startswith("\t") for candidate in around):
        return "YAML is indented with spaces, never with tabs"
    if "mapping values are not allowed" in problem:
        return "text with ': ' in it must be quoted"
    return ""


def _position_of(error: Exception, text: str) -> tuple[int, int]:
    """Where a character stands that YAML does not allow."""
    position = getattr(error, "position", None)
    if not isinstance(position, int):
        return (1, 1)
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1


def _refused(faults: list[Fault]) -> InputError:
    ordered = sorted(faults, key=lambda fault: (fault.line, fault.column))
    return InputError(f"{ordered[0].file} cannot be read", faults=ordered)


def walk_scalars(
    node: Node, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Node]]:
    """Every scalar below a node with its path."""
    if node.kind == "mapping":
        for key, child in node.items.items():
            yield from walk_scalars(child, (*path, key))
    elif node.kind == "sequence":
        for index, child in enumerate(node.entries):
            yield from walk_scalars(child, (*path, index))
    else:
        yield path, node
