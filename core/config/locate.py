"""Where each part of a YAML text stands, to the character, so that an edit can splice the text itself.

Aliases stay what they are: pointers to the part that they repeat. `evaluate` gives the plain data of such a model,
also after it was changed; an edit is right when the edited text reads as the changed model does.
The text must be one that `core.batch.yaml_source` has accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from core.batch.yaml_source import plain_scalar
from core.config.paths import Path

_ANCHOR = re.compile(r"&[^\s,\[\]{}]+")
_GAP = re.compile(r"(?:[ \t]*(?:(?<=\s)#[^\r\n]*)?(?:\r\n|\n|\r))*[ \t]*")
_KEEP = re.compile(r"[|>](?:[1-9]\+|\+)")
MERGE = "<<"


@dataclass(slots=True, eq=False)
class Part:
    """A value or a key in the text. `start` to `end` is all of it, `body` is where it begins behind its anchor."""

    kind: str  # "mapping", "sequence", "scalar", "alias", or "given": a value that an edit put here
    start: int
    body: int
    end: int
    anchor: str | None = None
    style: str = ""  # of a scalar: "" for plain, ' " | >
    flow: bool = False
    value: Any = None
    target: Part | None = None
    pairs: list[tuple[Part, Part]] = field(default_factory=list)
    entries: list[Part] = field(default_factory=list)

    @property
    def real(self) -> Part:
        """What an alias stands for; everything else itself."""
        return self if self.target is None else self.target

    @property
    def block(self) -> bool:
        """True for a mapping or list that is written in lines of its own."""
        return self.kind in ("mapping", "sequence") and not self.flow

    def index(self, key: str) -> int | None:
        """Which pair has a key, None where none has."""
        for index, (found, _) in enumerate(self.pairs):
            if found.value == key and not is_merge(found):
                return index
        return None


@dataclass(frozen=True, slots=True)
class Spot:
    """The pair or entry that a path leads to: the collection that holds it and its index there.

    `around` is the mapping that the path names; it is not `owner` where a merge key gave the pair.
    """

    owner: Part
    index: int
    around: Part

    @property
    def value(self) -> Part:
        """The value as it stands there, maybe an alias."""
        return (
            self.owner.pairs[self.index][1]
            if self.owner.kind == "mapping"
            else self.owner.entries[self.index]
        )


def locate(text: str) -> Part | None:
    """The model of a text without a byte order mark; None where it holds no value."""
    anchors: dict[str, Part] = {}
    stack: list[Part] = []
    keys: list[Part | None] = []
    root: Part | None = None

    def place(part: Part) -> None:
        nonlocal root
        if not stack:
            root = part
        elif stack[-1].kind == "sequence":
            stack[-1].entries.append(part)
        elif keys[-1] is None:
            keys[-1] = part
        else:
            _settle(text, keys[-1], part)
            stack[-1].pairs.append((keys[-1], part))
            keys[-1] = None

    for event in YAML(typ="safe", pure=True).parse(text):
        match event:
            case ScalarEvent() | MappingStartEvent() | SequenceStartEvent():
                part = _part(text, event)
                if part.anchor:
                    anchors[part.anchor] = part
                place(part)
                if part.kind != "scalar":
                    stack.append(part)
                    keys.append(None)
            case MappingEndEvent() | SequenceEndEvent():
                keys.pop()
                stack.pop().end = event.end_mark.index
            case AliasEvent():
                start, end = event.start_mark.index, event.end_mark.index
                place(Part("alias", start, start, end, target=anchors[event.anchor]))
    return root


def _part(text: str, event: Any) -> Part:
    start, end = event.start_mark.index, event.end_mark.index
    kind = {ScalarEvent: "scalar", MappingStartEvent: "mapping"}.get(type(event), "sequence")
    part = Part(kind, start, start, end, event.anchor)
    if part.anchor and (anchor := _ANCHOR.match(text, start)) is not None:
        gap = _GAP.match(text, anchor.end())
        empty = kind == "scalar" and end <= anchor.end()
        part.body = anchor.end() if empty or gap is None else gap.end()
    if kind != "scalar":
        part.flow = bool(event.flow_style)
        return part
    part.style = event.style or ""
    part.value = event.value if part.style else plain_scalar(event.value)
    return part


def _settle(text: str, key: Part, value: Part) -> None:
    """Puts a value of no characters (`key:`) right behind the colon; the parser tells where it met the next thing."""
    if value.kind == "scalar" and value.start == value.end:
        colon = text.find(":", key.end)
        if colon >= 0 and not text[key.end : colon].strip():
            value.start = value.body = value.end = colon + 1


def is_merge(key: Part) -> bool:
    """True for the key `<<` of a merge."""
    return key.value == MERGE and not key.style


def merged(part: Part) -> list[Part]:
    """The mappings whose keys a mapping takes over, the first one first."""
    for key, value in part.pairs:
        if is_merge(key):
            real = value.real
            return [real] if real.kind == "mapping" else [entry.real for entry in real.entries]
    return []


def evaluate(part: Part) -> Any:
    """Plain data, every alias a copy of its own."""
    part = part.real
    if part.kind == "mapping":
        data = {str(key.value): evaluate(value) for key, value in part.pairs if not is_merge(key)}
        for source in merged(part):
            for key, value in evaluate(source).items():
                data.setdefault(key, value)
        return data
    if part.kind == "sequence":
        return [evaluate(entry) for entry in part.entries]
    return part.value


def spot(around: Part, part: str | int) -> Spot | None:
    """What a key or a position leads to from a collection, None where there is nothing."""
    around = around.real
    if around.kind == "sequence" and isinstance(part, int) and part < len(around.entries):
        return Spot(around, part, around)
    if around.kind != "mapping" or not isinstance(part, str):
        return None
    index = around.index(part)
    if index is not None:
        return Spot(around, index, around)
    for source in merged(around):
        found = spot(source, part)
        if found is not None:
            return Spot(found.owner, found.index, around)
    return None


def follow(root: Part, path: Path) -> tuple[Part, Path]:
    """As far as a path leads: the part there, aliases followed, and what of the path is left."""
    for depth, part in enumerate(path):
        found = spot(root, part)
        if found is None:
            return root.real, path[depth:]
        root = found.value
    return root.real, ()


def parent_of(root: Part, part: Part) -> Part | None:
    """The collection that a part is written in, None for the root."""
    pending = [root]
    while pending:
        around = pending.pop()
        children = around.entries + [value for _, value in around.pairs]
        if any(child is part for child in children):
            return around
        pending += children
    return None


def true_end(text: str, part: Part) -> int:
    """Where the last thing that belongs to a part ends; comments and blank lines behind it do not."""
    if part.block:
        children = part.entries or [value for _, value in part.pairs]
        return true_end(text, children[-1]) if children else part.end
    if part.style in ("|", ">"):
        if _KEEP.match(text, part.body):  # the blank lines are its content
            return part.end - 1 if text[part.end - 1 : part.end] == "\n" else part.end
        return part.body + len(text[part.body : part.end].rstrip())
    return part.end
