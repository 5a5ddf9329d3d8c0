"""The SSH agent of a process: whether it answers, and how long it is there."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from core.errors import InputError
from core.logout import Login

ANSWER_WAIT_S = 2.0


def agent_socket() -> str:
    """The socket of this process's agent, "" where it has none."""
    return os.environ.get("SSH_AUTH_SOCK", "")


def answers(path: str) -> bool:
    """Whether somebody listens there. Blocks, not for long."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(ANSWER_WAIT_S)
        asked.connect(path)
        return True
    return False


def use_agent(path: str) -> None:
    """Lets every connection of this process from here on use another agent. Raises InputError where it is not ours."""
    try:
        found = Path(path).lstat()
    except (OSError, ValueError) as error:
        raise InputError(f"{path[:200]} is no socket of an agent: {error}") from error
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise InputError(f"{path} is no socket of this account")
    if not answers(path):
        raise InputError(f"the agent at {path} does not answer")
    os.environ["SSH_AUTH_SOCK"] = path


def outlives_session(path: str) -> bool:
    """Whether an agent, by its place, is there after the session that a process was started in."""
    if path.startswith("/run/user/"):
        return Login().lingers
    return not path.startswith("/tmp/ssh-")


def how_long(path: str) -> str:
    """How long an agent is there, as far as its place tells."""
    if path.startswith("/tmp/ssh-"):
        return "it goes with the session or connection that made it"
    if path.startswith("/run/user/"):
        if Login().lingers:
            return "it outlives a logout, as the account lingers"
        return "it goes at logout, as the account does not linger (`loginctl enable-linger`)"
    return "it is there as long as its own process"
