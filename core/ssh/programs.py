"""Programs that an ssh configuration names: whose they are.

A `ProxyCommand` in the user's or the system's own configuration is the user's to run. One in a file that
somebody else named (`ssh_config: {file: …}` of a workspace) is that somebody's, unless the line stands in a file of
`~/.ssh` or `/etc/ssh` all the same.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.ssh.options import Resolved
from providers.base import SshTarget

SYSTEM = Path("/etc/ssh")


def named_by_others(target: SshTarget) -> bool:
    """Whether a target is looked up in a file that is neither the user's nor the system's own."""
    named = target.ssh_config
    return target.use_ssh_config and named is not None and named != Path() and not _own(str(named))


def foreign_program(resolved: Resolved) -> str:
    """The `ProxyCommand` that others named for this server, as "file:line: command"; "" where there is none."""
    if (
        not resolved.proxy_command
        or not named_by_others(resolved.target)
        or _own(resolved.proxy_command_file)
    ):
        return ""
    return f"{resolved.proxy_command_place}: ProxyCommand {resolved.proxy_command}"


def _own(file: str) -> bool:
    path = Path(os.path.normpath(Path(file).expanduser()))
    folders = (Path.home() / ".ssh", SYSTEM)
    return any(path.is_relative_to(folder) for folder in folders)
