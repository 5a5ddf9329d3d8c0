"""Who acts: what events, decisions and the audit log are signed with."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Mapping

from core.model.actors import Actor, harmless, nameless

CLAIM_CHARS = 80


def actor() -> str:
    """This process, as a line of `core.model.actors`."""
    return str(Actor(_name(), _terminal(), _process(), claims(os.environ)))


def at_terminal() -> str:
    """`user@host (pts/3)`: who is here, and at which terminal where there is one."""
    return Actor(_name(), _terminal()).place


def claims(environment: Mapping[str, str]) -> str:
    """What the environment says of where an account came from, which anybody could have set there."""
    told = []
    if by := environment.get("SUDO_USER"):
        told.append(f"sudo by {_claim(by)}")
    if connection := environment.get("SSH_CONNECTION"):
        address, _, _ = connection.partition(" ")
        told.append(f"ssh from {_claim(address)}")
    return ", ".join(told)


def _claim(text: str) -> str:
    return harmless(text, CLAIM_CHARS).replace(";", ",")


def _name() -> str:
    return f"{_user()}@{socket.gethostname() or 'localhost'}"


def _user() -> str:
    """By the uid, not by what LOGNAME says: that is anybody's word."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as containers have
        return nameless(os.getuid())


def _process() -> int:
    return os.getpid()


def _terminal() -> str:
    try:
        return os.ttyname(0).removeprefix("/dev/")
    except OSError:
        return ""
