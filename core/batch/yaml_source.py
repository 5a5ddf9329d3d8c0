"""YAML 1.2 with positions, from hostile input.

A document is read as a stream of events and built without recursion into nodes that remember where they
stand. Refused, each with its position: duplicate keys, tags, merge keys (but where a caller reads them), keys
that are not scalars, aliases that hold themselves, several documents, YAML 1.1, characters that no text may
hold, and whatever exceeds the caps on bytes, depth, aliases and expanded nodes (an alias counts as everything
it stands for, in depth too). Plain scalars follow YAML 1.2's core schema: `no` and `012` are not what YAML 1.1
made of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
NUMBER_DIGITS = 18
"""A longer number is no count, port or time of anything; it stays text."""
UNQUOTED = "{{ … }} without quotes is a mapping to YAML"
NO_TEXT = re.compile("[\x00\ud800-\udfff]")


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
    height: int = 0  # of collections, the deepest chain of them, itself included


class Document:
    """A parsed document: plain data, and the position of each part of it.

    `faults` are those that left the rest of the document readable, when it came from `read`.
    """

    def __init__(self, root: Node, text: str, file: str, faults: tuple[Fault, ...] = ()) -> None:
        self.root = root
        self.text = text
        self.file = file
        self.faults = faults

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


def parse(text: str, file: str, limits: Limits | None = None, *, merge_keys: bool = False) -> Document:
    """Parses one document. Raises InputError with every fault that can be told."""
    document = read(text, file, limits, merge_keys=merge_keys)
    if document.faults:
        raise _refused(list(document.faults))
    return document


def read(text: str, file: str, limits: Limits | None = None, *, merge_keys: bool = False) -> Document:
    """Parses one document as far as it can be understood; what is wrong with it is in its `faults`.

    With `merge_keys` a plain `<<` takes over the keys of a mapping, or of a list of them, that are not written
    out (yaml.org/type/merge); else it is a fault.
    Raises InputError, with every fault so far, where reading on makes no sense.
    """
    limits = limits or Limits()
    if len(text) > limits.max_bytes or len(text.encode("utf-8", "surrogatepass")) > limits.max_bytes:
        raise _refused([Fault(file, 0, 0, f"more than {limits.max_bytes} bytes")])
    source = text.removeprefix("\ufeff")
    builder = _Builder(file, source, limits, merge_keys=merge_keys)
    try:
        for event in YAML(typ="safe", pure=True).parse(source):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problem = " ".join(str(error.problem or error.context or "not YAML").split())
        fault = Fault(file, line, column, f"not YAML: {problem}", _syntax_hint(source, line, problem))
        before = builder.faults[-1] if builder.faults else None
        if before is None or before.message != UNQUOTED or before.line != line:  # else it is the same mistake
            builder.faults.append(fault)
    except _TooMuch as error:
        builder.faults.append(error.fault)
    except (YAMLError, ValueError, RecursionError) as error:
        builder.faults.append(_unreadable(error, file, source, builder.place))
    else:
        if builder.root is not None:
            return Document(builder.root, source, file, tuple(builder.faults))
        if not builder.faults:
            builder.faults.append(Fault(file, 1, 1, "the document is empty"))
    raise _refused(builder.faults)


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
    as_key: bool = False  # a collection where a key belongs: read and dropped
    template_at: int = -1  # the offset of an unquoted {{ }}, which is kept as the text that was meant
    merging: bool = False  # the value that comes next is that of a merge key
    merges: list[Node] | None = None


class _Builder:
    def __init__(self, file: str, text: str, limits: Limits, *, merge_keys: bool) -> None:
        self.root: Node | None = None
        self._merge_keys = merge_keys
        self.faults: list[Fault] = []
        self._file = file
        self._text = text
        self._limits = limits
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}  # None while the anchored part is being built
        self._aliases = 0
        self._nodes = 0
        self._documents = 0
        self.place = (1, 1)  # what was read last

    def take(self, event: Any) -> None:
        self.place = (event.start_mark.line + 1, event.start_mark.column + 1)
        match event:
            case ScalarEvent():
                self._scalar(event)
            case MappingStartEvent() | SequenceStartEvent():
                self._start(event)
            case MappingEndEvent() | SequenceEndEvent():
                self._end(event)
            case AliasEvent():
                self._alias(event)
            case DocumentStartEvent():
                self._documents += 1
                if self._documents == 2:
                    raise _TooMuch(self._fault(event, "a second document: one file holds one document"))
                if event.version not in (None, (1, 2)):
                    version = ".".join(map(str, event.version))
                    hint = "take the %YAML line away"
                    self.faults.append(self._fault(event, f"YAML {version} is not read, only YAML 1.2", hint))

    def _fault(self, event: Any, message: str, hint: str = "") -> Fault:
        return Fault(self._file, event.start_mark.line + 1, event.start_mark.column + 1, message, hint)

    def _tagged(self, event: Any) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and str(tag) not in ("!", "None"):
            self.faults.append(self._fault(event, f"tags are not allowed: {str(tag)[:80]}"))

    def _scalar(self, event: Any) -> None:
        self._tagged(event)
        plain = event.style is None or event.style == ""
        if (bad := NO_TEXT.search(event.value)) is not None:
            named = "NUL" if bad[0] == "\0" else f"half a character (U+{ord(bad[0]):04X})"
            self.faults.append(self._fault(event, f"a text cannot hold {named}"))
            event.value = NO_TEXT.sub("\ufffd", event.value)
        node = Node(
            event.start_mark.line + 1,
            event.start_mark.column + 1,
            "scalar",
            value=plain_scalar(event.value) if plain else event.value,
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
        if opened.as_key or opened.template_at >= 0:
            opened.key, opened.skip = name, True
            return
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if plain and name == "<<" and self._merge_keys and opened.merges is None:
            opened.merging = True
        elif plain and name == "<<" and self._merge_keys:
            self.faults.append(self._fault(event, "a mapping has one merge key (<<)", "give it a list"))
            opened.skip = True
        elif plain and name == "<<":
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
            self._collection_as_key(event, mapping=mapping)
            as_key = True
        else:
            as_key = False
        if len(self._stack) >= self._limits.depth:
            raise _TooMuch(self._fault(event, f"nested deeper than {self._limits.depth} levels"))
        node = Node(
            event.start_mark.line + 1,
            event.start_mark.column + 1,
            "mapping" if mapping else "sequence",
            height=1,
        )
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(node, event.anchor, flow, as_key=as_key))

    def _end(self, event: Any) -> None:
        opened = self._stack.pop()
        node = opened.node
        if opened.as_key:
            around = self._stack[-1]
            around.key, around.skip = "", True
            return
        if opened.template_at >= 0:
            node = Node(
                node.line, node.column, "scalar", self._text[opened.template_at : event.end_mark.index]
            )
        if opened.merges:
            self._take_over(node, opened.merges)
        if opened.anchor:
            self._anchors[opened.anchor] = node
        self._place(node)

    def _take_over(self, node: Node, merges: list[Node]) -> None:
        """Adds the keys that a merge key names and the mapping has not; the first that has one gives it."""
        for source in merges:
            for key, child in source.items.items():
                if key not in node.items:
                    node.items[key], node.keys[key] = child, source.keys[key]
                    node.size += child.size
                    node.height = max(node.height, child.height + 1)

    def _merge(self, opened: _Open, node: Node) -> None:
        """Takes the value of a merge key."""
        opened.merging = False
        opened.merges = node.entries if node.kind == "sequence" else [node]
        for source in opened.merges:
            if source.kind != "mapping":
                told = "a merge key (<<) takes a mapping, or a list of mappings"
                self.faults.append(Fault(self._file, node.line, node.column, told))
                opened.merges = []
                return

    def _collection_as_key(self, event: Any, *, mapping: bool) -> None:
        """A mapping or list where a key belongs: mostly the inner half of an unquoted {{ }}."""
        around = self._stack[-1]
        start = event.start_mark.index - 1
        if any(opened.as_key or opened.template_at >= 0 for opened in self._stack):
            return  # part of something that was told already
        if mapping and around.flow and self._text.startswith("{{", start) and not around.node.keys:
            around.template_at = start
            line = self._text[self._text.rfind("\n", 0, start) + 1 :].partition("\n")[0]
            column = event.start_mark.column - 1
            before, value = line[:column].lstrip(), line[column:].rstrip()
            hint = "quote it, from {{ to }}"
            if not any(opened.flow for opened in self._stack[:-1]) and ("'" not in value or '"' not in value):
                hint = f"write it quoted: {before}" + (f'"{value}"' if "'" in value else f"'{value}'")
            fault = self._fault(event, UNQUOTED, hint)
            self.faults.append(replace(fault, column=column + 1))
        else:
            self.faults.append(self._fault(event, "a key must be a plain word, not a mapping or a list"))

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
        if len(self._stack) + target.height > self._limits.depth:
            raise _TooMuch(self._fault(event, f"nested deeper than {self._limits.depth} levels"))
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
            around.height = max(around.height, node.height + 1)
            return
        if opened.merging:
            self._merge(opened, node)
        elif opened.key is not None and not opened.skip:
            around.items[opened.key] = node
            around.keys[opened.key] = opened.key_place
            around.size += node.size
            around.height = max(around.height, node.height + 1)
        opened.key, opened.skip = None, False


def plain_scalar(text: str) -> Scalar:
    """A plain scalar by YAML 1.2's core schema (yaml.org/spec/1.2.2, section 10.3.2)."""
    if text in NULLS:
        return None
    if text in BOOLEANS:
        return BOOLEANS[text]
    first = text[0]
    if first.isdigit() or first in "+-.":
        if INTEGER.match(text):
            return int(text) if len(text) <= NUMBER_DIGITS else text
        if OTHER_BASE.match(text):
            return int(text[2:], 8 if text[1] == "o" else 16) if len(text) <= NUMBER_DIGITS else text
        if FLOAT.match(text) and math.isfinite(number := float(text)):
            return number
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


def _unreadable(error: Exception, file: str, text: str, near: tuple[int, int]) -> Fault:
    """A character that YAML does not allow, or an escape that stands for none."""
    position = getattr(error, "position", None)
    if isinstance(position, int) and position < len(text):
        before = text[:position]
        line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
        return Fault(
            file, line, column, f"not YAML: the character U+{ord(text[position]):04X} is not allowed"
        )
    told = " ".join(str(error).split())[:300]
    return Fault(file, *near, f"not YAML: after this place, {told}")


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
