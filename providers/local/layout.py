"""The folder that the `local` provider keeps its state in, and its state file.

    state.json          who serves, and each server's port, host key and whether it runs (0600)
    id_ed25519(.pub)    the key that logs in to every server (0600)
    daemon.lock         held (flock) by the supervising process for its whole life; never deleted
    start.lock          held by whoever starts or stops servers right now; never deleted
    control.sock        where the supervising process takes orders (0600)
    daemon.log(.1)      what the supervising process has to say, bounded (0600)
    servers/NAME/       home/ (0700) and host_key (0600) of one server

The state file is a record, not a proof of life: only the lock tells whether the process lives. All of
this is cheap to import: listing servers needs no SSH library.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
MAX_STATE_BYTES = 16 * 1024 * 1024
CONTROL = "control.sock"
MARKER = "WINDLASS_LOCAL_SERVER"
"""The environment variable that marks every process started on a local server."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """What is remembered of one server. `port` 0 means none was chosen yet."""

    port: int = 0
    host_key: str = ""
    running: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """The state file. `pid` and `started` (clock ticks or text of the system) name the supervising process."""

    pid: int = 0
    started: str = ""
    servers: Mapping[str, ServerRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie below one state folder."""

    root: Path

    @property
    def state(self) -> Path:
        """The state file."""
        return self.root / "state.json"

    @property
    def user_key(self) -> Path:
        """The private key that logs in to every server."""
        return self.root / "id_ed25519"

    @property
    def daemon_lock(self) -> Path:
        """Held by the supervising process."""
        return self.root / "daemon.lock"

    @property
    def start_lock(self) -> Path:
        """Held by whoever starts or stops servers."""
        return self.root / "start.lock"

    @property
    def control(self) -> Path:
        """The supervising process's socket."""
        return self.root / CONTROL

    @property
    def log(self) -> Path:
        """The supervising process's log."""
        return self.root / "daemon.log"

    def home(self, name: str) -> Path:
        """The home directory of a server."""
        return self.root / "servers" / name / "home"

    def host_key(self, name: str) -> Path:
        """The private host key of a server."""
        return self.root / "servers" / name / "host_key"

    def mark(self) -> str:
        """What marks processes of this workspace's servers: a digest of the folder's real path."""
        return hashlib.sha256(os.fsencode(os.path.realpath(self.root))).hexdigest()[:32]

    def create(self) -> None:
        """Makes the folder, and what is missing above it, for their owner alone."""
        missing = [self.root, *self.root.parents]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.root.chmod(0o700)


def read_state(layout: Layout) -> State:
    """The state file; an empty state when there is none or it cannot be understood."""
    try:
        with layout.state.open("rb") as file:
            data = json.loads(file.read(MAX_STATE_BYTES))
        servers = {
            name: ServerRecord(int(entry["port"]), str(entry["host_key"]), bool(entry["running"]))
            for name, entry in data["servers"].items()
        }
        return State(int(data["pid"]), str(data["started"]), servers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return State()


def write_state(layout: Layout, state: State) -> None:
    """Replaces the state file atomically (0600)."""
    document: dict[str, Any] = {"format": FORMAT, **asdict(state)}
    write_private(layout.state, json.dumps(document, indent=1).encode())


def write_private(path: Path, content: bytes) -> None:
    """Writes a file atomically that only its owner can read."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def is_served(layout: Layout) -> bool:
    """True while a supervising process lives: it holds its lock."""
    try:
        descriptor = os.open(layout.daemon_lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def try_lock(path: Path) -> int | None:
    """Takes an exclusive lock on a file (made when missing): its descriptor, or None when it is held."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@contextlib.contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name for a Unix socket that fits the system's limit (about 100 bytes), valid in the block.

    A long path is reached through a symbolic link in a private temporary folder.
    """
    text = str(path)
    if len(os.fsencode(text)) <= 100:
        yield text
        return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="wl-", dir=_short_temporary()) as folder:
        link = Path(folder) / "s"
        link.symlink_to(path.parent.absolute())
        yield str(link / path.name)


def _short_temporary() -> str:
    import tempfile

    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= 60 else "/tmp"  # a 0700 folder is made in it
