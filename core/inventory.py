"""The servers of a workspace: every `servers/*.yaml`, each read by the provider that it names.

Faults of all files are told together. A provider that cannot answer becomes a note, and the servers of
the others stay usable. Names are unique over the whole workspace, whatever their case.
"""

from __future__ import annotations

import asyncio
import difflib
import os
import pickle
import stat
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.batch.yaml_source import Limits, Node, parse
from core.errors import Fault, InputError, ProviderError
from core.model.names import refuse_group_name, refuse_label_key, refuse_label_value, refuse_server_name
from providers import registry
from providers.base import Provider, ProviderContext, Server, SettingsPath

SERVERS_FOLDER = "servers"
PROVIDERS_FOLDER = "providers"
MAX_FILES = 1000
MAX_FILE_BYTES = 4 * 1024 * 1024
PACKING = 1
"""How hard what was parsed is packed: hardly."""
SETTLED_NS = 1_000_000_000
"""A file that changed a shorter time ago may change again within the grain of its time: it is read again."""


Stamp = tuple[int, ...]
"""Which file it is, how large, and when it was changed last."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What was parsed of a settings file, packed: as objects it takes more memory than the servers. `stamp` tells
    whether it is still the same file, `line` where its provider is named.
    """

    stamp: Stamp
    packed: bytes
    line: int

    @classmethod
    def pack(cls, stamp: Stamp, context: ProviderContext) -> SettingsFile:
        """Packs what a provider was given."""
        parsed = pickle.dumps((context.settings, context.positions), pickle.HIGHEST_PROTOCOL)
        return cls(stamp, zlib.compress(parsed, PACKING), context.at("provider")[0])

    def unpack(self) -> tuple[Mapping[str, Any], Mapping[SettingsPath, tuple[int, int]]]:
        """Settings and positions, as they were."""
        settings, positions = pickle.loads(zlib.decompress(self.packed))  # noqa: S301  (packed by this process)
        return settings, positions


@dataclass(frozen=True, slots=True)
class Source:
    """One settings file with its provider and the servers that it gave; `note` says why it gave none. `read` is what
    was read of it; `listed` is when its provider was asked, as wall time, and `took_s` how long that took.
    """

    file: str
    provider: Provider
    servers: Sequence[Server]
    note: str = ""
    read: SettingsFile | None = None
    listed: float = 0.0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Faulty:
    """A settings file that gives no servers, because of its faults; `context` is None where it could not be read."""

    file: str
    faults: Sequence[Fault]
    context: ProviderContext | None = None


