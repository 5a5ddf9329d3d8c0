"""What a logout does to the processes of this account, as far as systemd-logind's files tell.

With `KillUserProcesses=yes` the login manager ends what a session leaves running; a scope of the account's own
service manager is outside of the session, but goes with that manager at the last logout, unless the account lingers
(logind.conf(5), loginctl(1)).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

SCOPE_PREFIX = "windlass-engine-"
CONFIGURED_IN = (
    "etc/systemd/logind.conf",
    "usr/lib/systemd/logind.conf.d",
    "run/systemd/logind.conf.d",
    "etc/systemd/logind.conf.d",
)
YES = ("1", "yes", "y", "true", "t", "on")


@dataclass(frozen=True, slots=True)
class Stay:
    """Whether an engine outlives the logout of its account, and why: a sentence about it."""

    survives: bool
    why: str


@dataclass(frozen=True, slots=True)
class Login:
    """The login manager of a machine whose files lie under `root`, and an account there."""

    root: Path = Path("/")
    uid: int = -1

    @property
    def runs(self) -> bool:
        """Whether systemd runs this machine at all."""
        return (self.root / "run/systemd/system").is_dir()

    @property
    def lingers(self) -> bool:
        """Whether the account's service manager outlives its last session."""
        with contextlib.suppress(KeyError, OSError):
            name = pwd.getpwuid(self._uid).pw_name
            return (self.root / "var/lib/systemd/linger" / name).exists()
        return False

    @property
    def killing_file(self) -> str:
        """The file that lets the login manager end what this account leaves running; "" where none does."""
        if not self.runs or self._uid == 0:  # KillExcludeUsers is root, unless somebody says otherwise
            return ""
        found = ""
        for path in self._files():
            with contextlib.suppress(OSError):
                for line in path.read_text("utf-8", "replace").splitlines():
                    name, _, value = line.partition("=")
                    if name.strip() == "KillUserProcesses":
                        found = str(path) if value.strip().lower() in YES else ""
        return found

    @property
    def scope_helps(self) -> bool:
        """Whether an engine stays longer in a scope of the account's service manager than in its session.

        A session that nobody ends outlives a manager that goes at the last logout.
        """
        return self.runs and (self.lingers or bool(self.killing_file))

    def stay(self, *, managed: bool) -> Stay:
        """What becomes of an engine at logout; `managed` where the account's service manager holds it."""
        if not self.runs:
            return Stay(True, "a logout ends no engine here")
        if managed and self.lingers:
            return Stay(True, "the account lingers, so its engine outlives a logout")
        keep = "`loginctl enable-linger`, then start it anew, keeps it"
        if managed:
            return Stay(False, f"the engine ends at the last logout, as the account does not linger: {keep}")
        if self.killing_file:
            where = f"KillUserProcesses in {self.killing_file}"
            return Stay(False, f"the login manager ends the engine at logout ({where}): {keep}")
        return Stay(True, "the login manager leaves the engine alone at logout")

    def _files(self) -> list[Path]:
        found: list[Path] = []
        for place in CONFIGURED_IN:
            path = self.root / place
            found += sorted(path.glob("*.conf")) if path.is_dir() else [path]
        return found

    @property
    def _uid(self) -> int:
        return os.getuid() if self.uid < 0 else self.uid


def own_stay() -> Stay:
    """What becomes of this process at logout."""
    cgroup = ""
    with contextlib.suppress(OSError):
        cgroup = Path("/proc/self/cgroup").read_text("utf-8", "replace")
    return Login().stay(managed=SCOPE_PREFIX in cgroup or f"/user@{os.getuid()}.service/" in cgroup)


def next_stay() -> Stay:
    """What would become at logout of an engine that this process starts in the background."""
    return Login().stay(managed=bool(manager_folder()))


def manager_folder() -> str:
    """The runtime folder of the account's service manager, where an engine is to start in a scope of it; else ""."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if not Login().scope_helps or shutil.which("systemd-run") is None:
        return ""
    with contextlib.suppress(OSError):
        found = Path(folder, "systemd/private").stat()
        if stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid():
            return folder
    return ""
