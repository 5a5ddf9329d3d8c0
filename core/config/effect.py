"""What a text would come to that stands in place of a configuration file: its faults, and the values that change.

Nothing is written. The values are compared worked out, in one environment, and counted in
the others that use the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from core.config import paths
from core.config.check import all_faults
from core.config.compare import ABSENT, same
from core.config.load import ENVIRONMENTS, leaves
from core.config.open import given_here, open_config
from core.config.resolve import Resolver
from core.errors import Fault, InputError
from core.workspace.folder import Workspace

Servers = Callable[[], Mapping[str, Mapping[str, Any]]]

FAULTY = object()
"""What stands for a value that cannot be worked out."""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value of one environment. `before` and `after` may be ABSENT or FAULTY."""

    path: paths.Path
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Effect:
    """What a text comes to. `elsewhere` counts the changed values of each other environment that has any.

    `faults` are all that the configuration would have, `stops` those of them that are in the file or that were not
    there before: a text with one of these is not to be saved. Where the text cannot be read, or the configuration as it
    is, `readable` is False and no change is known.
    """

    changes: tuple[ValueChange, ...]
    elsewhere: Mapping[str, int]
    faults: tuple[Fault, ...]
    stops: tuple[Fault, ...]
    readable: bool = True


def environments_of(workspace: Workspace, file: str, at_hand: str = "") -> list[str]:
    """The environments that use a file, the one at hand first; "" stands for none where the workspace has none."""
    folder, _, name = file.rpartition("/")
    if folder == ENVIRONMENTS:
        return [name.removesuffix(".yaml")]
    known = [each.name for each in workspace.known_environments()]
    if at_hand in known:
        known.remove(at_hand)
        return [at_hand, *known]
    return known or [""]


def text_faults(
    workspace: Workspace, file: str, text: str | None, servers: Servers, at_hand: str = ""
) -> list[Fault]:
    """Everything wrong with the configuration where `text` stands for the file, in each environment that uses it.

    With None for the text, everything wrong with it as it is. Raises InputError for a workspace that cannot be read.
    """
    found: list[Fault] = []
    for name in environments_of(workspace, file, at_hand):
        told = _read(workspace, file, text, name, servers)[1]
        found += [fault for fault in told if fault not in found]
    return found


def effect_of(workspace: Workspace, file: str, text: str, servers: Servers, at_hand: str) -> Effect:
    """What saving a text as the file would change. Raises InputError for a workspace that cannot be read."""
    faults: list[Fault] = []
    known: list[Fault] = []
    elsewhere: dict[str, int] = {}
    changes: tuple[ValueChange, ...] = ()
    readable = True
    names = environments_of(workspace, file, at_hand)
    now = datetime.now(UTC)
    for name in [at_hand, *(name for name in names if name != at_hand)]:
        old, before = _read(workspace, file, None, name, servers, now)
        new, after = _read(workspace, file, text, name, servers, now)
        # What is wrong without an environment is no fault where each run names one.
        if name in names:
            known += before
            faults += [fault for fault in after if fault not in faults]
        found = _changes(old, new)
        if name == at_hand:
            changes = found
            readable = old is not None and new is not None
        elif found:
            elsewhere[name] = len(found)
    stops = tuple(fault for fault in faults if fault.file == file or fault not in known)
    return Effect(changes, elsewhere, tuple(faults), stops, readable)


def _read(
    workspace: Workspace,
    file: str,
    text: str | None,
    environment: str,
    servers: Servers,
    now: datetime | None = None,
) -> tuple[Resolver | None, list[Fault]]:
    given = given_here(environment)
    if text is not None:
        given = replace(given, replaced={file: text})
    try:
        resolver = open_config(workspace, given, servers=servers, now=now)
        return resolver, all_faults(resolver, workspace.path)
    except InputError as error:
        return None, list(error.faults) or [Fault(file, 0, 0, error.message, error.hint)]


def _changes(old: Resolver | None, new: Resolver | None) -> tuple[ValueChange, ...]:
    """What differs; nothing where a side cannot be read at all."""
    if old is None or new is None:
        return ()
    before, after = _values(old), _values(new)
    known = [*before, *(path for path in after if path not in before)]
    sides = ((path, before.get(path, ABSENT), after.get(path, ABSENT)) for path in known)
    return tuple(ValueChange(*each) for each in sides if not _alike(each[1], each[2]))


def _alike(left: Any, right: Any) -> bool:
    if left is FAULTY or right is FAULTY:
        return left is right
    return same(left, right)


def _values(resolver: Resolver) -> dict[paths.Path, Any]:
    found: dict[paths.Path, Any] = {}
    for path, _ in leaves(resolver.config):
        try:
            found[path] = resolver.value(path)
        except InputError:
            found[path] = FAULTY
    return found
