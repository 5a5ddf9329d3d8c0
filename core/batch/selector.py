"""Selectors: which servers a step runs on.

    all    group:web    label:role=db    name:web-*    provider:local    and  or  not  ( )

`not` binds closer than `and`, `and` closer than `or`. Patterns know `*`, `?` and `[…]`, and match case.
A bare word is a mistake that is told, never a guess.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import InputError

TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")
MAX_TOKENS = 1000
KINDS = ("group", "label", "name", "provider")


class SelectorTarget(Protocol):
    """What a selector looks at."""

    @property
    def name(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


class SelectorError(InputError):
    """A selector that cannot be read; `offset` counts characters from 0 within its text.

    Bad input wherever it comes from: a document, or a selector given on the command line.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


Test = Callable[[SelectorTarget], bool]


@dataclass(frozen=True)
class Selector:
    """A selector; `mentions` are the (kind, value) pairs that it names, with their offsets."""

    text: str
    test: Test
    mentions: tuple[tuple[str, str, int], ...] = field(default=())

    def matches(self, server: SelectorTarget) -> bool:
        """True for a server that the selector takes."""
        return self.test(server)


def parse_selector(text: str) -> Selector:
    """Reads a selector. Raises SelectorError."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        self.mentions: list[tuple[str, str, int]] = []
        self.at = 0
        position = 0
        while match := TOKEN.match(text, position):
            self.tokens.append((match.group(1), match.start(1)))
            position = match.end()
            if len(self.tokens) > MAX_TOKENS:
                raise SelectorError(f"a selector has at most {MAX_TOKENS} words", match.start(1))

    def parse(self) -> Selector:
        if not self.tokens:
            raise SelectorError("the selector is empty; write all for every server", 0)
        depth = 0
        for token, offset in self.tokens:
            depth += (token == "(") - (token == ")")
            if depth > 50:
                raise SelectorError("parentheses are nested deeper than 50", offset)
        test = self._or()
        if self.at < len(self.tokens):
            token, offset = self.tokens[self.at]
            told = ") without (" if token == ")" else f"{token!r} is out of place: join with and, or"
            raise SelectorError(told, offset)
        return Selector(self.text, test, tuple(self.mentions))

    def _peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _or(self) -> Test:
        parts = [self._and()]
        while self._peek() == "or":
            self.at += 1
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda server: any(part(server) for part in parts)

    def _and(self) -> Test:
        parts = [self._not()]
        while self._peek() == "and":
            self.at += 1
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda server: all(part(server) for part in parts)

    def _not(self) -> Test:
        negated = False
        while self._peek() == "not":
            self.at += 1
            negated = not negated
        test = self._atom()
        return (lambda server: not test(server)) if negated else test

    def _atom(self) -> Test:
        if self.at >= len(self.tokens):
            raise SelectorError("the selector ends too early", len(self.text))
        token, offset = self.tokens[self.at]
        self.at += 1
        if token == "(":
            test = self._or()
            if self._peek() != ")":
                raise SelectorError("( without )", offset)
            self.at += 1
            return test
        if token in (")", "and", "or"):
            raise SelectorError(f"{token} is out of place", offset)
        if token == "all":
            return lambda server: True
        kind, colon, value = token.partition(":")
        if not colon or kind not in KINDS or not value:
            hint = (
                f"did you mean group:{token} or name:{token}?"
                if not colon
                else f"known are all, {', '.join(KINDS)}"
            )
            raise SelectorError(f"{token!r} selects nothing: {hint}", offset)
        self.mentions.append((kind, value, offset))
        return _test(kind, value, offset)


def _test(kind: str, value: str, offset: int) -> Test:
    if kind == "label":
        key, equals, wanted = value.partition("=")
        if not key:
            raise SelectorError("write label:key=value, or label:key for any value", offset)
        if not equals:
            return lambda server: key in server.labels
        return lambda server: key in server.labels and fnmatch.fnmatchcase(server.labels[key], wanted)
    if kind == "group":
        return lambda server: any(fnmatch.fnmatchcase(group, value) for group in server.groups)
    if kind == "provider":
        return lambda server: fnmatch.fnmatchcase(server.provider, value)
    return lambda server: fnmatch.fnmatchcase(server.name, value)
