"""What the editor of the configuration offers at the cursor: keys of the schema and of the other layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from core.config import paths
from core.config.candidates import Candidate, Place, candidates, place_at
from core.config.schema import schema_data
from core.config.tree import every_path
from core.display import display_line
from tui.configuration import Reading
from tui.paint import Spans

INDENT = "  "
ABOUT_CHARS = 60
MOST = 200


@dataclass(frozen=True, slots=True)
class Known:
    """What keys there are: the workspace's schema as data ({} without one), and the paths of every layer."""

    schema: dict[str, Any] = field(default_factory=dict)
    paths: Sequence[paths.Path] = ()


def known_keys(folder: FilePath, reading: Reading) -> Known:
    """Reads the schema: call it off the interface's thread."""
    layers = () if reading.config is None else tuple(every_path(reading.config.root))
    return Known(schema_data(folder), layers)


@dataclass(frozen=True, slots=True)
class Offer:
    """A key, and what stands in the text once it is taken."""

    place: Place
    candidate: Candidate

    @property
    def text(self) -> str:
        """The key with what follows it: a new line, further in, where a mapping or a list opens."""
        if self.candidate.opens:
            return f"{self.candidate.key}:\n{' ' * self.place.column}{INDENT}"
        return f"{self.candidate.key}: "


def offers(text: str, line: int, column: int, known: Known) -> list[tuple[Offer, Spans]]:
    """What may stand at a cursor, each with how it is told."""
    place = place_at(text, line, column)
    if place is None:
        return []
    found = candidates(place, known.schema, known.paths)[:MOST]
    width = max((len(each.key) for each in found), default=0)
    return [
        (
            Offer(place, each),
            [
                (display_line(each.key).ljust(width), "bold"),
                (f"  {display_line(each.about, max_chars=ABOUT_CHARS)}" if each.about else "", "muted"),
            ],
        )
        for each in found
    ]
