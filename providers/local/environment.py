"""The environment of commands on a local server: that of a fresh login, nothing of whoever runs Windlass.

Of the supervising process only PATH, LANG, TZ and TMPDIR pass; of the client only what a usual server
accepts (LANG, LC_*) and WINDLASS_*, within bounds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

INHERITED = ("LANG", "TZ", "TMPDIR")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_CLIENT_VARIABLES = 256
MAX_CLIENT_BYTES = 1024 * 1024


def search_path(inherited: str | None, executable: str) -> str:
    """PATH: the inherited one, and behind it the folder of the Python that runs Windlass."""
    folders = [folder for folder in (inherited or DEFAULT_PATH).split(os.pathsep) if os.path.isabs(folder)]
    python = str(Path(executable).parent)
    if executable and python not in folders:
        folders.append(python)
    return os.pathsep.join(folders)


def is_accepted(key: str) -> bool:
    """True for variables that a client may set."""
    return key == "LANG" or key.startswith(("LC_", "WINDLASS_"))


def session_environment(
    *,
    user: str,
    home: Path,
    mark: tuple[str, str],
    client: Mapping[bytes, bytes],
    connection: tuple[str, int, str, int],
    terminal: tuple[str, str] | None = None,
    inherited: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """The whole environment of a command.

    `mark` is the marker's variable and value, `connection` client address and port and server address
    and port, `terminal` the terminal's type and device. `client` holds what the client asked to set.
    """
    environment = {key: inherited[key] for key in INHERITED if inherited.get(key)}
    environment.update(_accepted(client))
    environment.update(
        {
            "PATH": search_path(inherited.get("PATH"), sys.executable),
            "HOME": str(home),
            "PWD": str(home),
            "USER": user,
            "LOGNAME": user,
            "SHELL": "/bin/sh",
            "SSH_CLIENT": f"{connection[0]} {connection[1]} {connection[3]}",
            "SSH_CONNECTION": " ".join(str(part) for part in connection),
            mark[0]: mark[1],
        }
    )
    if terminal is not None:
        environment["TERM"] = terminal[0] or "dumb"
        environment["SSH_TTY"] = terminal[1]
    return environment


def _accepted(client: Mapping[bytes, bytes]) -> dict[str, str]:
    accepted: dict[str, str] = {}
    size = 0
    for raw_key, raw_value in client.items():
        key, value = os.fsdecode(raw_key), os.fsdecode(raw_value)
        if not is_accepted(key) or "\0" in key + value or "=" in key:
            continue
        size += len(raw_key) + len(raw_value)
        if size > MAX_CLIENT_BYTES or len(accepted) >= MAX_CLIENT_VARIABLES:
            break
        accepted[key] = value
    return accepted
