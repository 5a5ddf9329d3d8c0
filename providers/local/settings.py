"""The settings of the `local` provider: which servers there are.

provider: local
user: deploy                # optional: the login name, by default that of whoever runs Windlass
servers:
  web-[1-8]: {groups: [web], labels: {role: web}}
  db-1:                     # all settings of a server are optional
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Mapping
from dataclasses import dataclass

from providers.base import ProviderContext, SettingsPath
from providers.settings import SettingsReader

MAX_SERVERS = 500
"""One process serves them all; more would be a benchmark of that process."""

_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,31}")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """One server as it is written down."""

    name: str
    user: str
    groups: tuple[str, ...]
    labels: Mapping[str, str]
    source: str


def read_settings(context: ProviderContext) -> list[LocalServer]:
    """The servers in document order. Raises InputError with every fault."""
    reader = SettingsReader(context)
    settings = reader.mapping((), context.settings, "the file")
    reader.known_keys((), settings, ("provider", "user", "servers"))
    default_user = _user(reader, ("user",), settings.get("user")) or getpass.getuser()
    taken: dict[str, SettingsPath] = {}
    servers: list[LocalServer] = []
    for key, value in reader.mapping(("servers",), settings.get("servers"), "servers").items():
        path = ("servers", key)
        entry = reader.mapping(path, value, f"the server '{key}'")
        reader.known_keys(path, entry, ("user", "groups", "labels"))
        user = _user(reader, (*path, "user"), entry.get("user")) or default_user
        groups = reader.groups((*path, "groups"), entry.get("groups"))
        labels = reader.labels((*path, "labels"), entry.get("labels"))
        line, _ = context.at(*path)
        for name in reader.names(path, key, taken):
            servers.append(LocalServer(name, user, groups, labels, f"{context.file}:{line}"))
    if len(servers) > MAX_SERVERS:
        reader.fault(
            ("servers",),
            f"{len(servers)} local servers; one process serves at most {MAX_SERVERS}",
        )
    reader.finish()
    return servers


def _user(reader: SettingsReader, path: SettingsPath, value: object) -> str | None:
    text = reader.text(path, value, "user")
    if text is not None and not _USER.fullmatch(text):
        reader.fault(path, f"'{text}' is no login name; letters, digits and . _ - are allowed, at most 32")
        return None
    return text
