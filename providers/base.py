"""The contract between the engine and whatever knows servers.

A provider lists the servers of one workspace and says how to reach each over SSH. It never opens an
SSH connection itself. Providers are small and async; a provider that cannot answer raises
`ProviderError` and the servers of the others stay usable. `providers.testing` holds the conformance
suite that every provider passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from core.errors import Fault, InputError, ProviderError
from core.model.names import (
    refuse_group_name,
    refuse_label_key,
    refuse_label_value,
    refuse_server_name,
)

__all__ = [
    "Fault",
    "InputError",
    "Provider",
    "ProviderContext",
    "ProviderError",
    "ProviderFactory",
    "Server",
    "ServerState",
    "SettingsPath",
    "SshTarget",
    "refuse_group_name",
    "refuse_label_key",
    "refuse_label_value",
    "refuse_server_name",
]

SettingsPath = tuple[str | int, ...]
"""Where something stands in a settings file: mapping keys and list indexes from the top."""


class ServerState(StrEnum):
    """What the provider knows of a server without connecting to it."""

    UNKNOWN = "unknown"
    STARTED = "started"
    STOPPED = "stopped"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class SshTarget:
    """How to reach a server over SSH.

    `host_keys` are public keys in OpenSSH's one-line form ("ssh-ed25519 AAAA…") that the provider
    vouches for: when given, no known_hosts file is asked. `ssh_config` is an OpenSSH client
    configuration file to honour (None: the user's own `~/.ssh/config`; empty path: none at all) and
    `ssh_alias` the host name to look up in it. Values given here win over the configuration file.
    """

    address: str
    port: int | None = None
    user: str | None = None
    identity_files: tuple[Path, ...] = ()
    host_keys: tuple[str, ...] = ()
    ssh_config: Path | None = None
    use_ssh_config: bool = True
    ssh_alias: str | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One server as its provider describes it. `source` is "file:line" where a person wrote it down."""

    name: str
    provider: str
    ssh: SshTarget
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    state: ServerState = ServerState.UNKNOWN
    source: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is given: the workspace folder, its private folder, and its own settings.

    `settings` is the parsed content of the provider's file (`servers/NAME.yaml`), with `settings_file`
    its path for faults and `positions` the (line, column), from 1, of each key and list entry in it.
    `state_dir` is the provider's own place under `.windlass/`, created by it (0700) when it has something
    to keep; it may keep what it likes there and nowhere else.
    """

    workspace: Path
    state_dir: Path
    settings_file: Path
    settings: Mapping[str, Any]
    positions: Mapping[SettingsPath, tuple[int, int]] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """The settings file as faults and sources name it: relative to the workspace where it lies in it."""
        if self.settings_file.is_relative_to(self.workspace):
            return str(self.settings_file.relative_to(self.workspace))
        return str(self.settings_file)

    def at(self, *path: str | int) -> tuple[int, int]:
        """The (line, column) of a settings path, or of the nearest known part above it; (0, 0) if none."""
        for length in range(len(path), -1, -1):
            position = self.positions.get(path[:length])
            if position is not None:
                return position
        return 0, 0

    def fault(self, path: SettingsPath, message: str, *, hint: str = "") -> Fault:
        """A fault of the settings file at a settings path."""
        line, column = self.at(*path)
        return Fault(self.file, line, column, message, hint)


class Provider(Protocol):
    """Lists servers and, where it can (`starts_servers`), starts and stops them."""

    name: str
    starts_servers: bool

    async def list(self) -> Sequence[Server]:
        """Every server, in a stable order.

        Raises InputError with every fault of the settings file, ProviderError when it cannot be told.
        """
        ...

    async def start(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Starts the named servers (all when empty) and returns what is running now.

        Starting a running server changes nothing. Raises ProviderError where the provider cannot.
        """
        ...

    async def stop(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Stops the named servers (all when empty) with what was started on them; returns what was stopped."""
        ...

    async def close(self) -> None:
        """Releases what the provider holds in this process; servers go on."""
        ...


class ProviderFactory(Protocol):
    """What a provider module exports as `create`."""

    def __call__(self, context: ProviderContext) -> Provider: ...
