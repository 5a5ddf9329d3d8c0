"""Text with secrets in it that are not there yet: what the engine holds, stores and shows instead of them.

`{{ secret('db/password') }}` renders to a `Sealed`: text that says so in words, and that alone is what digests,
events and screens can get hold of. Its parts are kept apart, so that a parameter or an output that looks like a
reference stays text. `open` puts the values in, at the moment of the hand-over.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.template import TextTemplate


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

    def open(self, value_of: Callable[[str], str]) -> str:
        """The text in clear."""
        return "".join(value_of(part.to) if isinstance(part, Reference) else part for part in self.parts)


def render(template: TextTemplate, context: Mapping[str, Any]) -> str:
    """A text for a context; a `Sealed` where it uses secrets. Raises TemplateFault."""
    if not template.uses.secrets:
        return template.render(context)
    # The marks are new each time: nothing that a template is given can hold one.
    mark = secrets.token_hex(16)
    names = sorted(template.uses.secrets)
    text = template.render(
        {**context, "secret": {name: f"{mark}.{number}." for number, name in enumerate(names)}}
    )
    pieces = re.split(rf"{mark}\.([0-9]+)\.", text)
    return Sealed(
        *(
            Reference(names[int(piece)]) if at % 2 else piece
            for at, piece in enumerate(pieces)
            if at % 2 or piece
        )
    )
