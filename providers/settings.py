"""Reads a provider's settings, collecting every fault with its place instead of stopping at the first.

Each reading method returns a usable value (None or an empty one where the setting is wrong) and notes
the fault; `finish` raises InputError when there is any.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from providers.base import (
    Fault,
    InputError,
    ProviderContext,
    SettingsPath,
    refuse_group_name,
    refuse_label_key,
    refuse_label_value,
    refuse_server_name,
)
from providers.ranges import RangeError, expand

MAX_FAULTS = 200


class SettingsReader:
    """Reads the settings of one context; `faults` grows as wrong settings are met."""

    def __init__(self, context: ProviderContext) -> None:
        self.context = context
        self.file = context.file
        self.faults: list[Fault] = []

    def fault(self, path: SettingsPath, message: str, *, hint: str = "") -> None:
        """Notes a fault at a settings path."""
        self.faults.append(self.context.fault(path, message, hint=hint))

    def finish(self) -> None:
        """Raises InputError with every fault noted, in source order."""
        if not self.faults:
            return
        faults = sorted(self.faults, key=lambda fault: (fault.line, fault.column))
        count = len(faults)
        shown = "1 fault" if count == 1 else f"{count} faults"
        more = f"only the first {MAX_FAULTS} are listed" if count > MAX_FAULTS else ""
        raise InputError(f"{shown} in {self.context.file}", faults=faults[:MAX_FAULTS], hint=more)

    def mapping(self, path: SettingsPath, value: Any, what: str) -> Mapping[str, Any]:
        """A mapping with text keys; an absent value is an empty one."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.fault(path, f"{what} is a mapping, not {kind(value)}")
            return {}
        good: dict[str, Any] = {}
        for key, item in value.items():
            if isinstance(key, str):
                good[key] = item
            else:
                self.fault((*path, key), f"the key {key!r} is {kind(key)}, not text", hint="quote it")
        return good

    def known_keys(self, path: SettingsPath, value: Mapping[str, Any], allowed: Collection[str]) -> None:
        """Notes every key that is not among `allowed`."""
        for key in value:
            if key not in allowed:
                self.fault((*path, key), f"unknown key '{key}'{did_you_mean(key, allowed)}")

    def text(self, path: SettingsPath, value: Any, what: str) -> str | None:
        """A text without control characters; None when absent or wrong."""
        if value is None:
            return None
        if not isinstance(value, str):
            hint = "quote it" if isinstance(value, int | float) else ""
            self.fault(path, f"{what} is text, not {kind(value)}", hint=hint)
            return None
        if not value.strip():
            self.fault(path, f"{what} cannot be empty")
            return None
        if not value.isprintable():
            self.fault(path, f"{what} holds a character that cannot be printed")
            return None
        return value

    def texts(self, path: SettingsPath, value: Any, what: str) -> list[tuple[SettingsPath, str]]:
        """One text or a list of texts, each with its path."""
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            text = self.text(path, value, what)
            return [] if text is None else [(path, text)]
        found = []
        for index, item in enumerate(value):
            text = self.text((*path, index), item, f"{what} (each entry)")
            if text is not None:
                found.append(((*path, index), text))
            elif item is None:
                self.fault((*path, index), f"{what}: this entry is empty")
        return found

    def number(self, path: SettingsPath, value: Any, what: str, low: int, high: int) -> int | None:
        """A whole number within bounds; None when absent or wrong."""
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.fault(path, f"{what} is a whole number, not {kind(value)}")
            return None
        if not low <= value <= high:
            self.fault(path, f"{what} is between {low} and {high}, not {value}")
            return None
        return value

    def groups(self, path: SettingsPath, value: Any) -> tuple[str, ...]:
        """The names of groups, without repetitions, in order."""
        groups: dict[str, None] = {}
        for place, name in self.texts(path, value, "groups"):
            why = refuse_group_name(name)
            if why:
                self.fault(place, why)
            else:
                groups[name] = None
        return tuple(groups)

    def labels(self, path: SettingsPath, value: Any) -> dict[str, str]:
        """Labels: text keys and text values."""
        labels: dict[str, str] = {}
        for key, item in self.mapping(path, value, "labels").items():
            place = (*path, key)
            why = refuse_label_key(key)
            if why:
                self.fault(place, why)
            text = self.text(place, item, f"the label '{key}'")
            if item is None:
                self.fault(place, f"the label '{key}' has no value")
            if text is None:
                continue
            why = refuse_label_value(text)
            if why:
                self.fault(place, why)
            elif not refuse_label_key(key):
                labels[key] = text
        return labels

    def names(self, path: SettingsPath, key: str, taken: dict[str, SettingsPath]) -> list[str]:
        """The server names that a key stands for; those used before (`taken`, extended here) are faults."""
        try:
            names = expand(key)
        except RangeError as error:
            self.fault(path, str(error))
            return []
        good = []
        for name in names:
            why = refuse_server_name(name)
            if why:
                self.fault(path, f"{why} (in '{key}')" if name != key else why)
                break
            first = taken.setdefault(name, path)
            if first != path:
                line, _ = self.context.at(*first)
                self.fault(path, f"the server '{name}' is there already, on line {line}")
                break
            good.append(name)
        return good


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "; did you mean 'x'?" when something known is close to `word`, else ""."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def kind(value: Any) -> str:
    """What a parsed YAML value is, for a person."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"a {type(value).__name__}"
