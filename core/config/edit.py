"""Changes of one value in the text of a configuration file, by its path: set, unset, append.

A change is made in the text where the value stands. The result is read again, and refused unless exactly that
path came to be different. What an alias or a merge key shares with other places is not changed by the way: the
places are told, and `Sharing` says what is meant.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from core.batch.yaml_source import Document
from core.batch.yaml_source import parse as parse_yaml
from core.config import paths
from core.config.compare import differences, same
from core.config.locate import evaluate, follow, locate, parent_of, spot
from core.config.matching import near_path
from core.config.paths import Path
from core.config.sources import LIMITS, NO_MAPPING, says_nothing
from core.config.splice import Splicer
from core.config.tree import Layer, every_path, from_node
from core.errors import Fault, InputError

SHOWN_PLACES = 8


class Sharing(Enum):
    """What becomes of a value that other places share."""

    REFUSE = "refuse"
    ALL = "all"  # it changes in all of them
    HERE = "here"  # this place gets a value of its own


@dataclass(frozen=True, slots=True)
class Edited:
    """A text and what became of it; `elsewhere` are the other paths that changed with it."""

    before: str
    after: str
    elsewhere: tuple[Path, ...] = ()


def set_value(text: str, file: str, path: Path, value: Any, sharing: Sharing = Sharing.REFUSE) -> Edited:
    """Sets a value; keys that are missing on the way are added. Raises InputError."""

    def on_text(splicer: Splicer) -> None:
        _set(splicer, file, path, value, here=sharing is Sharing.HERE)

    return _edited(text, file, path, sharing, on_text, lambda data: _put(data, path, value))


def append_value(text: str, file: str, path: Path, value: Any, sharing: Sharing = Sharing.REFUSE) -> Edited:
    """Adds a last entry to a list; one that is missing is made. Raises InputError."""

    def on_text(splicer: Splicer) -> None:
        found, rest = (None, path) if splicer.root is None else follow(splicer.root, path)
        if found is None or rest or (found.kind == "scalar" and found.value is None):
            _set(splicer, file, path, [value], here=False)
        elif found.kind == "sequence":
            splicer.append(found, value)
        else:
            raise InputError(f"{paths.show(path)} is no list in {file}")

    def on_data(data: Any) -> None:
        try:
            before = paths.look_up(data, path)
        except KeyError:
            before = None
        _put(data, path, [*(before or ()), value])

    return _edited(text, file, path, sharing, on_text, on_data)


def unset_value(text: str, file: str, path: Path, sharing: Sharing = Sharing.REFUSE) -> Edited:
    """Takes a key or an entry away. Raises InputError, also where the file has none."""

    def on_text(splicer: Splicer) -> None:
        around, rest = (None, path) if splicer.root is None else follow(splicer.root, path[:-1])
        found = None if around is None or rest else spot(around, path[-1])
        if found is None or splicer.root is None:
            raise _not_there(text, file, path)
        splicer.remove(found, parent_of(splicer.root, found.owner))

    def on_data(data: Any) -> None:
        del paths.look_up(data, path[:-1])[path[-1]]

    return _edited(text, file, path, sharing, on_text, on_data)


# ---------------------------------------------------------------- checked


def _edited(
    text: str,
    file: str,
    path: Path,
    sharing: Sharing,
    on_text: Callable[[Splicer], None],
    on_data: Callable[[Any], None],
) -> Edited:
    """Makes a change in the text, and in plain data, and compares the two."""
    body = text.removeprefix("\ufeff")
    document = _document(body, file)
    before = {} if document is None else document.data()
    splicer = Splicer(body, None if document is None else locate(body))
    on_text(splicer)
    wanted = copy.deepcopy(before)
    on_data(wanted)
    if same(before, wanted):
        return Edited(text, text)
    shown = paths.show(path)
    try:
        after = parse_yaml(splicer.text, file, LIMITS, merge_keys=True).data()
    except InputError as error:
        told = error.faults[0].message if error.faults else error.message
        raise _by_hand(shown, file, f"the file could not be read any more: {told}") from None
    result = text[: len(text) - len(body)] + splicer.text
    if same(after, wanted):
        return Edited(text, result)
    if not same(after, evaluate(splicer.root) if splicer.root is not None else {}):
        raise _by_hand(shown, file, "the text there has a form that only a person can change")
    elsewhere = tuple(difference.path for difference in differences(wanted, after, by_index=True))
    if sharing is not Sharing.ALL:
        raise _shared(document, file, path, elsewhere, sharing)
    return Edited(text, result, elsewhere)


def _document(body: str, file: str) -> Document | None:
    """The file as it is, None where it says nothing. Raises InputError with every fault."""
    if says_nothing(body):
        return None
    document = parse_yaml(body, file, LIMITS, merge_keys=True)
    root = document.root
    if root.kind == "scalar" and root.value is None:
        return None
    if root.kind != "mapping":
        raise InputError(file, faults=[Fault(file, root.line, root.column, NO_MAPPING)])
    return document


def _set(splicer: Splicer, file: str, path: Path, value: Any, *, here: bool) -> None:
    """Puts a value where it stands, or adds it with the keys that lead to it."""
    if splicer.root is None:
        splicer.begin(_keys(path, path, file), value)
        return
    around, found = splicer.root, None
    for depth, part in enumerate(path):
        nearer = spot(around, part)
        if nearer is not None:
            found, around = nearer, nearer.value
            continue
        rest = _keys(path[depth:], path, file)
        if around.real.kind == "mapping":
            splicer.add(around.real, rest, value)
        elif found is not None and around.real.kind == "scalar" and around.real.value is None:
            splicer.fill(found, rest, value)
        else:
            raise InputError(
                f"{paths.show(path[:depth])} is no mapping in {file}, so there can be no {paths.show(path)}",
                hint=f"set {paths.show(path[:depth])} as a whole",
            )
        return
    assert found is not None
    if here and found.value.target is not None:
        splicer.put_alias(found, value)
    elif here and found.around is not found.owner:
        splicer.add(found.around, [str(path[-1])], value)
    else:
        real = found.value.real
        splicer.put(real, value, parent_of(splicer.root, real))


def _keys(rest: Path, path: Path, file: str) -> list[str]:
    """The part of a path that is not there yet, which can only be keys. Raises InputError."""
    for part in rest:
        if isinstance(part, int):
            raise InputError(
                f"there is no {paths.show(path)} in {file}", hint="append adds an entry to a list"
            )
    return [str(part) for part in rest]


def _put(data: Any, path: Path, value: Any) -> None:
    """Sets a value in plain data, with the mappings that are missing on the way."""
    for part in path[:-1]:
        inner = data[part] if isinstance(part, int) else data.get(part)
        if inner is None:
            inner = data[part] = {}
        data = inner
    data[path[-1]] = value


# ---------------------------------------------------------------- refused


def _not_there(text: str, file: str, path: Path) -> InputError:
    document = _document(text.removeprefix("\ufeff"), file)
    known = [] if document is None else every_path(from_node(document.root, Layer.WORKSPACE, file))
    near = near_path(path, known)
    return InputError(
        f"there is no {paths.show(path)} in {file}", hint=f"did you mean {near}?" if near else ""
    )


def _by_hand(shown: str, file: str, why: str) -> InputError:
    return InputError(
        f"{shown} cannot be changed in place in {file}: {why}",
        hint=f"edit {file} by hand; nothing was changed",
    )


def _shared(
    document: Document | None, file: str, path: Path, elsewhere: tuple[Path, ...], sharing: Sharing
) -> InputError:
    shown = paths.show(path)
    faults = []
    for other in elsewhere[:SHOWN_PLACES]:
        line, column = document.at(*other) if document is not None else (0, 0)
        faults.append(Fault(file, line, column, f"{paths.show(other)} would change with it"))
    more = f"; {len(elsewhere) - SHOWN_PLACES} more would" if len(elsewhere) > SHOWN_PLACES else ""
    told = f"{shown} shares its value with other places through an alias or a merge key; nothing was changed{more}"
    if sharing is Sharing.HERE:
        hint = "only the alias, or the mapping that merges, can be given a value of its own: name that"
    else:
        hint = "say whether all of them change (--everywhere), or this place gets a value of its own (--here)"
    return InputError(told, hint=hint, faults=faults)
