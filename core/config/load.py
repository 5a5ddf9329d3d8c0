"""The configuration of a workspace in one environment: its layers, put over each other.

Later wins: the application's own defaults, the user's file, the workspace (`config/base.yaml`), the environment
(`config/environments/NAME.yaml`), variables `WINDLASS__SECTION__KEY`, `--set`. Every fault of all layers is told at
once. Nothing here works templates out: `core.config.resolve` does.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from core.config import paths
from core.config.matching import near_path
from core.config.settings import application_defaults, settings_faults
from core.config.sources import file_layer, option_layer, text_layer, variable_layers
from core.config.tree import Entry, Layer, Origin, every_path, merge, walk
from core.errors import Fault, InputError
from core.model.names import refuse_environment_name

BASE = "config/base.yaml"
ENVIRONMENTS = "config/environments"
EMPTY = Origin(Layer.WORKSPACE, BASE)


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line and the process say about the configuration.

    `user_file` is the user's own file, None for none. `settings` are `--set`, `texts` are `--set-string`, each
    as PATH=VALUE; the texts go over the settings. `replaced` are texts that stand in for those of files, by the
    names of the files from the workspace's folder.
    """

    environment: str = ""
    settings: Sequence[str] = ()
    texts: Sequence[str] = ()
    environ: Mapping[str, str] = field(default_factory=dict)
    user_file: FilePath | None = None
    replaced: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """What one layer says about a value: the value there, or something above it that hides what lies below.

    `hides` is the path of that something, None where the entry is the value itself.
    """

    entry: Entry
    hides: paths.Path | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """The effective configuration. `layers` are lowest first, `places` what was looked at, highest first."""

    environment: str
    layers: tuple[Entry, ...]
    root: Entry
    places: tuple[str, ...]
    notices: tuple[str, ...] = ()

    def find(self, path: paths.Path) -> Entry | None:
        """The value as it was written, None where there is none. Templates are not looked into."""
        entry: Entry | None = self.root
        for part in path:
            entry = entry.child(part) if entry is not None else None
        return entry

    def chain(self, path: paths.Path) -> list[Link]:
        """What the layers say about a value, the one that counts first.

        A mapping has one link for each layer that has keys of it.
        """
        found = []
        for layer in reversed(self.layers):
            link = _link(layer, path)
            if link is not None:
                found.append(link)
        return found

    def missing(self, path: paths.Path) -> tuple[str, str]:
        """Why there is no value at a path, as a message and a hint."""
        for length in range(1, len(path)):
            around = self.find(path[:length])
            if around is None:
                break
            if around.kind == "sequence" and around.child(path[length]) is None:
                name, count = paths.show(path[:length]), len(around.entries)
                there = (
                    f"its entries are {name}[0] to {name}[{count - 1}]"
                    if count > 1
                    else f"its entry is {name}[0]"
                )
                told = f"there is no {paths.show(path)}: {name} is a list of {count}"
                return (
                    told,
                    f"{there}, written at {around.origin}" if count else f"written at {around.origin}",
                )
            if around.kind == "scalar":
                kind = "null, which hides what lies below it" if around.value is None else "a single value"
                told = f"there is no {paths.show(path)}: {paths.show(path[:length])} is {kind}"
                return told, f"written at {around.origin}"
        near = near_path(path, every_path(self.root))
        hint = f"did you mean {near}?" if near else "write it into one of them"
        return f"there is no value for {paths.show(path)}; looked at {', '.join(self.places)}", hint