class Inventory:
    """The servers of one workspace as its providers described them when it was loaded."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources
        self.servers: Sequence[Server] = tuple(server for source in sources for server in source.servers)
        self.by_name: Mapping[str, Server] = {server.name: server for server in self.servers}
        self.notes: Sequence[str] = tuple(source.note for source in sources if source.note)

    @classmethod
    async def load(cls, workspace: Path, state_dir: Path, before: Inventory | None = None) -> Inventory:
        """Reads every settings file and asks its provider. Raises InputError with the faults of all files.

        A file that is as it was for the inventory `before` is not parsed again; its provider is asked all the same.
        """
        found = await survey(workspace, state_dir, before)
        sources = [each for each in found if isinstance(each, Source)]
        faults = [fault for each in found if isinstance(each, Faulty) for fault in each.faults]
        if not faults:
            faults = [fault for _, fault in check(sources)]
        if faults:
            for source in sources:
                await source.provider.close()
            count = len(faults)
            raise InputError(f"the servers have {count} fault{'s' if count > 1 else ''}", faults=faults)
        return cls(sources)

    async def start(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Starts the named servers; without names every one whose provider starts servers.

        Returns what of them runs now. Raises InputError for unknown names, ProviderError where a provider
        cannot; the others are asked all the same.
        """
        return await self._each(names, "start")

    async def stop(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Stops the named servers with what was started on them; without names every one that can be stopped.

        Returns what was stopped. Raises as `start` does.
        """
        return await self._each(names, "stop")

    async def close(self) -> None:
        """Lets the providers go; servers go on."""
        for source in self.sources:
            await source.provider.close()

    async def _each(self, names: Sequence[str], verb: str) -> Sequence[str]:
        chosen = self._by_source(names) if names else self._startable(verb)
        done: list[str] = []
        failures: list[ProviderError] = []
        for source, theirs in chosen:
            act = source.provider.start if verb == "start" else source.provider.stop
            try:
                done += await act(theirs)
            except ProviderError as error:
                failures.append(error)
        if failures:
            message = "; ".join(error.message for error in failures)
            hints = dict.fromkeys(error.hint for error in failures if error.hint)
            raise ProviderError(message, hint="\n".join(hints))
        if names or verb == "stop":
            return list(dict.fromkeys(done))
        wanted = {server.name for source, _ in chosen for server in source.servers}
        return [name for name in dict.fromkeys(done) if name in wanted]

    def _by_source(self, names: Sequence[str]) -> list[tuple[Source, list[str]]]:
        owner = {server.name: source for source in self.sources for server in source.servers}
        unknown = [name for name in dict.fromkeys(names) if name not in owner]
        if unknown:
            raise InputError(
                "\n".join(f"there is no server '{name}'{_meant(name, owner)}" for name in unknown),
                hint="\n".join(self.notes),
            )
        return [
            (source, theirs)
            for source in self.sources
            if (theirs := [name for name in dict.fromkeys(names) if owner[name] is source])
        ]

    def _startable(self, verb: str) -> list[tuple[Source, list[str]]]:
        able: list[tuple[Source, list[str]]] = []
        for source in self.sources:
            if source.provider.starts_servers:
                able.append((source, []))
        if not able and self.sources:
            raise ProviderError(f"no provider of this workspace can {verb} servers")
        return able


# ---------------------------------------------------------------- reading


async def survey(
    workspace: Path, state_dir: Path, before: Inventory | None = None
) -> Sequence[Source | Faulty]:
    """Every settings file by name, with what its provider lists or what is wrong with it. Whoever asks closes the
    providers. A file that is as it was for the inventory `before` is not parsed again.
    """
    known = {source.file: source for source in before.sources} if before else {}
    found: list[Source | Faulty] = []
    for file in await asyncio.to_thread(_settings_files, workspace):
        shown = _shown(workspace, file)
        context = None
        try:
            source = known.get(shown)
            before_it = source.read if source is not None else None
            context, read = await asyncio.to_thread(_context, workspace, state_dir, file, before_it)
            found.append(await _ask(context, read))
        except InputError as error:
            faults = error.faults or (Fault(shown, 0, 0, error.message, error.hint),)
            found.append(Faulty(shown, faults, context))
    return found


def read_settings_file(
    workspace: Path, file: Path
) -> tuple[Mapping[str, Any], Mapping[SettingsPath, tuple[int, int]]]:
    """The parsed content of a settings file and where its keys and entries stand (from 1).

    Raises InputError with every fault of the YAML.
    """
    shown = _shown(workspace, file)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe must not block
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InputError(f"{shown} is not a regular file")
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown} cannot be read: {error.strerror or error}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise InputError(f"{shown} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise InputError(shown, faults=[Fault(shown, line, column, "this byte is no UTF-8 text")]) from None
    document = parse(text, shown, Limits(max_bytes=MAX_FILE_BYTES))
    root = document.root
    if root.kind != "mapping":
        why = "the settings of a provider are a mapping that begins with `provider:`"
        raise InputError(shown, faults=[Fault(shown, root.line, root.column, why)])
    return document.data(), dict(_positions(root))


def _positions(node: Node, path: SettingsPath = ()) -> Iterator[tuple[SettingsPath, tuple[int, int]]]:
    """Where each key and list entry stands; as deep as the parser's cap on depth."""
    if not path:
        yield path, (node.line, node.column)
    for key, child in node.items.items():
        yield (*path, key), node.keys[key]
        yield from _positions(child, (*path, key))
    for index, child in enumerate(node.entries):
        yield (*path, index), (child.line, child.column)
        yield from _positions(child, (*path, index))


def _settings_files(workspace: Path) -> list[Path]:
    """The settings files by name. A link that leads out of the workspace is refused."""
    folder = workspace / SERVERS_FOLDER
    files = sorted(
        path
        for path in folder.glob("*.y*ml")
        if path.suffix in (".yaml", ".yml") and not path.name.startswith(".")
    )
    if len(files) > MAX_FILES:
        raise InputError(f"{folder} holds {len(files)} files; at most {MAX_FILES} are read")
    return files


def _context(
    workspace: Path, state_dir: Path, file: Path, before: SettingsFile | None
) -> tuple[ProviderContext, SettingsFile]:
    shown = _shown(workspace, file)
    if not file.resolve().is_relative_to(workspace.resolve()):
        raise InputError(f"{shown} is a link that leads out of the workspace")
    stamp = _stamp(file)
    same = before is not None and before.stamp == stamp
    settings, positions = before.unpack() if before and same else read_settings_file(workspace, file)
    line, column = positions.get(("provider",), (1, 1))
    name = settings.get("provider")
    if name is None:
        why = f"`provider` is missing (one of: {', '.join(registry.MODULES)})"
    elif not isinstance(name, str):
        why = "`provider` is the name of a provider"
    else:
        why = registry.refuse_provider(name)
    if why:
        raise InputError(shown, faults=[Fault(shown, line, column, why)])
    context = ProviderContext(
        workspace=workspace,
        state_dir=state_dir / PROVIDERS_FOLDER / str(name),
        settings_file=file,
        settings=settings,
        positions=positions,
    )
    return context, before if before and same else SettingsFile.pack(stamp, context)


def _stamp(file: Path) -> Stamp:
    """As of now; of a file that is not there, or that changed in this very moment, one that no other is like."""
    try:
        found = file.stat()
    except OSError:
        return (time.monotonic_ns(),)
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    fresh = time.monotonic_ns() if abs(time.time_ns() - changed) < SETTLED_NS else 0
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, fresh)


