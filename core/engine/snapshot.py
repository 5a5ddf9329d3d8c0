"""What a run was made from: batch text, parameters, configuration, resolved servers, targets and files,
the environment, and the environment variables that its templates may read.

A resume reads nothing else (but addresses of servers that their provider says have moved). The
document is JSON in the run's snapshot row; its form is versioned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as FilePath
from typing import Any

from core.batch.load import LoadedBatch, load_batch
from core.batch.needs import effective_needs
from core.batch.references import secrets_of
from core.config.facts import secret_marker
from core.config.paths import Path, look_up, parse, show
from core.engine.blobs import FileRef
from core.engine.graph import Graph, build
from core.engine.scheduler import Limits
from core.errors import StoreNewer
from core.model.ids import ENGINE_SERVER
from core.model.views import UsedValue
from core.secrets.sealed import Sealed, opened, sealed_in
from providers.base import Server, ServerState, SshTarget

FORMAT = 3
"""The newest form: secrets in the configuration. One without them is written as form 2, one without configuration as
form 1, which an older Windlass resumes."""

ENGINE = Server(name=ENGINE_SERVER, provider="engine", ssh=SshTarget(address="", use_ssh_config=False))
"""The server that stands for the engine itself."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One run's inputs. `targets` maps each step, in document order, to its servers.

    `config` are the values of the configuration that the batch uses, nested as they are there; `used` says of each
    where it was written.
    """

    loaded: LoadedBatch
    params: Mapping[str, Any]
    servers: Mapping[str, Server]
    targets: Mapping[str, Sequence[str]]
    files: Mapping[str, FileRef]
    users: Mapping[str, str]
    environment: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    used: Sequence[UsedValue] = ()
    secret_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def secrets(self) -> frozenset[str]:
        """Every reference to a secret that the run needs."""
        return secrets_of(self.loaded.batch).union(*(text.references for text in sealed_in(self.config)))

    def graph(self) -> Graph:
        """The expanded graph of the run."""
        batch = self.loaded.batch
        return build(
            list(self.servers),
            self.targets,
            {
                step: [(need.step, need.scope == "all", need.kind != "soft") for need in needs]
                for step, needs in effective_needs(batch).items()
            },
            {name: step.parallel for name, step in batch.steps.items() if step.parallel is not None},
            {
                name: step.max_failures.of(len(self.targets[name]))
                for name, step in batch.steps.items()
                if step.max_failures is not None
            },
        )

    def limits(self) -> Limits:
        """The limits of the batch's strategy, with shares worked out over the servers targeted."""
        strategy = self.loaded.batch.strategy
        targeted = sum(1 for name in self.servers if name != ENGINE_SERVER)
        return Limits(
            parallel=strategy.parallel,
            per_server=strategy.per_server,
            allowance=strategy.max_failures.of(targeted),
            pass_failures=strategy.on_failure == "continue",
        )

    def with_servers(self, servers: Mapping[str, Server]) -> Snapshot:
        """The same run with servers whose provider says that they have moved."""
        return replace(self, servers=servers)

    def to_document(self) -> dict[str, Any]:
        """The JSON form (without the batch's text, which has a column of its own)."""
        sealed = dict(_sealed_out(self.config))
        return {
            "format": FORMAT if sealed else 2 if self.config else 1,
            "params": dict(self.params),
            "servers": [_server_out(server) for server in self.servers.values()],
            "targets": {step: list(names) for step, names in self.targets.items()},
            "files": {
                name: {"path": ref.path, "digest": ref.digest, "size": ref.size_bytes, "copied": ref.copied}
                for name, ref in self.files.items()
            },
            "users": dict(self.users),
            "environment": self.environment,
            "env": dict(self.env),
            **(
                {"config": dict(self.config), "origins": {u.path: u.origin for u in self.used}}
                if self.config
                else {}
            ),
            **({"sealed": sealed} if sealed else {}),
            **({"secret_files": dict(self.secret_files)} if self.secret_files else {}),
        }

    @classmethod
    def from_document(cls, text: str, file: str, document: Mapping[str, Any]) -> Snapshot:
        """Reads a stored snapshot. Raises StoreNewer where a newer Windlass wrote it."""
        if document["format"] > FORMAT:
            raise StoreNewer(
                f"the run's snapshot has format {document['format']}, this Windlass reads up to {FORMAT}",
                hint="resume it with the Windlass that started it, or a newer one",
            )
        servers = [_server_in(entry) for entry in document["servers"]]
        config = _sealed_in(document.get("config", {}), document.get("sealed", {}))
        return cls(
            loaded=load_batch(text, file),
            params=document["params"],
            servers={server.name: server for server in servers},
            targets=document["targets"],
            files={
                name: FileRef(ref["path"], ref["digest"], ref["size"], ref["copied"])
                for name, ref in document["files"].items()
            },
            users=document["users"],
            environment=document.get("environment", ""),
            env=document.get("env", {}),
            config=config,
            used=used_values(config, document.get("origins", {})),
            secret_files=document.get("secret_files", {}),
        )

    @staticmethod
    def used_in(document: Mapping[str, Any]) -> tuple[UsedValue, ...]:
        """The values of the configuration in a stored document."""
        config = _sealed_in(document.get("config", {}), document.get("sealed", {}))
        return used_values(config, document.get("origins", {}))