def load_config(workspace: FilePath, given: Given) -> Config:
    """Reads and merges every layer. Raises InputError with the faults of all of them."""
    faults: list[Fault] = []
    layers: list[Entry] = [application_defaults()]
    places: list[str] = []
    for file, shown, layer in _files(workspace, given, faults):
        places.append(shown if file.is_file() else f"{shown} (not there)")
        try:
            inside = _inside(file, shown, workspace, layer)
            text = given.replaced.get(shown) if layer is not Layer.USER else None
            if text is not None:
                entry = text_layer(text, shown, layer)
            else:
                entry = file_layer(inside, shown, layer, None if layer is Layer.USER else workspace)
        except InputError as error:
            faults += error.faults or [Fault(shown, 0, 0, error.message, error.hint)]
            continue
        if entry is not None:
            layers.append(entry)
    notices: list[str] = []
    if not faults:  # else a key may be missing only because its file cannot be read
        layers += variable_layers(given.environ, _merged(layers), faults)
        layers += _options(given, _merged(layers), faults, notices)
    root = _merged(layers)
    if not faults:
        faults += settings_faults(root)
    if faults:
        count = len(faults)
        raise InputError(f"the configuration has {count} fault{'s' if count > 1 else ''}", faults=faults)
    places += ["variables WINDLASS__…", "--set"]
    return Config(given.environment, tuple(layers), root, tuple(reversed(places)), tuple(notices))


def environment_names(workspace: FilePath) -> list[str]:
    """The environments that a workspace has."""
    try:
        return sorted(path.stem for path in (workspace / ENVIRONMENTS).glob("*.yaml") if path.is_file())
    except OSError:
        return []


def environment_file(workspace: FilePath, name: str) -> FilePath:
    """The file of an environment. Raises InputError, with a near name, where there is none."""
    why = refuse_environment_name(name)
    if why:
        raise InputError(f"{name!r} names no environment: {why}")
    file = workspace / ENVIRONMENTS / f"{name}.yaml"
    if not file.is_file():
        known = environment_names(workspace)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"there are: {', '.join(known)}" if known else f"write {ENVIRONMENTS}/{name}.yaml"
        raise InputError(
            f"there is no environment '{name}'", hint=f"did you mean '{close[0]}'?" if close else hint
        )
    return file


def _files(workspace: FilePath, given: Given, faults: list[Fault]) -> Iterator[tuple[FilePath, str, Layer]]:
    if given.user_file is not None:
        yield given.user_file, str(given.user_file), Layer.USER
    yield workspace / BASE, BASE, Layer.WORKSPACE
    if given.environment:
        shown = f"{ENVIRONMENTS}/{given.environment}.yaml"
        try:
            yield environment_file(workspace, given.environment), shown, Layer.ENVIRONMENT
        except InputError as error:
            faults.append(Fault(shown, 0, 0, error.message, error.hint))


def _inside(file: FilePath, shown: str, workspace: FilePath, layer: Layer) -> FilePath:
    """The file, unless it is a link that leads out of the workspace. Raises InputError."""
    if layer is not Layer.USER and not file.resolve().is_relative_to(workspace.resolve()):
        raise InputError(f"{shown} is a link that leads out of the workspace")
    return file


def _options(given: Given, below: Entry, faults: list[Fault], notices: list[str]) -> list[Entry]:
    found = []
    known = set(every_path(below))
    options = [(text, "--set", False) for text in given.settings]
    options += [(text, "--set-string", True) for text in given.texts]
    for text, option, literal in options:
        try:
            entry = option_layer(text, option, literal=literal)
        except InputError as error:
            faults += error.faults
            continue
        found.append(entry)
        path = paths.parse(text.partition("=")[0].strip())
        near = near_path(path, known) if path not in known else ""
        if near:
            notices.append(f"{option} {paths.show(path)}: no other layer has this key; {near} is near")
    return found


def _merged(layers: Sequence[Entry]) -> Entry:
    root = Entry("mapping", EMPTY)
    for layer in layers:
        root = merge(root, layer)
    if root.origin.layer is Layer.DEFAULTS:  # no file says anything: what is missing is missing from the base
        root.origin = EMPTY
    return root


def _link(layer: Entry, path: paths.Path) -> Link | None:
    entry = layer
    for depth, part in enumerate(path):
        child = entry.child(part)
        if child is None:
            return Link(entry, path[:depth]) if entry.kind != "mapping" else None
        entry = child
    return Link(entry)


def leaves(config: Config, path: paths.Path = ()) -> list[tuple[paths.Path, Entry]]:
    """Every single value at or below a path, with its own path."""
    entry = config.find(path)
    return [] if entry is None else [(found, leaf) for found, leaf in walk(entry, path) if found]
