"""What the tests of batch documents share: loading a text, its faults as lines, and servers to select."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import dedent

from core.batch.load import LoadedBatch, load_batch
from core.batch.model import Batch, Step
from core.errors import InputError

FILE = "batch.yaml"


def load(text: str) -> LoadedBatch:
    """Loads a text that is indented like the test it stands in."""
    return load_batch(dedent(text), FILE)


def batch(text: str) -> Batch:
    return load(text).batch


def step(text: str) -> Step:
    """The one step, written without the lines above its keys."""
    body = dedent(text).strip("\n").replace("\n", "\n    ")
    return load_batch(f"steps:\n  one:\n    {body}\n", FILE).batch.steps["one"]


def faults(text: str) -> list[str]:
    """What is wrong with a text, `line:column: message (hint)`, in the order told; [] when nothing is."""
    try:
        load(text)
    except InputError as error:
        refusal = error
    else:
        return []
    assert refusal.faults, f"refused without a fault: {refusal}"
    return [str(fault).removeprefix(f"{FILE}:") for fault in refusal.faults]


def only(text: str) -> str:
    """The one fault of a text."""
    found = faults(text)
    assert len(found) == 1, found
    return found[0]


@dataclass(frozen=True)
class Target:
    """A server as selectors see it."""

    name: str
    groups: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    provider: str = "local"


INVENTORY = (
    Target("web-1", ("web",), {"role": "web", "zone": "a"}),
    Target("web-2", ("web",), {"role": "web", "zone": "b"}),
    Target("db-1", ("db", "backup"), {"role": "db", "zone": "a"}, "static"),
    Target("lb-1", ("lb",), {"role": "lb"}),
)
