"""Which key a name means: that of a variable, and the one that was near a name that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from core.config.paths import Path, show
from core.config.tree import Entry, every_path
from core.errors import Fault, InputError

MAX_CANDIDATES = 5000
NEAR = 0.6
VERY_NEAR = 0.8


def match_variable(name: str, rest: str, below: Entry) -> Path:
    """The path that a variable names: without case, `__` between keys, `_` also for `-`.

    Raises InputError where no key or more than one fits.
    """
    found = list(_fitting(_folded(rest), below, ()))
    if len(found) == 1:
        return found[0]
    if found:
        told = f"{name} may mean {' or '.join(show(path) for path in found)}"
        raise InputError(name, faults=[Fault(name, 1, 1, told, "use --set, which takes the exact path")])
    near = _near_folded(_folded(rest), below)
    hint = f"did you mean {near}?" if near else "a variable sets a key that a layer below has; --set adds one"
    raise InputError(name, faults=[Fault(name, 1, 1, f"no key of the configuration fits {name}", hint)])


def path_of_variable(name: str, rest: str, below: Entry) -> Path:
    """The path that a variable of another program stands for: that of a key that is there, else a new one.

    `__` separates keys where the name has it, else `_` does. Raises InputError where several keys fit, or where the
    name leaves a key empty.
    """
    folded = _folded(rest)
    separator = "__" if "__" in folded else "_"
    found = list(dict.fromkeys(_fitting(folded, below, (), separator)))
    if len(found) > 1:
        told = f"{name} may mean {' or '.join(show(path) for path in found)}"
        raise InputError(told, hint="say which in a mapping file")
    if found:
        return found[0]
    path: Path = ()
    while below.kind == "mapping":
        heads = [key for key in below.items if _folded(key) and folded.startswith(_folded(key) + separator)]
        if not heads:
            break
        key = max(heads, key=len)
        folded = folded[len(key) + len(separator) :]
        path, below = (*path, key), below.items[key]
    parts = folded.split(separator)
    if not all(parts):
        raise InputError(f"{name} leaves a key without a name", hint="name its path in a mapping file")
    return (*path, *parts)


def near_path(path: Path, known: Iterable[Path]) -> str:
    """The written form of a path that is near another one, "" where none is."""
    candidates = []
    for candidate in known:
        candidates.append(show(candidate))
        if len(candidates) >= MAX_CANDIDATES:
            break
    wanted = show(path)
    folded = {candidate.lower(): candidate for candidate in reversed(candidates)}
    # Among the keys beside it a rough likeness will do; elsewhere paths are long and all look somewhat alike.
    beside = show(path[:-1]).lower() if len(path) > 1 else ""
    siblings = [each for each in folded if each.rpartition(".")[0] == beside]
    close = difflib.get_close_matches(
        wanted.lower(), siblings, n=1, cutoff=NEAR
    ) or difflib.get_close_matches(wanted.lower(), folded, n=1, cutoff=VERY_NEAR)
    return folded[close[0]] if close else ""


def _folded(text: str) -> str:
    return text.lower().replace("-", "_")


def _fitting(rest: str, entry: Entry, path: Path, separator: str = "__") -> Iterable[Path]:
    for key, child in entry.items.items():
        folded = _folded(key)
        if rest == folded:
            yield (*path, key)
        elif folded and rest.startswith(folded + separator):
            yield from _fitting(rest[len(folded) + len(separator) :], child, (*path, key), separator)


def _near_folded(rest: str, below: Entry) -> str:
    names: dict[str, str] = {}
    for path in every_path(below):
        if all(isinstance(part, str) for part in path):
            names["__".join(_folded(str(part)) for part in path)] = show(path)
        if len(names) >= MAX_CANDIDATES:
            break
    close = difflib.get_close_matches(rest, names, n=1)
    if not close:
        return ""
    return f"WINDLASS__{close[0].upper()} for {names[close[0]]}"
