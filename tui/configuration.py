"""The configuration as its screen shows it: read, with where each value comes from. No widget is touched here.

`read` opens files and works templates out: call it off the interface's thread. Values are plain text of one line, not
yet display text; a secret is its marker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from core.config import paths
from core.config.check import all_faults
from core.config.files import Change, history
from core.config.load import Config, Link, leaves
from core.config.open import given_here, open_config
from core.config.render import one_line, yaml_lines
from core.config.resolve import Resolver
from core.config.tree import Entry, Layer
from core.engine.api import Engine
from core.engine.contexts import servers_data
from core.engine.protection import name_for_edit
from core.errors import Fault, InputError, WindlassError
from core.workspace.folder import Workspace
from core.workspace.settings import Protection
from tui.overview import Standing

Servers = Callable[[], Mapping[str, Mapping[str, Any]]]

SERVERS_S = 20.0
"""How long a value may wait for the servers that it refers to."""
STANDINGS = 8
"""Of so many environments at most it is looked how they stand."""
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
    """What one look at the configuration found. Without `resolver` it could not be read: `faults` say why.

    `undoable` is the edit that may be taken back; `confirm_undo` the name that must be typed for that.
    """

    environment: str
    environments: tuple[str, ...]
    rows: tuple[ConfigRow, ...] = ()
    faults: tuple[Fault, ...] = ()
    resolver: Resolver | None = None
    production: bool = False
    read_only: bool = False
    undoable: Change | None = None
    confirm_undo: str = ""

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
    undoable = newest_in_force(history(workspace))
    found = Reading(
        environment,
        known,
        production=workspace.protection_of(environment) is Protection.PRODUCTION,
        read_only=workspace.read_only,
        undoable=undoable,
        confirm_undo=name_for_edit(workspace, undoable.file) if undoable is not None else "",
    )
    try:
        resolver = open_config(workspace, given_here(environment), servers=servers)
        rows = [_row(resolver, path, entry) for path, entry in leaves(resolver.config)]
        rows.sort(key=lambda row: row.layer is Layer.DEFAULTS)  # what nobody wrote comes last
        faults = tuple(all_faults(resolver, folder))
    except InputError as error:
        return replace(found, faults=_faults(error))
    return replace(found, rows=tuple(rows), faults=faults, resolver=resolver)


def servers_of(engine: Engine) -> Servers:
    """The servers as templates see them, asked for from the reading thread. To be called in the interface's loop."""
    loop = asyncio.get_running_loop()

    async def ask() -> Mapping[str, Mapping[str, Any]]:
        return servers_data(await engine.servers())

    def servers() -> Mapping[str, Mapping[str, Any]]:
        asked = asyncio.run_coroutine_threadsafe(ask(), loop)
        try:
            return asked.result(SERVERS_S)
        except TimeoutError:
            asked.cancel()
            raise InputError(f"the servers were not told within {SERVERS_S:.0f} s") from None
        except InputError:
            raise
        except WindlassError as error:
            raise InputError(error.message, hint=error.hint) from error

    return servers


def standings(folder: FilePath, servers: Servers) -> list[Standing]:
    """How the configuration stands in each environment; where there is none, without one."""
    try:
        workspace = Workspace.load(folder)
    except InputError as error:
        return [Standing("", {}, _faults(error))]
    known: list[Mapping[str, Mapping[str, Any]]] = []

    def once() -> Mapping[str, Mapping[str, Any]]:
        if not known:
            known.append(servers())
        return known[0]

    names = [each.name for each in workspace.known_environments()] or [""]
    return [_standing(read(folder, name, once)) for name in names[:STANDINGS]]


def stamp(folder: FilePath) -> tuple[tuple[str, int, int], ...]:
    """Tells whether a file was changed that the configuration comes from."""
    globs = ("workspace.yaml", "config/*.yaml", "config/environments/*.yaml", "servers/*.y*ml")
    found = []
    for file in sorted(file for glob in globs for file in folder.glob(glob)):
        try:
            status = file.stat()
        except OSError:
            continue
        found.append((str(file), status.st_mtime_ns, status.st_size))
    return tuple(found)


def _standing(reading: Reading) -> Standing:
    counts = Counter(row.layer for row in reading.rows)
    layers = {layer.value: counts[layer] for layer in Layer if counts[layer]}
    return Standing(reading.environment, layers, reading.faults)


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


# ---------------------------------------------------------------- edits that were made


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
