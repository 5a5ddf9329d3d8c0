"""Text with secrets in it that are not there yet: what the engine holds, stores and shows instead of them.

`{{ secret('db/password') }}` renders to a `Sealed`: text that says so in words, and that alone is what digests,
events and screens can get hold of. Its parts are kept apart, so that a parameter or an output that looks like a
reference stays text. `open` puts the values in, at the moment of the hand-over.

A value of the configuration may be `Sealed` as well; a template that puts it into its text gives a `Sealed` again.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.template import TemplateFault, TextTemplate


@dataclass(frozen=True, slots=True)
class Reference:
    """The place of a secret within a text."""

    to: str


class Sealed(str):
    """Text whose secrets are named in place of their values."""

    parts: tuple[str | Reference, ...]

    def __new__(cls, *parts: str | Reference) -> Sealed:
        shown = (f"{{{{ secret({part.to!r}) }}}}" if isinstance(part, Reference) else part for part in parts)
        made = super().__new__(cls, "".join(shown))
        made.parts = parts
        return made

    @property
    def references(self) -> frozenset[str]:
        """The secrets in it."""
        return frozenset(part.to for part in self.parts if isinstance(part, Reference))

    def open(self, value_of: Callable[[str], str]) -> str:
        """The text in clear."""
        return "".join(value_of(part.to) if isinstance(part, Reference) else part for part in self.parts)

    def to_json(self) -> list[Any]:
        """Its parts as plain data: text, or {"secret": reference}."""
        return [{"secret": part.to} if isinstance(part, Reference) else part for part in self.parts]

    @classmethod
    def from_json(cls, parts: Sequence[Any]) -> Sealed:
        """What `to_json` gave."""
        return cls(*(part if isinstance(part, str) else Reference(part["secret"]) for part in parts))


class Marks:
    """What stands for secrets while a template is rendered: new each time, so nothing it is given can hold one.

    Two of different `letters` have no character in common, so that what a filter makes of a mark tells them apart.
    """

    def __init__(self, letters: str, size: int) -> None:
        self._mark = letters[0] + "".join(secrets.choice(letters) for _ in range(size))
        self._names: list[str] = []

    @classmethod
    def pair(cls) -> tuple[Marks, Marks]:
        """Two that differ in every character and in their length."""
        return cls("abcdefghijklmnop", 32), cls("QRSTUVWXYZ123456", 40)

    def __call__(self, reference: str) -> str:
        """The mark of one secret."""
        if reference not in self._names:
            self._names.append(reference)
        return f"{self._mark}.{self._names.index(reference)}."

    def parts(self, text: str) -> tuple[str | Reference, ...]:
        """A text taken apart at the marks in it."""
        pieces = re.split(rf"{self._mark}\.([0-9]+)\.", text)
        return tuple(
            Reference(self._names[int(piece)]) if at % 2 else piece
            for at, piece in enumerate(pieces)
            if at % 2 or piece
        )


def render(template: TextTemplate, context: Mapping[str, Any]) -> str:
    """A text for a context; a `Sealed` where it uses secrets. Raises TemplateFault."""
    uses = template.uses
    held = bool(uses.config) and any(True for _ in sealed_in(_below(context.get("config"), uses.config)))
    if not (uses.secrets or held):
        return template.render(context)
    one, other = Marks.pair()
    parts = _parts(template, context, one)
    # `secret()` stands by itself, which was seen to; a value of the configuration may have gone through a filter.
    if held and parts != _parts(template, context, other):
        raise TemplateFault("a secret stands by itself: no filter or condition can look into it")
    return Sealed(*parts) if any(isinstance(part, Reference) for part in parts) else "".join(map(str, parts))


def sealed_in(value: Any) -> Any:
    """Every `Sealed` in plain data."""
    if isinstance(value, Sealed):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from sealed_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from sealed_in(item)


def opened(value: Any, value_of: Callable[[str], str]) -> Any:
    """Plain data with something in place of each secret."""
    if isinstance(value, Sealed):
        return value.open(value_of)
    if isinstance(value, Mapping):
        return {key: opened(item, value_of) for key, item in value.items()}
    if isinstance(value, list):
        return [opened(item, value_of) for item in value]
    return value


def _parts(template: TextTemplate, context: Mapping[str, Any], marks: Marks) -> tuple[str | Reference, ...]:
    """A template's text taken apart at its secrets."""
    named = {name: marks(name) for name in sorted(template.uses.secrets)}
    config = {"config": opened(context["config"], marks)} if "config" in context else {}
    return marks.parts(template.render({**context, **config, "secret": named}))


def _below(config: Any, used: frozenset[tuple[str | int, ...]]) -> list[Any]:
    """What a template uses of the configuration."""
    found = []
    for path in used:
        value = config
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                break
        found.append(value)
    return found
