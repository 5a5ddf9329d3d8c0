"""What a logout does to the processes of this account, as far as systemd-logind's files tell.

With `KillUserProcesses=yes` the login manager ends what a session leaves running; a scope of the account's own
service manager is outside of the session, but goes with that manager at the last logout, unless the account lingers
(logind.conf(5), loginctl(1)).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

SCOPE_PREFIX = "windlass-engine-"
FOLDERS = ("etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd")
"""Where logind's files lie, by their weight: the first main file counts, and of drop-ins of one name the first."""
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
    session_uid: int = -1
    """Whose session it is, where that is another account's: `sudo` stays in it."""

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
        owner = self._uid if self.session_uid < 0 else self.session_uid
        if not self.runs or owner == 0:  # KillExcludeUsers is root, unless somebody says otherwise
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
            if self.lingers:
                keep = "the account lingers, but its service manager gives no scope (`systemd-run --user --scope true`)"
            return Stay(False, f"the login manager ends the engine at logout ({where}): {keep}")
        return Stay(True, "the login manager leaves the engine alone at logout")

    def _files(self) -> list[Path]:
        """The files in the order in which they are read; what is said later counts (logind.conf(5))."""
        folders = [self.root / folder for folder in FOLDERS]
        main = [path for folder in folders if (path := folder / "logind.conf").is_file()][:1]
        drop_ins: dict[str, Path] = {}
        for folder in folders:
            for path in (folder / "logind.conf.d").glob("*.conf"):
                drop_ins.setdefault(path.name, path)
        return [*main, *(drop_ins[name] for name in sorted(drop_ins))]

    @property
    def _uid(self) -> int:
        return os.getuid() if self.uid < 0 else self.uid


def own_stay() -> Stay:
    """What becomes of this process at logout."""
    return _here().stay(managed=_managed())


def next_stay() -> Stay:
    """What would become at logout of an engine that this process starts in the background."""
    return _here().stay(managed=bool(manager_folder()) or _managed())


def _here() -> Login:
    owner = re.search(r"/user-(\d{1,10})\.slice/", _cgroup())
    return Login(session_uid=int(owner[1]) if owner else -1)


def _managed() -> bool:
    """Whether the account's service manager holds this process."""
    cgroup = _cgroup()
    return SCOPE_PREFIX in cgroup or f"/user@{os.getuid()}.service/" in cgroup


def _cgroup() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/self/cgroup").read_text("utf-8", "replace")
    return ""


def manager_folder() -> str:
    """The runtime folder of the account's service manager, where an engine is to start in a scope of it; else ""."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if not _here().scope_helps or shutil.which("systemd-run") is None:
        return ""
    with contextlib.suppress(OSError):
        found = Path(folder, "systemd/private").stat()
        if stat.S_ISSOCK(found.st_mode) and found.st_uid == os.getuid():
            return folder
    return ""
