"""The filter of the inventory: the language of selectors, and words; read anew at every key.

    group:web not label:zone=b      as selectors do; what stands side by side is joined by `and`
    state:stopped  held:44  address:10.0.*  user:root  marked
    web 0.7                         words that a server has in its name, address, groups, labels, …
    w13                             a word that no server has: its letters in this order, web-13

What is not finished yet is left out, and the last word may be the beginning of a group or of a value.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import cast

from core.batch.selector import (
    KINDS,
    PATTERN,
    SelectorError,
    SelectorParser,
    SelectorTarget,
    Test,
    everything,
    parse_selector,
    unfinished,
)
from core.model.views import ServerInfo

FIELDS: dict[str, Callable[[ServerInfo], str]] = {
    "state": lambda server: server.state,
    "address": lambda server: server.address,
    "user": lambda server: server.user,
    "held": lambda server: str(server.held_by) if server.held_by is not None else "",
}
"""What can be asked beside what selectors know; of the inventory only, so no selector has it."""


@dataclass(frozen=True, slots=True)
class Found:
    """The servers that a filter shows. `told` says what was understood otherwise than it was typed, or why nothing of
    it was; `selector` is the same as a selector, "" where there is none.
    """

    servers: Sequence[ServerInfo]
    told: str = ""
    selector: str = ""


class Searchable:
    """The servers of an inventory, made ready to be looked through at every key."""

    def __init__(self, servers: Sequence[ServerInfo]) -> None:
        self.servers = servers
        self.texts = {server.name: _text(server) for server in servers}

    def find(self, text: str, marked: Collection[str] = ()) -> Found:
        """What a filter shows; everything where it is empty or cannot be read."""
        if not text.strip():
            return Found(self.servers, selector="all")
        parser = _FilterParser(text, self, marked)
        try:
            wanted = parser.parse()
        except SelectorError as error:
            return Found(self.servers, error.message)
        found = [server for server in self.servers if wanted.matches(server)]
        return Found(found, "; ".join(parser.told), "" if parser.beyond or parser.told else text.strip())


class _FilterParser(SelectorParser):
    """`beyond` is True for what no selector can say."""

    forgiving = True

    def __init__(self, text: str, world: Searchable, marked: Collection[str]) -> None:
        super().__init__(text)
        self._world = world
        self._marked = marked
        self.told: list[str] = []
        self.beyond = not _is_selector(text)

    def term(self, token: str, offset: int) -> Test:
        kind, colon, value = token.partition(":")
        if token == "all":
            return everything
        if token == "marked":
            return lambda server: server.name in self._marked
        if colon and kind in KINDS:
            return self._named(kind, value, offset)
        if colon and kind in FIELDS:
            return self._field(kind, value, offset)
        return self._word(token)

    def _named(self, kind: str, value: str, offset: int) -> Test:
        if not value or (kind == "label" and value.startswith("=")):
            return unfinished
        test = super().term(f"{kind}:{value}", offset)
        if not self._begins(value, offset, test):
            return test
        self.told.append(f"{kind}:{value}*")
        if kind == "label" and "=" not in value:
            return lambda server: any(key.startswith(value) for key in server.labels)
        return super().term(f"{kind}:{value}*", offset)

    def _field(self, kind: str, value: str, offset: int) -> Test:
        read = FIELDS[kind]
        if not value:
            return unfinished

        def test(server: SelectorTarget, pattern: str = value) -> bool:
            has = read(cast(ServerInfo, server))
            return bool(has) and fnmatch.fnmatchcase(has, pattern)

        if not self._begins(value, offset, test):
            return test
        self.told.append(f"{kind}:{value}*")
        return lambda server: test(server, f"{value}*")

    def _begins(self, value: str, offset: int, test: Test) -> bool:
        """True where a value is the last of the text, and may be the beginning of one: it is nobody's as it stands."""
        if not self.is_last(offset) or not PATTERN.isdisjoint(value):
            return False
        return not any(test(server) for server in self._world.servers)

    def _word(self, word: str) -> Test:
        wanted, texts = word.lower(), self._world.texts
        if any(wanted in text for text in texts.values()):
            return lambda server: wanted in texts[server.name]
        self.told.append(f"{word}: letter by letter")
        letters = _letters(wanted)
        return lambda server: letters.search(server.name.lower()) is not None


def _letters(word: str) -> re.Pattern[str]:
    """The letters of a word in its order, anything between them. No letter that fits is skipped: it never goes back."""
    rest = "".join(f"[^{re.escape(letter)}]*{re.escape(letter)}" for letter in word[1:])
    return re.compile(re.escape(word[0]) + rest)


def _is_selector(text: str) -> bool:
    try:
        parse_selector(text)
    except SelectorError:
        return False
    return True


def _text(server: ServerInfo) -> str:
    """Everything of a server that a word is looked for in."""
    labels = (f"{key}={value}" for key, value in server.labels.items())
    parts = (server.name, server.provider, server.state, server.address, server.user, *server.groups, *labels)
    return "\n".join((*parts, server.note)).lower()
