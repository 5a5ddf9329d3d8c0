"""How the servers of a workspace are reached: the settings of the SSH side, with what the workspace may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.errors import InputError
from core.workspace.folder import Workspace

if TYPE_CHECKING:
    from core.ssh.settings import SshSettings


def ssh_settings(workspace: Workspace) -> SshSettings:
    """The settings for one workspace: its known_hosts, and whether programs that it names are run."""
    from core.ssh.settings import SshSettings

    return SshSettings(known_hosts=workspace.known_hosts, foreign_programs=may_name_programs(workspace))


def may_name_programs(workspace: Workspace) -> bool:
    """Whether the workspace is trusted; what cannot be read grants nothing."""
    from core.workspace.trust import is_trusted

    try:
        return is_trusted(workspace)
    except InputError:
        return False
