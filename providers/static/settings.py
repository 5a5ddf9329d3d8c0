"""The settings of the `static` provider: servers that exist already.

provider: static
defaults: {user: deploy, port: 22, identity_file: ~/.ssh/id_ed25519}    # optional
servers:
  db-1: {address: 10.0.0.5, port: 2222, user: root, identity_file: keys/db, groups: [db],
         labels: {role: db}, host_key: "ssh-ed25519 AAAA..."}
  web-[1-8]: {address: "10.0.0.[11-18]"}      # a range of names, an address each
  lb-1: 10.0.0.2                              # short for {address: 10.0.0.2}
  jump:                                       # nothing: the name is looked up as ssh would
ssh_config:                                   # or a list of such entries
  {file: ~/.ssh/config, hosts: ["web-*", "!web-9"], groups: [web], labels: {zone: a}}
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from providers.base import Server, ServerState, SettingsPath, SshTarget
from providers.ranges import RangeError, expand, has_range
from providers.settings import SettingsReader

SERVER_KEYS = ("address", "port", "user", "identity_file", "groups", "labels", "host_key")
DEFAULT_KEYS = ("port", "user", "identity_file", "groups", "labels")
CONFIG_KEYS = ("file", "hosts", "groups", "labels")
MAX_SERVERS = 50_000

_ADDRESS = re.compile(r"[A-Za-z0-9_:.%-]+")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@\\+$-]*")
_KEY_TYPE = re.compile(r"(ssh|ecdsa|sk)-[A-Za-z0-9@._-]+")


@dataclass(frozen=True, slots=True)
class ConfigEntry:
    """Hosts to take from an ssh configuration file. `path` is where the entry stands in the settings."""

    path: SettingsPath
    file: Path
    is_default_file: bool
    hosts: Sequence[tuple[SettingsPath, str]]
    groups: tuple[str, ...]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StaticSettings:
    """What a settings file says: the servers it lists, and where to take others from."""

    servers: Sequence[Server]
    configs: Sequence[ConfigEntry]
    taken: dict[str, SettingsPath] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    """The settings of one server, or the defaults of all."""

    port: int | None
    user: str | None
    identity_files: tuple[Path, ...]
    groups: tuple[str, ...]
    labels: Mapping[str, str]


def read_settings(reader: SettingsReader) -> StaticSettings:
    """Reads the whole file; faults are noted in `reader`, which the caller finishes."""
    settings = reader.mapping((), reader.context.settings, "the file")
    reader.known_keys((), settings, ("provider", "defaults", "servers", "ssh_config"))
    defaults_path: SettingsPath = ("defaults",)
    defaults_map = reader.mapping(defaults_path, settings.get("defaults"), "defaults")
    reader.known_keys(defaults_path, defaults_map, DEFAULT_KEYS)
    defaults = _entry(reader, defaults_path, defaults_map)
    taken: dict[str, SettingsPath] = {}
    servers: list[Server] = []
    for key, value in reader.mapping(("servers",), settings.get("servers"), "servers").items():
        servers += _servers(reader, key, value, defaults, taken)
    if len(servers) > MAX_SERVERS:
        reader.fault(("servers",), f"{len(servers)} servers; at most {MAX_SERVERS} are allowed")
    return StaticSettings(servers, _configs(reader, settings.get("ssh_config")), taken)


# ---------------------------------------------------------------- servers


def _servers(
    reader: SettingsReader, key: str, value: Any, defaults: _Entry, taken: dict[str, SettingsPath]
) -> list[Server]:
    path: SettingsPath = ("servers", key)
    if isinstance(value, str):
        value = {"address": value}
        address_path = path
    else:
        address_path = (*path, "address")
    settings = reader.mapping(path, value, f"the server '{key}'")
    reader.known_keys(path, settings, SERVER_KEYS)
    own = _entry(reader, path, settings)
    host_keys = _host_keys(reader, (*path, "host_key"), settings.get("host_key"))
    names = reader.names(path, key, taken)
    addresses = _addresses(reader, address_path, settings.get("address"), key, names)
    if host_keys and len(names) > 1:
        reader.fault((*path, "host_key"), "one host key cannot be that of several servers")
    line, _ = reader.context.at(*path)
    identity_files = own.identity_files or defaults.identity_files
    groups = tuple(dict.fromkeys((*defaults.groups, *own.groups)))
    labels = {**defaults.labels, **own.labels}
    note = missing_files(identity_files)
    return [
        Server(
            name=name,
            provider="static",
            ssh=SshTarget(
                address=address or name,
                port=own.port or defaults.port,
                user=own.user or defaults.user,
                identity_files=identity_files,
                host_keys=host_keys,
                ssh_alias=None if address else name,
            ),
            groups=groups,
            labels=labels,
            state=ServerState.UNKNOWN,
            source=f"{reader.file}:{line}",
            note=note,
        )
        for name, address in zip(names, addresses, strict=False)
    ]


def _entry(reader: SettingsReader, path: SettingsPath, settings: Mapping[str, Any]) -> _Entry:
    user = reader.text((*path, "user"), settings.get("user"), "user")
    if user is not None and not _USER.fullmatch(user):
        reader.fault((*path, "user"), f"'{user}' is no login name")
    files = reader.texts((*path, "identity_file"), settings.get("identity_file"), "identity_file")
    return _Entry(
        port=reader.number((*path, "port"), settings.get("port"), "port", 1, 65535),
        user=user,
        identity_files=tuple(_local_path(reader, place, text) for place, text in files),
        groups=reader.groups((*path, "groups"), settings.get("groups")),
        labels=reader.labels((*path, "labels"), settings.get("labels")),
    )


def _addresses(
    reader: SettingsReader, path: SettingsPath, value: Any, key: str, names: Sequence[str]
) -> Sequence[str]:
    """An address for each name; "" where the name itself is looked up."""
    text = reader.text(path, value, "address")
    if text is None:
        return [""] * len(names)
    try:
        addresses = expand(text)
    except RangeError as error:
        reader.fault(path, str(error))
        return [""] * len(names)
    bad = next(
        (address for address in addresses if not _ADDRESS.fullmatch(address) or address[0] == "-"), None
    )
    if bad is not None:
        reader.fault(path, f"'{bad}' is no address; a host name or an IP address is wanted")
    elif names and has_range(key) and not has_range(text):
        reader.fault(path, f"'{key}' names {len(names)} servers; the address needs a range too")
    elif names and len(addresses) != len(names):
        reader.fault(path, f"{len(addresses)} addresses for the {len(names)} servers of '{key}'")
    return addresses


def _host_keys(reader: SettingsReader, path: SettingsPath, value: Any) -> tuple[str, ...]:
    keys = []
    for place, text in reader.texts(path, value, "host_key"):
        words = text.split()
        if len(words) < 2 or not _is_public_key(words[0], words[1]):
            reader.fault(
                place,
                "this is no public host key; it looks like 'ssh-ed25519 AAAA…'",
                hint="ssh-keyscan prints it; compare its fingerprint on the server's console",
            )
        else:
            keys.append(f"{words[0]} {words[1]}")
    return tuple(keys)


def _is_public_key(kind: str, text: str) -> bool:
    """True when the base64 text is a key of this kind: it begins with the kind's length and name."""
    if not _KEY_TYPE.fullmatch(kind):
        return False
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    name = kind.encode()
    return blob.startswith(len(name).to_bytes(4, "big") + name) and len(blob) > len(name) + 8


