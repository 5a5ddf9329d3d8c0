"""What templates may use: parameters, configuration, the server, the run, the step, what earlier tasks registered,
and the environment variables that the workspace allows.

Everything here is plain data, built once for a run and shared: a task's context costs one small dict.
What servers printed is only ever a value, never a template.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from core.model.views import ServerInfo
from providers.base import Server


def server_data(server: Server, user: str) -> dict[str, Any]:
    """The part of a server that templates see."""
    return _seen(server, server.ssh.address, user)


def servers_data(servers: Iterable[ServerInfo]) -> dict[str, dict[str, Any]]:
    """The same for servers as an engine tells of them, by name."""
    return {server.name: _seen(server, server.address, server.user) for server in servers}


def _seen(server: Server | ServerInfo, address: str, user: str) -> dict[str, Any]:
    return {
        "name": server.name,
        "address": address,
        "user": user,
        "groups": list(server.groups),
        "labels": dict(server.labels),
    }


class Contexts:
    """The contexts of one run."""

    def __init__(
        self,
        *,
        params: Mapping[str, Any],
        servers: Iterable[Server],
        users: Mapping[str, str],
        number: int,
        run_id: str,
        batch: str,
        config: Mapping[str, Any],
        environment: str = "",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._params = dict(params)
        self._config = config
        self._env = env if env is not None else {}
        self._run = {"number": number, "id": run_id, "batch": batch, "environment": environment}
        self._servers: dict[str, dict[str, Any]] = {}
        self._registered: dict[str, dict[str, Any]] = {}
        for server in servers:
            registered: dict[str, Any] = {}
            self._registered[server.name] = registered
            self._servers[server.name] = {
                **server_data(server, users.get(server.name, "")),
                "registered": registered,
            }

    def of(self, step: str, server: str, attempt: int = 1) -> dict[str, Any]:
        """The context of one attempt of a task."""
        return {
            "params": self._params,
            "config": self._config,
            "server": self._servers[server],
            "servers": self._servers,
            "registered": self._registered[server],
            "run": self._run,
            "step": {"name": step, "attempt": attempt},
            "env": self._env,
        }

    def register(self, server: str, name: str, value: Mapping[str, Any]) -> None:
        """Makes the result of a task known to later ones under `name`."""
        self._registered[server][name] = dict(value)

    def forget(self, server: str, name: str) -> None:
        """Takes a result back, when its task is opened again."""
        self._registered[server].pop(name, None)
