"""Host patterns of OpenSSH: `*` and `?`, lists with commas, `!` in front negates; case does not count."""

from __future__ import annotations

import functools
import re


class PatternList:
    """A list of patterns, compiled once. Names without a wildcard are looked up, not searched."""

    __slots__ = ("_exact", "_negated", "_wild")

    def __init__(self, patterns: str) -> None:
        exact, wild, negated = set(), [], []
        for pattern in (part.strip().lower() for part in patterns.split(",")):
            if pattern.startswith("!"):
                negated.append(_compiled(pattern[1:]))
            elif "*" in pattern or "?" in pattern:
                wild.append(_compiled(pattern))
            elif pattern:
                exact.add(pattern)
        self._exact, self._wild, self._negated = frozenset(exact), tuple(wild), tuple(negated)

    def matches(self, text: str) -> bool:
        """Whether some pattern matches the whole text, and none of the negated ones."""
        text = text.lower()
        if text not in self._exact and not any(pattern.fullmatch(text) for pattern in self._wild):
            return False
        return not any(pattern.fullmatch(text) for pattern in self._negated)


def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = re.sub(r"\*+", "*", pattern)
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL)


_list = functools.lru_cache(maxsize=8192)(PatternList)


def matches_list(text: str, patterns: str) -> bool:
    """Whether a list of patterns with commas between them matches `text`."""
    return _list(patterns).matches(text)