# ---------------------------------------------------------------- ssh_config


def _configs(reader: SettingsReader, value: Any) -> list[ConfigEntry]:
    if value is None:
        return []
    if isinstance(value, list | tuple):
        return [_config(reader, ("ssh_config", index), entry) for index, entry in enumerate(value)]
    return [_config(reader, ("ssh_config",), value)]


def _config(reader: SettingsReader, path: SettingsPath, value: Any) -> ConfigEntry:
    settings = reader.mapping(path, value, "ssh_config")
    reader.known_keys(path, settings, CONFIG_KEYS)
    file = reader.text((*path, "file"), settings.get("file"), "file")
    hosts = reader.texts((*path, "hosts"), settings.get("hosts"), "hosts")
    if not hosts and settings.get("hosts") in (None, []):
        reader.fault(path, 'ssh_config needs `hosts`: names or patterns such as "web-*"')
    default = Path.home() / ".ssh" / "config"
    chosen = default if file is None else _local_path(reader, (*path, "file"), file)
    return ConfigEntry(
        path=path,
        file=chosen,
        is_default_file=chosen == default,
        hosts=hosts,
        groups=reader.groups((*path, "groups"), settings.get("groups")),
        labels=reader.labels((*path, "labels"), settings.get("labels")),
    )


def _local_path(reader: SettingsReader, path: SettingsPath, text: str) -> Path:
    """A path on this machine: `~` is the home directory, relative paths start at the workspace."""
    try:
        expanded = Path(text).expanduser()
    except RuntimeError as error:
        reader.fault(path, f"'{text}': {error}")
        expanded = Path(text)
    return Path(os.path.normpath(reader.context.workspace / expanded))


def missing_files(files: Sequence[Path]) -> str:
    """A note that names identity files that are not there; "" when all are."""
    missing = [str(file) for file in files if not file.exists()]
    return f"no such identity file: {', '.join(missing)}" if missing else ""
