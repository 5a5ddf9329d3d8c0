"""OpenSSH's own server on a loopback port, for tests: own configuration, host keys, user key and folder.

`with Sshd.start(folder) as sshd:` runs one; `sshd.server()` describes it as a provider would. The start-up
files of the user who runs the tests are kept out by `SetEnv HOME=`. Skips, with the reason, where sshd is
not installed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from getpass import getuser
from pathlib import Path

import asyncssh
import pytest

from providers.base import Server, SshTarget

SSHD = Path("/usr/sbin/sshd")
PRIVILEGE_SEPARATION = Path("/run/sshd")
WAIT_S = 60.0


def require_sshd() -> None:
    """Skips the test where OpenSSH's server is not installed."""
    if not SSHD.exists():
        pytest.skip(f"{SSHD} is not installed")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_key(path: Path, algorithm: str = "ssh-ed25519") -> asyncssh.SSHKey:
    """Makes a key pair as files: `path` (0600) and `path.pub`."""
    key = asyncssh.generate_private_key(algorithm)
    path.touch(mode=0o600)
    path.write_bytes(key.export_private_key("openssh"))
    Path(f"{path}.pub").write_bytes(key.export_public_key("openssh"))
    return key


def lock_key(path: Path, passphrase: str = "secret") -> None:
    """Encrypts a private key as ssh-keygen does."""
    command = ["ssh-keygen", "-q", "-p", "-f", str(path), "-P", "", "-N", passphrase]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@dataclass(slots=True)
class Sshd:
    """A running server. `process` listens; its children are the sessions."""

    folder: Path
    port: int
    user_key: Path
    host_keys: list[asyncssh.SSHKey]
    process: subprocess.Popen[bytes]
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """HOME of what runs on it, and the login directory of SFTP."""
        return self.folder / "home"

    @property
    def address(self) -> str:
        """Where it listens; `ListenAddress 0.0.0.0` makes every 127.x.y.z a server of its own."""
        return self.options.get("ListenAddress", "127.0.0.1")

    @property
    def log(self) -> str:
        """What the server wrote to its log."""
        return (self.folder / "log").read_text(errors="replace")

    @classmethod
    @contextmanager
    def start(
        cls,
        folder: Path,
        options: Mapping[str, str] | None = None,
        *,
        host_algorithms: tuple[str, ...] = ("ssh-ed25519",),
        port: int | None = None,
    ) -> Iterator[Sshd]:
        """Runs a server with `options` of sshd_config beside our own; stops it, and its sessions, at the end."""
        require_sshd()
        sshd = cls._launch(folder, dict(options or {}), host_algorithms, port)
        try:
            yield sshd
        finally:
            sshd.stop()

    @classmethod
    def _launch(
        cls, folder: Path, options: dict[str, str], algorithms: tuple[str, ...], port: int | None
    ) -> Sshd:
        if os.geteuid() == 0:
            PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        (folder / "home").mkdir(parents=True)
        keys = [write_key(folder / f"host_{number}", name) for number, name in enumerate(algorithms)]
        write_key(folder / "user")
        (folder / "authorized_keys").write_bytes((folder / "user.pub").read_bytes())
        port = port or free_port()
        settings = {
            "ListenAddress": "127.0.0.1",
            "PidFile": "none",
            "AuthorizedKeysFile": str(folder / "authorized_keys"),
            "StrictModes": "no",
            "UsePAM": "no",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "yes",
            "PrintMotd": "no",
            "PrintLastLog": "no",
            "UseDNS": "no",
            "LogLevel": "VERBOSE",
            "SetEnv": f"HOME={folder / 'home'}",
            "Subsystem": f"sftp internal-sftp -d {folder / 'home'}",
            "MaxStartups": "100",
            **options,
        }
        lines = [f"Port {port}", *(f"HostKey {folder / f'host_{number}'}" for number in range(len(keys)))]
        lines += [f"{name} {value}" for name, value in settings.items()]
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")
        sshd = cls(folder, port, folder / "user", keys, _run(folder), options)
        sshd.wait()
        return sshd

    def wait(self, starts: int = 1) -> None:
        """Waits until it accepts connections, after so many starts."""
        deadline = time.monotonic() + WAIT_S
        listens = self.options.get("ListenAddress", self.address)
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"sshd ended: {self.log}")
            # Asked of its log: a connection made to find out would count against MaxStartups.
            if self.log.count(f"Server listening on {listens} port {self.port}") >= starts:
                return
            time.sleep(0.01)
        raise RuntimeError(f"sshd does not listen: {self.log}")

    def restart(self) -> None:
        """Makes it read its files again; sessions go on."""
        starts = self.log.count("Server listening on")
        os.kill(self.process.pid, signal.SIGHUP)
        self.wait(starts + 1)

    def server(self, name: str = "srv", *, pinned: bool = True, **target: object) -> Server:
        """The server as a provider describes it; with `pinned` its host keys are vouched for."""
        values: dict[str, object] = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": getuser(),
            "identity_files": (self.user_key,),
            "host_keys": tuple(map(one_line, self.host_keys)) if pinned else (),
            "use_ssh_config": False,
            **target,
        }
        return Server(name=name, provider="test", ssh=SshTarget(**values))  # type: ignore[arg-type]

    def sessions(self) -> list[int]:
        """The pids of the server's direct children: one for each connection."""
        return children(self.process.pid)

    def signal_sessions(self, number: int) -> list[int]:
        """Sends a signal to the process of every connection, not to what runs on it; their pids.

        With privilege separation a connection has two processes, the monitor and its child: both get it.
        """
        pids = []
        for session in self.sessions():
            for pid in (*(child for child in children(session) if _is_sshd(child)), session):
                _signal(pid, number)
                pids.append(pid)
        return pids

    def kill_sessions(self) -> list[int]:
        """Kills the process of every connection; what runs on it lives on."""
        return self.signal_sessions(signal.SIGKILL)

    def freeze_sessions(self) -> list[int]:
        """Stops the process of every connection: the connection is half open from now on."""
        return self.signal_sessions(signal.SIGSTOP)

    def thaw_sessions(self) -> list[int]:
        """Lets frozen processes go on."""
        return self.signal_sessions(signal.SIGCONT)

    def stop(self) -> None:
        """Ends the listener and every session."""
        for pid in [*descendants(self.process.pid), self.process.pid]:
            _signal(pid, signal.SIGCONT)
            _signal(pid, signal.SIGKILL)
        self.process.wait()


def one_line(key: asyncssh.SSHKey) -> str:
    """A public key in OpenSSH's form without a comment."""
    return " ".join(key.export_public_key("openssh").decode().split()[:2])


def children(pid: int) -> list[int]:
    """The children of a process, read from /proc."""
    return [child for child, parent in _parents().items() if parent == pid]


def descendants(pid: int) -> list[int]:
    """The children of a process and theirs, the youngest generation first."""
    found = []
    for child in children(pid):
        found += [*descendants(child), child]
    return found


def alive(pid: int) -> bool:
    """Whether a process is there and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _is_sshd(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _parents() -> dict[int, int]:
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return parents


def _run(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
