"""The configuration as its screen shows it: read, explained, edited and taken back. No widget is touched here.

`read`, `preview`, `save` and `take_back` open files and work templates out: call them off the interface's thread.
Values are plain text of one line, not yet display text; a secret is its marker.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from core.batch.yaml_source import Document
from core.config import paths
from core.config.check import all_faults
from core.config.compare import ABSENT, differences, same
from core.config.edit import Edited, set_value
from core.config.files import Change, change_file, file_of, history, revert
from core.config.load import Config, Link, leaves
from core.config.open import given_here, open_config
from core.config.render import one_line, yaml_lines
from core.config.resolve import Resolver
from core.config.settings import AppSettings, read_settings
from core.config.sources import parse_value, read_text
from core.config.tree import Entry, Layer
from core.engine.protection import check_changeable
from core.errors import Fault, InputError
from core.workspace.folder import Workspace
from core.workspace.settings import Protection

Servers = Callable[[], Mapping[str, Mapping[str, Any]]]

REVERT = "revert "
"""How the history names an edit that takes another one back: with that one's number."""


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """One effective value, in one line and in its own `lines`. `origin` is FILE:LINE:COLUMN; `fault` is why there
    is no value.
    """

    path: paths.Path
    shown: str
    value: str
    layer: Layer
    origin: str
    place: str
    lines: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look at the configuration found. Without `resolver` it could not be read: `faults` say why."""

    environment: str
    environments: tuple[str, ...]
    rows: tuple[ConfigRow, ...] = ()
    faults: tuple[Fault, ...] = ()
    resolver: Resolver | None = None
    production: bool = False
    read_only: bool = False
    undoable: Change | None = None

    @property
    def config(self) -> Config | None:
        """The merged layers; None where they could not be read."""
        return None if self.resolver is None else self.resolver.config

    @property
    def only_defaults(self) -> bool:
        """True where nobody has written any value yet."""
        return self.resolver is not None and all(row.layer is Layer.DEFAULTS for row in self.rows)


def read(folder: FilePath, environment: str, servers: Servers) -> Reading:
    """Reads everything; faults of the workspace and of the configuration are in the result, not raised."""
    try:
        workspace = Workspace.load(folder)
    except InputError as error:
        return Reading(environment, (), faults=_faults(error))
    known = tuple(each.name for each in workspace.known_environments())
    found = Reading(
        environment,
        known,
        production=workspace.protection_of(environment) is Protection.PRODUCTION,
        read_only=workspace.read_only,
        undoable=newest_in_force(history(workspace)),
    )
    try:
        resolver = open_config(workspace, given_here(environment), servers=servers)
        rows = [_row(resolver, path, entry) for path, entry in leaves(resolver.config)]
        rows.sort(key=lambda row: row.layer is Layer.DEFAULTS)  # what nobody wrote comes last
        faults = tuple(all_faults(resolver, folder))
    except InputError as error:
        return replace(found, faults=_faults(error))
    return replace(found, rows=tuple(rows), faults=faults, resolver=resolver)


def _faults(error: InputError) -> tuple[Fault, ...]:
    return error.faults or (Fault("configuration", 0, 0, error.message, error.hint),)


def _row(resolver: Resolver, path: paths.Path, entry: Entry) -> ConfigRow:
    value, fault = "", ""
    lines: tuple[str, ...] = ()
    try:
        found = resolver.value(path)
        value = one_line(found)
        many = isinstance(found, str) and "\n" in found.removesuffix("\n")
        lines = tuple(yaml_lines(found)) if many else (value,)
    except InputError as error:
        fault = error.faults[0].message if error.faults else error.message
    origin = entry.origin
    place = origin.file.rpartition("/")[2]
    if origin.layer in {Layer.USER, Layer.WORKSPACE, Layer.ENVIRONMENT}:
        place += f":{origin.line}"
    return ConfigRow(path, paths.show(path), value, origin.layer, str(origin), place, lines, fault)


def fits(row: ConfigRow, find: str) -> bool:
    """True where every word of a filter is in the path or in the value."""
    text = f"{row.shown}\n{row.value}".lower()
    return all(word in text for word in find.lower().split())


# ---------------------------------------------------------------- where a value comes from


def role_of(chain: Sequence[Link], index: int) -> str:
    """What one layer of a chain means for the value."""
    link = chain[index]
    if link.hides is not None:
        return f"{paths.show(link.hides)} hides what lies below"
    return "counts" if index == 0 else "overridden"


def written(entry: Entry) -> str:
    """What a layer says, as it is written there: templates are not worked out."""
    if entry.kind == "mapping" and entry.items:
        count = len(entry.items)
        return f"mapping of {count} key{'' if count == 1 else 's'}"
    return one_line(entry.data())


# ---------------------------------------------------------------- editing


@dataclass(frozen=True, slots=True)
class Preview:
    """An edit that is not saved: the file's text before and after it, and what it comes to.

    `changes` are (path, value before, value after) in one environment, worked out. `diff` has the lines of the
    file, `faults` are those that the configuration would have.
    """

    file: str
    path: paths.Path
    value: Any
    before: str
    after: str
    changes: tuple[tuple[str, str, str], ...]
    diff: tuple[str, ...]
    faults: tuple[Fault, ...]


def as_input(value: Any) -> str:
    """A value in one line that `from_input` reads as just that value."""
    for text in (one_line(value), json.dumps(value, ensure_ascii=False)):
        visible = "".join(char if char.isprintable() else _escaped(char) for char in text)
        try:
            if same(from_input(visible), value):
                return visible
        except InputError:
            continue
    return json.dumps(value)


def _escaped(char: str) -> str:
    """As text in quotes writes it: nothing that a terminal obeys gets into the field."""
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def from_input(text: str) -> Any:
    """What was typed, read as YAML. Raises InputError with every fault."""
    return Document(parse_value(text, "value"), text, "value").data()


def text_in_layer(reading: Reading, row: ConfigRow, layer: Layer) -> str:
    """What stands in a layer for a value, as one would type it; what counts where the layer has none of its own."""
    assert reading.config is not None
    chain = [link for link in reading.config.chain(row.path) if link.hides is None]
    own = next((link.entry for link in chain if link.entry.origin.layer is layer), None)
    entry = own or reading.config.find(row.path)
    return as_input(None if entry is None else entry.data())


def preview(
    folder: FilePath, environment: str, layer: Layer, path: paths.Path, typed: str, servers: Servers
) -> Preview:
    """What an edit would change. Raises InputError where it is refused, NotPossible in a read-only workspace."""
    workspace = _changeable(folder)
    file = file_of(workspace, environment if layer is Layer.ENVIRONMENT else "")
    value = from_input(typed)
    before = read_text(folder / file, file) or ""
    edited = set_value(before, file, path, value)
    given = given_here(environment)
    old = open_config(workspace, given, servers=servers)
    new = open_config(workspace, replace(given, replaced={file: edited.after}), servers=servers)
    return Preview(
        file,
        path,
        value,
        before,
        edited.after,
        _compared(old, new),
        _diff(before, edited.after),
        tuple(all_faults(new, folder)),
    )


def save(folder: FilePath, seen: Preview, actor: str, keep: int) -> Change | None:
    """Writes what was looked at; None where nothing differs. Raises InputError, NotPossible."""

    def edit(text: str) -> Edited:
        if text != seen.before:
            raise InputError(
                f"{seen.file} has changed since it was looked at; nothing was written",
                hint="look at it again",
            )
        return Edited(seen.before, seen.after)

    _, change = change_file(
        _changeable(folder),
        seen.file,
        edit,
        actor=actor,
        action="set",
        path=paths.show(seen.path),
        keep=keep,
    )
    return change


def kept_edits(reading: Reading) -> int:
    """How many edits are kept: the setting, or its default where the configuration cannot be read."""
    if reading.config is None:
        return AppSettings().history
    return read_settings(reading.config.root).history


def newest_in_force(changes: Sequence[Change]) -> Change | None:
    """The newest edit that nobody has taken back; `changes` are newest first."""
    undone: set[int] = set()
    for change in changes:
        if change.number in undone:
            continue
        number = change.action.removeprefix(REVERT)
        if change.action.startswith(REVERT) and number.isdecimal():
            undone.add(int(number))
        else:
            return change
    return None


def take_back(folder: FilePath, number: int, actor: str, keep: int) -> Change:
    """Reverts an edit. Raises InputError, NotPossible: the file has changed since."""
    return revert(_changeable(folder), number, actor=actor, keep=keep)


def diff_back(change: Change) -> tuple[str, ...]:
    """What taking an edit back changes in its file."""
    return _diff(change.after, change.before or "")


def _diff(before: str, after: str) -> tuple[str, ...]:
    found: list[str] = []
    hunks = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    for line in list(hunks)[2:]:  # without the two lines that name the file
        if not line.startswith("@@"):
            found.append(line)
        elif found:
            found.append("...")
    return tuple(found)


def _changeable(folder: FilePath) -> Workspace:
    workspace = Workspace.load(folder)
    check_changeable(workspace)
    return workspace


def _compared(old: Resolver, new: Resolver) -> tuple[tuple[str, str, str], ...]:
    before, after = _values(old), _values(new)
    known = [*before, *(path for path in after if path not in before)]
    found = []
    for path in known:
        left, right = before.get(path, ABSENT), after.get(path, ABSENT)
        if any(True for _ in differences(left, right)):
            found.append((paths.show(path), _told(left), _told(right)))
    return tuple(found)


def _values(resolver: Resolver) -> dict[paths.Path, Any]:
    found: dict[paths.Path, Any] = {}
    for path, _ in leaves(resolver.config):
        try:
            found[path] = resolver.value(path)
        except InputError:
            found[path] = _FAULTY
    return found


_FAULTY = object()
"""What stands for a value that cannot be worked out."""


def _told(value: Any) -> str:
    if value is ABSENT:
        return "not there"
    return "cannot be worked out" if value is _FAULTY else one_line(value)
