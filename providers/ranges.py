"""Number ranges in names and addresses: `web-[1-8]`, `web-[01-12]`, `10.0.0.[11-18]`.

One range in a text; leading zeros in both bounds keep the width. The number of results is bounded.
"""

from __future__ import annotations

import re

MAX_RANGE = 20_000
_RANGE = re.compile(r"\[(\d+)-(\d+)\]")
_BROKEN = re.compile(r"\[[^\]]*-[^\]]*\]?")


class RangeError(ValueError):
    """A range that cannot be expanded; the text says why."""


def has_range(text: str) -> bool:
    """True when `text` holds a well-formed range."""
    return _RANGE.search(text) is not None


def expand(text: str) -> list[str]:
    """Every text that `text` stands for, in order; a text without a range stands for itself.

    Raises RangeError.
    """
    found = list(_RANGE.finditer(text))
    if not found:
        broken = _BROKEN.search(text)
        if broken and ":" not in broken.group():
            raise RangeError(f"'{broken.group()}' is no range; ranges look like [1-8] or [01-12]")
        return [text]
    if len(found) > 1:
        raise RangeError(f"'{text}' holds {len(found)} ranges; one is allowed")
    match = found[0]
    first, last = match.groups()
    if len(first) > 9 or len(last) > 9:
        raise RangeError(f"the numbers of '{match.group()}' are too large")
    low, high = int(first), int(last)
    if low > high:
        raise RangeError(f"'{match.group()}' counts downwards; write [{last}-{first}]")
    if high - low + 1 > MAX_RANGE:
        raise RangeError(
            f"'{match.group()}' stands for {high - low + 1} names; at most {MAX_RANGE} are allowed"
        )
    padded = (len(first) > 1 and first[0] == "0") or (len(last) > 1 and last[0] == "0")
    if padded and len(first) != len(last):
        raise RangeError(f"the bounds of '{match.group()}' have leading zeros and differ in width")
    width = len(first) if padded else 0
    before, after = text[: match.start()], text[match.end() :]
    return [f"{before}{number:0{width}d}{after}" for number in range(low, high + 1)]