def used_values(config: Mapping[str, Any], origins: Mapping[str, str]) -> tuple[UsedValue, ...]:
    """The values of a frozen configuration by path, with where they were written; secrets as they are shown."""
    shown = opened(config, secret_marker)
    return tuple(UsedValue(path, look_up(shown, parse(path)), origin) for path, origin in origins.items())


def _sealed_out(value: Any, path: Path = ()) -> Iterator[tuple[str, list[Any]]]:
    """Every text that holds secrets, by its path, in its parts."""
    if isinstance(value, Sealed):
        yield show(path), value.to_json()
    elif isinstance(value, Mapping | list):
        for part, item in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _sealed_out(item, (*path, part))


def _sealed_in(config: Any, sealed: Mapping[str, Any], path: Path = ()) -> Any:
    """A stored configuration with its texts sealed again."""
    if not sealed:
        return config
    if isinstance(config, Mapping):
        return {key: _sealed_in(item, sealed, (*path, key)) for key, item in config.items()}
    if isinstance(config, list):
        return [_sealed_in(item, sealed, (*path, index)) for index, item in enumerate(config)]
    return Sealed.from_json(sealed[show(path)]) if path and show(path) in sealed else config


def _server_out(server: Server) -> dict[str, Any]:
    ssh = server.ssh
    return {
        "name": server.name,
        "provider": server.provider,
        "groups": list(server.groups),
        "labels": dict(server.labels),
        "source": server.source,
        "ssh": {
            "address": ssh.address,
            "port": ssh.port,
            "user": ssh.user,
            "identity_files": [str(path) for path in ssh.identity_files],
            "host_keys": list(ssh.host_keys),
            "ssh_config": str(ssh.ssh_config) if ssh.ssh_config else None,
            "use_ssh_config": ssh.use_ssh_config,
            "ssh_alias": ssh.ssh_alias,
        },
    }


def _server_in(entry: Mapping[str, Any]) -> Server:
    ssh = entry["ssh"]
    return Server(
        name=entry["name"],
        provider=entry["provider"],
        groups=tuple(entry["groups"]),
        labels=entry["labels"],
        source=entry["source"],
        state=ServerState.UNKNOWN,
        ssh=SshTarget(
            address=ssh["address"],
            port=ssh["port"],
            user=ssh["user"],
            identity_files=tuple(FilePath(path) for path in ssh["identity_files"]),
            host_keys=tuple(ssh["host_keys"]),
            ssh_config=FilePath(ssh["ssh_config"]) if ssh["ssh_config"] else None,
            use_ssh_config=ssh["use_ssh_config"],
            ssh_alias=ssh["ssh_alias"],
        ),
    )
