"""The workspace folder: its settings (`workspace.yaml`) and where everything in it lies.

    workspace.yaml      see core.workspace.settings
    config/             the configuration: base.yaml, environments/NAME.yaml, schema.yaml (core/config)
    servers/NAME.yaml   the settings of provider NAME
    batches/NAME.yaml   batch documents
    files/              what batches upload
    secrets/            one encrypted file for each secret, and who can open them (core/secrets)
    .windlass/          state (0700), made when there is something to keep: the database, the lease,
                        known_hosts, copies of files in use, a cache that may go

Nothing here writes but `make_state_dir`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import InputError, WorkspaceNewer
from core.files import private_folder
from core.model.names import refuse_environment_name
from core.workspace.find import SETTINGS_FILE, find_batch
from core.workspace.settings import (
    FORMAT,
    Environment,
    Protection,
    Settings,
    legible_read_only,
    read_settings,
)

STATE_DIR = ".windlass"


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace; `path` is absolute. `broken` is what is wrong with its settings, where it was opened
    all the same: see `Workspace.open`.
    """

    path: Path
    name: str
    description: str = ""
    format: int = FORMAT
    environments: tuple[Environment, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    protection: Protection = Protection.NONE
    read_only: bool = False
    allow_paths: tuple[Path, ...] = ()
    allow_env: tuple[str, ...] = ()
    broken: InputError | None = None

    @classmethod
    def load(cls, path: Path) -> Workspace:
        """Reads `workspace.yaml`. Raises InputError with every fault, WorkspaceNewer."""
        return cls._of(path.absolute(), read_settings(path.absolute()))

    @classmethod
    def open(cls, path: Path) -> Workspace:
        """As `load`; a workspace with faulty settings opens all the same where it has a database.

        Its stored runs can be looked at, decided and cancelled then; nothing is planned. What its protection is
        nobody knows, so the strictest counts. Raises InputError, WorkspaceNewer.
        """
        try:
            return cls.load(path)
        except WorkspaceNewer:
            raise
        except InputError as error:
            path = path.absolute()
            if not (path / STATE_DIR / "state.db").is_file():
                raise
            settings = Settings(protection=Protection.PRODUCTION, read_only=legible_read_only(path))
            return cls._of(path, settings, error)

    @classmethod
    def _of(cls, path: Path, settings: Settings, broken: InputError | None = None) -> Workspace:
        return cls(
            path=path,
            name=settings.name or path.name or "workspace",
            description=settings.description,
            format=settings.format,
            environments=settings.environments,
            labels=settings.labels,
            protection=settings.protection,
            read_only=settings.read_only,
            allow_paths=tuple(_folder(path, text) for text in settings.allow_paths),
            allow_env=settings.allow_env,
            broken=broken,
        )

    def known_environments(self) -> list[Environment]:
        """Those that are declared, then those that only have a file of the configuration."""
        declared = {environment.name for environment in self.environments}
        try:
            files = sorted(self.environments_dir.glob("*.yaml"))
        except OSError:
            files = []
        found = [path.stem for path in files if path.is_file() and not refuse_environment_name(path.stem)]
        return [*self.environments, *(Environment(name) for name in found if name not in declared)]

    def environment(self, name: str) -> Environment:
        """The environment that a request means; "" is the only one that is declared, or none.

        Raises InputError for one that the workspace does not have, and where one of several must be named.
        """
        names = [environment.name for environment in self.environments]
        listed = ", ".join(names)
        if name:
            known = self.known_environments()
            for environment in known:
                if environment.name == name:
                    return environment
            names = [environment.name for environment in known]
            listed = ", ".join(names)
            close = difflib.get_close_matches(name, names, n=1)
            there = f"there are: {listed}" if names else f"{SETTINGS_FILE} declares none under `environments`"
            raise InputError(
                f"the workspace {self.name} has no environment {name!r}",
                hint=f"did you mean '{close[0]}'?" if close else there,
            )
        if len(names) > 1:
            raise InputError(
                f"the workspace {self.name} has several environments: name the one that is meant",
                hint=f"--environment NAME, one of: {listed}",
            )
        return self.environments[0] if names else Environment("")

    def protection_of(self, environment: str) -> Protection:
        """How an environment is protected; one that is not declared (any more) as the workspace is."""
        for known in self.environments:
            if known.name == environment and known.protection is not None:
                return known.protection
        return self.protection

    def typed_name(self, environment: str) -> str:
        """What must be typed to confirm something in an environment: WORKSPACE/ENVIRONMENT, or WORKSPACE."""
        return f"{self.name}/{environment}" if environment else self.name

    @property
    def roots(self) -> tuple[Path, ...]:
        """The folders that batches may read files from: the workspace, and what `allow_paths` adds."""
        return (self.path, *self.allow_paths)

    @property
    def settings_file(self) -> Path:
        """What makes the folder a workspace."""
        return self.path / SETTINGS_FILE

    @property
    def environments_dir(self) -> Path:
        """What the configuration says in each environment."""
        return self.path / "config" / "environments"

    @property
    def servers_dir(self) -> Path:
        """The settings of the providers."""
        return self.path / "servers"

    @property
    def batches_dir(self) -> Path:
        """The batch documents."""
        return self.path / "batches"

    @property
    def files_dir(self) -> Path:
        """What batches upload, by custom: `from` may name any file of the workspace."""
        return self.path / "files"

    @property
    def known_hosts(self) -> Path:
        """Host keys trusted for this workspace."""
        return self.state_dir / "known_hosts"

    @property
    def state_dir(self) -> Path:
        """Everything that is state. It may not exist yet."""
        return self.path / STATE_DIR

    @property
    def database(self) -> Path:
        """The database. It may not exist yet."""
        return self.state_dir / "state.db"

    def make_state_dir(self) -> Path:
        """The state folder, made where it is missing, for its owner alone. Raises InputError."""
        try:
            private_folder(self.state_dir)
        except OSError as error:
            raise InputError(
                f"{self.state_dir} cannot be used: {error.strerror or error}",
                hint="the workspace must lie where you may write",
            ) from error
        return self.state_dir

    def batch_path(self, batch: str) -> Path:
        """Where a batch lies, by its name or a path. Raises InputError."""
        return find_batch(batch, self.path)


def _folder(workspace: Path, text: str) -> Path:
    """A folder of `allow_paths`: from the workspace, `~` the home directory."""
    return Path(os.path.normpath(workspace / os.path.expanduser(text)))  # noqa: PTH111 (it never raises)
