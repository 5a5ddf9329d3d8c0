"""The `static` provider: servers listed in the workspace, and hosts taken from an OpenSSH client configuration.

It knows addresses and nothing more: whether a server runs is not asked, and none is started or stopped.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace

from providers.base import ProviderContext, ProviderError, Server, ServerState, SshTarget, refuse_server_name
from providers.settings import SettingsReader, did_you_mean
from providers.static.settings import ConfigEntry, StaticSettings, read_settings
from providers.static.sshconfig import ConfigHost, SshConfigError, choose, is_pattern, read_hosts


class StaticProvider:
    """The servers of one settings file."""

    name = "static"
    starts_servers = False

    def __init__(self, context: ProviderContext) -> None:
        self._context: ProviderContext | None = context
        self._listed: Sequence[Server] = ()

    async def list(self) -> Sequence[Server]:
        """Listed servers in document order, then those of ssh configuration files in the order of the files.

        Raises InputError with every fault, ProviderError where a configuration file cannot be read. Asked again it
        gives the same.
        """
        if self._context is not None:
            # What was parsed, and where each key of it stands, takes more memory than the servers.
            self._listed = await asyncio.to_thread(self._read_apart, self._context)
            self._context = None
        return self._listed

    def _read_apart(self, context: ProviderContext) -> Sequence[Server]:
        return [_apart(server) for server in self._read(context)]

    def _read(self, context: ProviderContext) -> Sequence[Server]:
        reader = SettingsReader(context)
        settings = read_settings(reader)
        reader.finish()
        servers = [*settings.servers]
        for entry in settings.configs:
            servers += self._taken(reader, settings, entry)
        reader.finish()
        return servers

    async def start(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Never possible: raises ProviderError."""
        raise ProviderError("static servers are not started by Windlass", hint="start them where they run")

    async def stop(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Never possible: raises ProviderError."""
        raise ProviderError("static servers are not stopped by Windlass", hint="stop them where they run")

    async def close(self) -> None:
        """Nothing is held."""

    def _taken(
        self, reader: SettingsReader, settings: StaticSettings, entry: ConfigEntry
    ) -> Sequence[Server]:
        try:
            hosts = read_hosts(entry.file)
        except SshConfigError as error:
            line, column = reader.context.at(*entry.path)
            raise ProviderError(
                f"{reader.context.file}:{line}:{column}: the ssh configuration cannot be read: {error}"
            ) from error
        known = [host.name for host in hosts]
        for place, name in entry.hosts:
            if not is_pattern(name) and name not in known:
                reader.fault(place, f"{entry.file} names no host '{name}'{did_you_mean(name, known)}")
        servers = []
        for host in choose(hosts, [pattern for _, pattern in entry.hosts]):
            server = self._server(reader, settings, entry, host)
            if server is not None:
                servers.append(server)
        return servers

    def _server(
        self, reader: SettingsReader, settings: StaticSettings, entry: ConfigEntry, host: ConfigHost
    ) -> Server | None:
        place = f"{host.file}:{host.line}"
        why = refuse_server_name(host.name)
        if why:
            reader.fault(
                (*entry.path, "hosts"),
                f"the host '{host.name}' ({place}) cannot be a server: {why}",
                hint=f'leave it out with "!{host.name}"',
            )
            return None
        first = settings.taken.setdefault(host.name, entry.path)
        if first != entry.path:
            line, _ = reader.context.at(*first)
            reader.fault(
                (*entry.path, "hosts"),
                f"the host '{host.name}' ({place}) is a server already, on line {line}",
                hint=f'leave it out with "!{host.name}"',
            )
            return None
        return Server(
            name=host.name,
            provider=self.name,
            ssh=SshTarget(
                address=host.name,
                ssh_config=None if entry.is_default_file else entry.file,
                ssh_alias=host.name,
            ),
            groups=entry.groups,
            labels=entry.labels,
            state=ServerState.UNKNOWN,
            source=place,
        )


def _apart(server: Server) -> Server:
    """The same with texts of its own.

    Those of the parser lie between all that it throws away, and would keep the memory of that: more than 1 KiB for
    each server.
    """
    return replace(
        server,
        name=_copied(server.name),
        ssh=replace(server.ssh, address=_copied(server.ssh.address)),
        groups=tuple(sys.intern(_copied(group)) for group in server.groups),
        source=_copied(server.source),
    )


def _copied(text: str) -> str:
    return text.encode().decode()


def create(context: ProviderContext) -> StaticProvider:
    """The provider of one settings file."""
    return StaticProvider(context)
