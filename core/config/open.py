"""The configuration of a workspace as a command or a run opens it: its files, this user's file, this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.config.facts import Facts, git_commit, no_servers
from core.config.load import BASE, Given, environment_names, load_config
from core.config.resolve import Resolver
from core.config.settings import AppSettings, read_settings, settings_faults
from core.errors import InputError
from core.workspace.folder import Workspace
from core.workspace.userfiles import config_folder

USER_FILE = "config.yaml"


def user_file() -> Path:
    """The user's own configuration file. It may not exist."""
    return config_folder() / USER_FILE


def given_here(environment: str = "", settings: Sequence[str] = (), texts: Sequence[str] = ()) -> Given:
    """What this process says about the configuration."""
    return Given(environment, tuple(settings), tuple(texts), dict(os.environ), user_file())


def variables_here(workspace: Workspace) -> dict[str, str]:
    """The variables of this process that the configuration may read; all that is sent to an engine elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.upper().startswith("WINDLASS__") or name in workspace.allow_env
    }


def workspace_settings(workspace: Workspace) -> AppSettings:
    """What the workspace, this user and this process say of Windlass itself. Raises InputError with every fault."""
    root = load_config(workspace.path, given_here()).root
    if faults := settings_faults(root):
        raise InputError(f"{len(faults)} of the settings of Windlass cannot be used", faults=tuple(faults))
    return read_settings(root)


def settings_stamp(workspace: Workspace) -> Hashable:
    """Changes with the files that `workspace_settings` reads."""
    found = []
    for file in (workspace.path / BASE, user_file()):
        try:
            stat = file.stat()
            found.append((stat.st_mtime_ns, stat.st_size, stat.st_ino))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def open_config(
    workspace: Workspace,
    given: Given,
    *,
    servers: Callable[[], Mapping[str, Mapping[str, Any]]] = no_servers,
    now: datetime | None = None,
) -> Resolver:
    """The configuration of one environment with the facts of one run. Raises InputError with every fault.

    An environment that the workspace declares and that has no file says nothing. `now` is the moment of the run, by
    default this one.
    """
    if given.environment and workspace.environment(given.environment).name not in environment_names(
        workspace.path
    ):
        given = replace(given, environment="")
    facts = Facts(
        workspace.name,
        now=now or datetime.now(UTC),
        environ=given.environ,
        allowed=frozenset(workspace.allow_env),
        servers=servers,
        commit=lambda: git_commit(workspace.path),
    )
    return Resolver(load_config(workspace.path, given), facts)
