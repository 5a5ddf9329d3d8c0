"""How two configurations differ, by the values that they come to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.config.paths import Path

ABSENT = object()
"""What stands for a value that only the other side has."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A path whose values differ; `ABSENT` where one side has none."""

    path: Path
    left: Any
    right: Any


def differences(left: Any, right: Any, path: Path = (), *, by_index: bool = False) -> Iterator[Difference]:
    """Every difference, in the order of the left side; mappings by key, everything else as a whole.

    With `by_index` lists of one length are compared entry by entry.
    """
    lists = isinstance(left, list) and isinstance(right, list) and len(left) == len(right)
    if by_index and lists:
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            yield from differences(one, other, (*path, index), by_index=True)
        return
    if not isinstance(left, Mapping) or not isinstance(right, Mapping) or not (left and right):
        if not same(left, right):
            yield Difference(path, left, right)
        return
    for key in [*left, *(key for key in right if key not in left)]:
        yield from differences(left.get(key, ABSENT), right.get(key, ABSENT), (*path, key), by_index=by_index)


def same(left: Any, right: Any) -> bool:
    """Equal in type as well: 1 is neither 1.0 nor true."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and bool(left == right)
