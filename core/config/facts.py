"""What values may refer to besides each other: the workspace, variables, servers, the time, git, secrets.

Everything is asked when a template asks for it, and once for each run. A secret is never worked out here to its
clear text: a face gives `secret_marker`, which shows that there is one.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.sandbox import Telling

NAMES = ("config", "env", "git", "now", "secret", "servers", "workspace")
GIT_TIMEOUT_S = 10


def secret_marker(name: str) -> str:
    """What stands for a secret wherever a value is shown."""
    return f"<secret {name}>"


def no_servers() -> Mapping[str, Mapping[str, Any]]:
    """The servers of a place that has none."""
    return {}


@dataclass(frozen=True, slots=True)
class Facts:
    """What one run's configuration is worked out from.

    `allowed` are the variables that `env` may read. `servers` and `commit` are called at most once, when a template
    asks; `secret` gives what stands for a secret's value. All three may raise InputError.
    """

    workspace: str
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    environ: Mapping[str, str] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()
    servers: Callable[[], Mapping[str, Mapping[str, Any]]] = no_servers
    commit: Callable[[], str] = lambda: ""
    secret: Callable[[str], str] = secret_marker

    def moment(self) -> str:
        """The time that stands still for a run, "2026-03-01T14:02:11Z"."""
        return self.now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def git_commit(folder: Path) -> str:
    """The commit that is checked out in a folder, as 40 or 64 hex digits. Raises InputError where there is none."""
    command = ["git", "-C", str(folder), "rev-parse", "--verify", "HEAD"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GIT_TIMEOUT_S
        )
    except FileNotFoundError:
        raise InputError("git.commit: git is not installed") from None
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise InputError(f"git.commit: git gives no answer: {error}") from error
    if done.returncode != 0:
        told = " ".join(done.stderr.split())[:200]
        raise InputError(f"git.commit: {folder} has no commit: {told}")
    return done.stdout.strip()


class Asked(Telling):
    """A mapping whose values are asked for one by one; `why` says what to tell where there is none."""

    def __init__(self, names: Callable[[], Mapping[str, Any]], why: Callable[[str], str]) -> None:
        self._names = names
        self._why = why

    def __getitem__(self, key: str) -> Any:
        return self._names()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, key: object) -> bool:
        return key in self._names()

    def missing(self, key: str) -> str:
        return self._why(key)


def no_variable(name: str, allowed: Collection[str]) -> str:
    """Why a template cannot read a variable."""
    if name in allowed:
        return f"env.{name}: this variable is not set"
    return f"env.{name}: the workspace does not allow this variable to be read (allow_env of workspace.yaml does)"


class Secrets(Telling):
    """Secrets by name; `ask` gives what stands for one, and may raise."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def __getitem__(self, key: str) -> str:
        return self._ask(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __contains__(self, key: object) -> bool:
        return True

    def missing(self, key: str) -> str:
        return f"there is no secret {key}"
