"""What every test runs under: an environment of its own, and nothing of the user's.

Set before the first test module is imported, since libraries read some of it then. Home, XDG folders and
the agent point into a folder that goes when the session ends, variables that change what is drawn or which
workspace is opened are dropped, so that no test reads or writes the user's own files and every machine
draws the same. OpenSSH's own programs take the home from the password database whatever HOME says: give
them their files by option (`-F`, `-o UserKnownHostsFile=…`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from pytest_textual_snapshot import SVGImageExtension

DROPPED = (
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "PYTHONDONTWRITEBYTECODE",  # else each of the many processes of the tests compiles everything anew
    "PY_COLORS",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "SSH_AUTH_SOCK",
    "TMUX",
)
DROPPED_PREFIXES = ("TEXTUAL", "WINDLASS", "XDG_")
KEPT = "TEXTUAL_SNAPSHOT_TEMPDIR"  # how the picture tests of xdist's workers find their controller

_home = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Gives this process (each xdist worker has its own) a home that nobody else uses."""
    for name in list(os.environ):
        if name != KEPT and (name in DROPPED or name.startswith(DROPPED_PREFIXES)):
            del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="wl-home-"))  # short: sockets have paths of 107 bytes at most
    config.stash[_home] = home
    os.environ["HOME"] = str(home)
    os.environ["TERM"] = "xterm-256color"
    os.environ["TZ"] = "UTC"
    for variable, folder, mode in (
        ("XDG_CACHE_HOME", ".cache", 0o755),
        ("XDG_CONFIG_HOME", ".config", 0o755),
        ("XDG_DATA_HOME", ".local/share", 0o755),
        ("XDG_STATE_HOME", ".local/state", 0o755),
        ("XDG_RUNTIME_DIR", "run", 0o700),
    ):
        (home / folder).mkdir(parents=True, mode=mode)
        os.environ[variable] = str(home / folder)

    # Syrupy would name pictures of screens ".raw".
    SVGImageExtension.file_extension = "svg"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the home again."""
    shutil.rmtree(config.stash[_home], ignore_errors=True)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return Path(__file__).resolve().parent.parent
