"""A user's own keys: a file that gives actions, by the ids of their bindings, other keys. Valid as a whole or not used.

    "run.pause" = "P"
    "run.cancel" = ["X", "ctrl+k"]

Keys that move, mark, open and lead back mean the same on every screen, so no other action can have them.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key

from core.errors import Fault
from tui.taste import KEYS

MOST_BYTES = 64 * 1024
SETTLED = frozenset({"j", "k", "g", "upper_g", "up", "down", "left", "right", "space", "enter", "escape"})
_MODIFIERS = re.compile(r"(?:(?:ctrl|alt|shift|super|meta)\+)*")
_NAMES = frozenset(key.value for key in Keys if "+" not in key.value and not key.value.startswith("<"))


@dataclass(frozen=True, slots=True)
class Known:
    """A binding of ours: where it is, its keys as Textual calls them, and what it does."""

    id: str
    owner: str
    keys: tuple[str, ...]
    told: str


def known_bindings() -> list[Known]:
    """Every binding that has an id. Imports every screen."""
    import tui.app
    import tui.screens
    import tui.widgets

    modules = [tui.app]
    for package in (tui.screens, tui.widgets):
        modules += [
            importlib.import_module(f"{package.__name__}.{module.name}")
            for module in pkgutil.iter_modules(package.__path__)
        ]
    found: dict[tuple[str, str], Known] = {}
    for module in modules:
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, DOMNode) and kind.__module__ == module.__name__:
                for each in _bindings_of(kind):
                    found[each.owner, each.id] = each
    return sorted(found.values(), key=lambda each: (each.id, each.owner))


def _bindings_of(kind: type[DOMNode]) -> Iterator[Known]:
    for binding in vars(kind).get("BINDINGS", ()):
        if isinstance(binding, Binding) and binding.id:
            keys = tuple(_long(key.strip()) for key in binding.key.split(","))
            yield Known(binding.id, kind.__name__, keys, binding.tooltip or binding.description)


def read_keys(folder: Path) -> tuple[Mapping[str, str], list[Fault]]:
    """The keys of the file in a folder, by binding, as Textual takes them; none where it has faults, all of which
    are told, or is not there.
    """
    path = folder / KEYS
    if not path.is_file():
        return {}, []
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
        given = _flat(tomllib.loads(text)) if len(text) <= MOST_BYTES else {}
    except (OSError, UnicodeDecodeError) as error:
        return {}, [Fault(str(path), 0, 0, f"it cannot be read: {error}")]
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = (int(where[1]), int(where[2])) if where else (0, 0)
        return {}, [Fault(str(path), line, column, f"no valid TOML: {error}")]
    keys, wrong = _checked(given, known_bindings())
    faults = [Fault(str(path), _line_of(text, id_), 1, told) for id_, told in wrong]
    return ({}, faults) if faults else ({id_: ",".join(map(_short, each)) for id_, each in keys.items()}, [])


def _flat(data: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Tables as well as quoted names: `[run] pause = "P"` is `"run.pause" = "P"`."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{before}{name}.")
        else:
            found[before + name] = value
    return found


def _checked(
    given: Mapping[str, Any], known: Sequence[Known]
) -> tuple[dict[str, tuple[str, ...]], list[tuple[str, str]]]:
    """The keys of each binding, and what is wrong as (binding, message)."""
    ids = {each.id: each for each in known}
    keys: dict[str, tuple[str, ...]] = {}
    wrong: list[tuple[str, str]] = []
    for id_, value in given.items():
        if id_ not in ids:
            near = get_close_matches(id_, ids, n=1)
            wrong.append(
                (id_, f"there is no action {id_!r}" + (f": did you mean {near[0]!r}?" if near else ""))
            )
            continue
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not listed or not all(isinstance(key, str) for key in listed):
            wrong.append((id_, f'{id_!r} is given a key such as "P", or a list of keys'))
            continue
        long = tuple(_long(key) for key in listed)
        wrong += [
            (id_, f"{key!r} is no key") for key, name in zip(listed, long, strict=True) if not _is_key(name)
        ]
        own = set(ids[id_].keys)
        wrong += [
            (id_, f"{key!r} moves, marks, opens or leads back on every screen: {id_!r} cannot have it")
            for key, name in zip(listed, long, strict=True)
            if name in SETTLED and name not in own
        ]
        keys[id_] = long
    return keys, [*wrong, *_clashes(keys, known)]


def _clashes(keys: Mapping[str, tuple[str, ...]], known: Sequence[Known]) -> Iterator[tuple[str, str]]:
    """Two actions of one screen on one key, one of which the file gave it."""
    for owner in sorted({each.owner for each in known}):
        taken: dict[str, str] = {}
        # What keeps its keys comes first: the fault is told of what was given.
        mine = sorted((each for each in known if each.owner == owner), key=lambda each: each.id in keys)
        for each in mine:
            for key in keys.get(each.id, each.keys):
                before = taken.setdefault(key, each.id)
                if before != each.id and each.id in keys:
                    yield each.id, f"{_short(key)!r} is the key of {before!r} on the same screen"


def _long(key: str) -> str:
    """A key as Textual calls it: "?" is "question_mark", "G" is "upper_g"."""
    modifiers = _MODIFIERS.match(key)
    begin = modifiers.end() if modifiers else 0
    name = key[begin:]
    if len(name) == 1:
        name = f"upper_{name.lower()}" if name.isupper() else _character_to_key(name)
    return key[:begin] + name


def _short(key: str) -> str:
    return key.removeprefix("upper_").upper() if key.startswith("upper_") else key


def _is_key(key: str) -> bool:
    modifiers = _MODIFIERS.match(key)
    name = key[modifiers.end() if modifiers else 0 :]
    return (
        name in _NAMES
        or bool(re.fullmatch(r"upper_[a-z]|[a-z0-9]|[a-z]+(_[a-z]+)+|f\d{1,2}", name))
        or (name in {"comma", "slash", "minus", "colon", "semicolon", "apostrophe", "period"})
    )


def _line_of(text: str, id_: str) -> int:
    """The line that a binding stands on, by its whole name or the last part of it."""
    last = id_.rpartition(".")[2]
    for wanted in (rf"\s*[\"']?{re.escape(id_)}[\"']?\s*=", rf"\s*[\"']?{re.escape(last)}[\"']?\s*="):
        for number, line in enumerate(text.splitlines(), 1):
            if re.match(wanted, line):
                return number
    return 0
