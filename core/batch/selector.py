"""Selectors: which servers a step runs on.

    all    group:web    label:role=db    name:web-*    provider:local    and  or  not  ( )

`not` binds closer than `and`, `and` closer than `or`. Patterns know `*`, `?` and `[…]`, and match case.
A bare word is a mistake that is told, never a guess. `SelectorParser` can be told to forgive both, for a filter that
is read while somebody types it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.errors import InputError

TOKEN = re.compile(r"\s*(\(|\)|[^\s()]+)")
MAX_TOKENS = 25_000
"""Enough for ten thousand names joined by `or`."""
MAX_TESTS = 1000
"""At most so many that are more than a name to look up."""
MAX_DEPTH = 50
PATTERN = frozenset("*?[")
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
    return SelectorParser(text).parse()


@dataclass(frozen=True, slots=True)
class _Named:
    """The servers of these names: what is joined by `or` becomes one look-up."""

    names: frozenset[str]

    def __call__(self, server: SelectorTarget) -> bool:
        return server.name in self.names


class SelectorParser:
    """Reads one selector. Subclasses may give other words a meaning (`term`), and be `forgiving`: then terms that
    stand side by side are joined by `and`, and what is not finished yet is left out.
    """

    forgiving = False

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens: list[tuple[str, int]] = []
        self._mentions: list[tuple[str, str, int]] = []
        self._at = 0
        self._tests = 0
        position = 0
        while match := TOKEN.match(text, position):
            self._tokens.append((match.group(1), match.start(1)))
            position = match.end()
            if len(self._tokens) > MAX_TOKENS:
                raise SelectorError(f"a selector has at most {MAX_TOKENS} words", match.start(1))

    def parse(self) -> Selector:
        """The selector. Raises SelectorError."""
        if not self._tokens and not self.forgiving:
            raise SelectorError("the selector is empty; write all for every server", 0)
        depth = 0
        for token, offset in self._tokens:
            depth += (token == "(") - (token == ")")
            if depth > MAX_DEPTH:
                raise SelectorError(f"parentheses are nested deeper than {MAX_DEPTH}", offset)
        test = self._or()
        while self.forgiving and self._peek() == ")":
            self._at += 1
            rest = self._or()
            test = _both([test, rest])
        if self._tests > MAX_TESTS:
            raise SelectorError(f"a selector has at most {MAX_TESTS} words other than names joined by or", 0)
        if self._at < len(self._tokens):
            token, offset = self._tokens[self._at]
            told = ") without (" if token == ")" else f"{token!r} is out of place: join with and, or"
            raise SelectorError(told, offset)
        return Selector(self.text, test, tuple(self._mentions))

    def is_last(self, offset: int) -> bool:
        """True for the word that the text ends with."""
        return bool(self._tokens) and offset == self._tokens[-1][1] and not self.text[-1:].isspace()

    def term(self, token: str, offset: int) -> Test:
        """What one word takes. Raises SelectorError."""
        if token == "all":
            return everything
        kind, colon, value = token.partition(":")
        if not colon or kind not in KINDS or not value:
            hint = (
                f"did you mean group:{token} or name:{token}?"
                if not colon
                else f"known are all, {', '.join(KINDS)}"
            )
            raise SelectorError(f"{token!r} selects nothing: {hint}", offset)
        self._mentions.append((kind, value, offset))
        return _test(kind, value, offset)

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _or(self) -> Test:
        parts = [self._and()]
        while self._peek() == "or":
            self._at += 1
            if self.forgiving and self._peek() in ("", ")"):
                break
            parts.append(self._and())
        parts = [part for part in parts if part is not unfinished] or [unfinished]
        names = [part.names for part in parts if isinstance(part, _Named)]
        if len(names) > 1:
            self._tests -= len(names) - 1
            others = [part for part in parts if not isinstance(part, _Named)]
            parts = [_Named(frozenset().union(*names)), *others]
        return parts[0] if len(parts) == 1 else lambda server: any(part(server) for part in parts)

    def _and(self) -> Test:
        parts = [self._not()]
        while self._peek() == "and" or (self.forgiving and self._peek() not in ("", ")", "or")):
            self._at += self._peek() == "and"
            parts.append(self._not())
        return _both(parts)

    def _not(self) -> Test:
        negated = False
        while self._peek() == "not":
            self._at += 1
            negated = not negated
        if negated and self.forgiving and self._peek() in ("", ")"):
            return unfinished
        test = self._atom()
        return (lambda server: not test(server)) if negated and test is not unfinished else test

    def _atom(self) -> Test:
        if self._at >= len(self._tokens):
            if self.forgiving:
                return unfinished
            raise SelectorError("the selector ends too early", len(self.text))
        token, offset = self._tokens[self._at]
        if self.forgiving and token in (")", "and", "or"):
            return unfinished
        self._at += 1
        if token == "(":
            test = self._or()
            if self._peek() == ")":
                self._at += 1
            elif not self.forgiving:
                raise SelectorError("( without )", offset)
            return test
        if token in (")", "and", "or"):
            raise SelectorError(f"{token} is out of place", offset)
        self._tests += 1
        return self.term(token, offset)


def everything(_server: SelectorTarget) -> bool:
    """What `all` takes."""
    return True


def unfinished(_server: SelectorTarget) -> bool:
    """What stands for a word that is not finished yet: it is left out, whatever it is joined by."""
    return True


def _both(parts: Sequence[Test]) -> Test:
    parts = [part for part in parts if part is not unfinished] or [unfinished]
    return parts[0] if len(parts) == 1 else lambda server: all(part(server) for part in parts)


def _test(kind: str, value: str, offset: int) -> Test:
    if kind == "label":
        key, equals, wanted = value.partition("=")
        if not key:
            raise SelectorError("write label:key=value, or label:key for any value", offset)
        if not equals:
            return lambda server: key in server.labels
        return lambda server: key in server.labels and _fits(server.labels[key], wanted)
    if kind == "group":
        return lambda server: any(_fits(group, value) for group in server.groups)
    if kind == "provider":
        return lambda server: _fits(server.provider, value)
    if PATTERN.isdisjoint(value):
        return _Named(frozenset((value,)))
    return lambda server: _fits(server.name, value)


def _fits(text: str, pattern: str) -> bool:
    return text == pattern if PATTERN.isdisjoint(pattern) else fnmatch.fnmatchcase(text, pattern)