async def _ask(context: ProviderContext, read: SettingsFile) -> Source:
    name = str(context.settings["provider"])
    factory = await asyncio.to_thread(registry.load, name)
    provider = factory(context)
    listed, began = time.time(), time.monotonic()
    try:
        servers, note = tuple(await provider.list()), ""
    except ProviderError as error:
        servers, note = (), f"{context.file}: {error}"
    except BaseException:
        await provider.close()
        raise
    took_s = time.monotonic() - began
    return Source(context.file, provider, servers, note, read, listed, took_s)


# ---------------------------------------------------------------- checking


def check(sources: Sequence[Source]) -> list[tuple[str, Fault]]:
    """What no provider can see alone: names used twice, and names that break the rules; each with the settings file."""
    faults: list[tuple[str, Fault]] = []
    first: dict[str, Server] = {}
    for source in sources:
        for server in source.servers:
            faults += [(source.file, _at(server, why)) for why in _refuse(server)]
            other = first.setdefault(server.name.lower(), server)
            if other is server:
                continue
            if other.name == server.name:
                told = _at(server, f"the server '{server.name}' is there already: {other.source}")
                faults.append((source.file, told))
            else:
                why = f"'{server.name}' and '{other.name}' ({other.source}) differ in case only"
                told = _at(server, why, "rename one: on some file systems they are the same")
                faults.append((source.file, told))
    return faults


def _refuse(server: Server) -> list[str]:
    found = [refuse_server_name(server.name), *(refuse_group_name(group) for group in server.groups)]
    for key, value in server.labels.items():
        found += [refuse_label_key(key), refuse_label_value(value)]
    return [why for why in found if why]


def _at(server: Server, message: str, hint: str = "") -> Fault:
    file, _, line = server.source.rpartition(":")
    return Fault(file or server.source, int(line) if line.isdigit() else 0, 1, message, hint)


def _meant(word: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _shown(workspace: Path, file: Path) -> str:
    return str(file.relative_to(workspace)) if file.is_relative_to(workspace) else str(file)
