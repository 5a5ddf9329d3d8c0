"""Why a connection could not be made, in words for a person.

`classify` turns whatever asyncssh or the system raised into `Unreachable`: what happened and to whom (the
jump host is named where it is the one that failed), what to do next, and whether it is a matter of
credentials. `worth_retrying` knows the refusals that pass by themselves: a server that closes during the
handshake because too many connections begin at once.
"""

from __future__ import annotations

import errno
import re
import socket
from dataclasses import dataclass, field
from enum import IntEnum

import asyncssh
from asyncssh.public_key import SSHKey

from core.display import display_line
from core.engine.executor import Unreachable
from core.ssh.hostkeys import Trust, fingerprint, refusal
from core.ssh.keys import Tried
from core.ssh.options import Resolved

MAX_REMOTE_CHARS = 200
_NO_ROUTE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN})
_TOO_MANY_CONNECTIONS = 12


class Stage(IntEnum):
    """How far an attempt came."""

    CONNECT = 0
    HANDSHAKE = 1
    AUTHENTICATION = 2
    OPEN = 3


@dataclass(slots=True)
class Attempt:
    """One connection attempt, filled in while it goes on. `via` names the jump host it goes through."""

    resolved: Resolved
    trust: Trust
    timeout_s: float
    jump: bool = False
    via: str = ""
    stage: Stage = Stage.CONNECT
    shown: SSHKey | None = None
    shown_authority: SSHKey | None = None
    asked_for_keys: bool = False
    tried: Tried = field(default_factory=Tried)
    proxy_said: str = ""

    @property
    def who(self) -> str:
        """The server or jump host, with its address."""
        through = f" through {self.via}" if self.via else ""
        what = "the jump host " if self.jump else ""
        return f"{what}{self.resolved.name} ({self.resolved.address}, port {self.resolved.port}{through})"


class ProxyFailed(Exception):
    """The proxy command ended before the connection was made; the text is what it said."""


def remote_text(text: str) -> str:
    """What the other side said, made harmless and short."""
    return display_line(" ".join(text.split()), max_chars=MAX_REMOTE_CHARS)


def worth_retrying(error: BaseException, attempt: Attempt) -> bool:
    """Whether the server turned us away as one with too many connections does, or its jump host had no room."""
    if isinstance(error, asyncssh.ChannelOpenError):
        return error.code == asyncssh.OPEN_RESOURCE_SHORTAGE
    if attempt.stage is not Stage.HANDSHAKE:
        return False
    if isinstance(error, asyncssh.ServiceNotAvailable):
        return True
    if isinstance(error, asyncssh.DisconnectError) and error.code == _TOO_MANY_CONNECTIONS:
        return True
    return isinstance(error, asyncssh.ConnectionLost | ConnectionError)


def classify(error: BaseException, attempt: Attempt) -> Unreachable:
    """The error of a connection attempt as Unreachable."""
    if isinstance(error, Unreachable):
        return error
    who = attempt.who
    match error:
        case TimeoutError():
            return _timed_out(attempt)
        case ProxyFailed():
            said = remote_text(str(error)) or "it said nothing"
            return Unreachable(
                f"{who}: its ProxyCommand ended: {said}",
                hint=f"try it by hand: {attempt.resolved.proxy_command}",
            )
        case asyncssh.HostKeyNotVerifiable():
            return _host_key(error, attempt)
        case asyncssh.PermissionDenied():
            return _denied(attempt)
        case asyncssh.KeyExchangeFailed():
            return Unreachable(
                f"{who}: no algorithm in common: {remote_text(str(error))}",
                hint="KexAlgorithms, Ciphers, MACs or HostKeyAlgorithms in ssh_config can allow an older one",
            )
        case asyncssh.ChannelOpenError():
            return _through_jump(error, attempt)
        case (
            asyncssh.ConnectionLost() | ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError()
        ):
            return _lost(error, attempt)
        case asyncssh.DisconnectError():
            return _disconnected(error, attempt)
        case OSError():
            return _system(error, attempt)
        case UnicodeError():
            return Unreachable(f"{who}: its address is no host name", hint="correct the server's address")
        case _:
            return Unreachable(f"{who}: {type(error).__name__}: {remote_text(str(error))}")


def _timed_out(attempt: Attempt) -> Unreachable:
    after = f"within {attempt.timeout_s:g} s"
    match attempt.stage:
        case Stage.CONNECT:
            return Unreachable(
                f"{attempt.who} did not answer {after}",
                hint="is it up, is the address right, does a firewall drop the packets?",
            )
        case Stage.HANDSHAKE:
            return Unreachable(
                f"{attempt.who} accepted the connection and did not finish the SSH handshake {after}",
                hint="is it an SSH server, and is it overloaded?",
            )
        case _:
            return Unreachable(
                f"{attempt.who} did not finish the authentication {after}",
                hint="does a key or the agent wait for a touch or a confirmation?",
                credentials=bool(attempt.tried.keys),
                gone=bool(attempt.tried.keys),
            )


def _host_key(error: asyncssh.HostKeyNotVerifiable, attempt: Attempt) -> Unreachable:
    if attempt.shown is not None:
        return refusal(attempt.resolved, attempt.trust, attempt.shown, jump=attempt.jump)
    if attempt.shown_authority is not None:
        known = ", ".join(f"{key.fingerprint} ({key.place})" for key in attempt.trust.authorities)
        return Unreachable(
            f"{attempt.who}: its host certificate is signed by {fingerprint(attempt.shown_authority)}, "
            f"known is {known or 'no authority'}",
            hint="somebody may be in between: find out why it changed before anything else",
        )
    reason = remote_text(error.reason)
    if "revoked" in reason.lower():
        places = ", ".join(known.place for known in attempt.trust.revoked)
        return Unreachable(
            f"{attempt.who}: {reason} ({places})",
            hint="somebody else may have this key: give the server a new one before anything else",
        )
    return Unreachable(f"{attempt.who}: its host key is not acceptable: {reason}")


def _denied(attempt: Attempt, said: str = "") -> Unreachable:
    tried, resolved = attempt.tried, attempt.resolved
    parts = [f"{attempt.who} does not let {resolved.user!r} in{': ' + said if said else ''}"]
    if not resolved.public_key_auth:
        parts.append("PubkeyAuthentication is off in ssh_config, and nothing else is tried")
    elif not attempt.asked_for_keys:
        parts.append("it does not take keys from this user")
    else:
        parts.append(f"tried {', '.join(tried.keys)}" if tried.keys else "there was no key to try")
    if tried.skipped:
        parts.append(f"not usable: {', '.join(tried.skipped)}")
    if tried.agent:
        parts.append(remote_text(tried.agent))
    return Unreachable("; ".join(parts), hint=_key_hint(attempt), credentials=True, gone=_gone(attempt))


def _gone(attempt: Attempt) -> bool:
    """Whether a key is missing that a person can give: its agent is gone or empty, or nobody gave the passphrase."""
    tried = attempt.tried
    emptied = bool(attempt.resolved.agent) and not tried.agent_keys
    return bool(tried.agent) or (not tried.keys and (bool(tried.locked) or emptied))


def _key_hint(attempt: Attempt) -> str:
    tried, resolved = attempt.tried, attempt.resolved
    if tried.agent:
        return "see to the agent: ssh-add -l must list the key, then resume"
    if tried.locked:
        return f"give the key to the agent, then resume: ssh-add {tried.locked[0]}"
    if not tried.keys:
        return "configure an identity file for the server, or start an agent and ssh-add the key"
    return f"is the key in ~/.ssh/authorized_keys of {resolved.user} there, and is the user right?"


def _through_jump(error: asyncssh.ChannelOpenError, attempt: Attempt) -> Unreachable:
    via = attempt.via or "the jump host"
    reason = remote_text(error.reason)
    if error.code == asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED:
        return Unreachable(
            f"{via} does not allow a connection on to {attempt.who}: {reason}",
            hint="AllowTcpForwarding and PermitOpen of the jump host decide this",
        )
    return Unreachable(
        f"{via} could not connect to {attempt.who}: {reason}",
        hint="is the server up, and does the jump host reach it by this address?",
    )


def _lost(error: BaseException, attempt: Attempt) -> Unreachable:
    if attempt.proxy_said:
        return Unreachable(
            f"{attempt.who}: its ProxyCommand ended: {remote_text(attempt.proxy_said)}",
            hint=f"try it by hand: {attempt.resolved.proxy_command}",
        )
    if attempt.stage is Stage.AUTHENTICATION:
        return Unreachable(
            f"{attempt.who} closed the connection during the authentication",
            hint=f"its log tells why; is {attempt.resolved.user!r} allowed to log in there?",
            credentials=bool(attempt.tried.keys),
        )
    return Unreachable(
        f"{attempt.who} closed the connection during the SSH handshake",
        hint="too many connections at once (MaxStartups), an address that it does not serve, or no SSH server",
    )


def _disconnected(error: asyncssh.DisconnectError, attempt: Attempt) -> Unreachable:
    reason = remote_text(error.reason)
    if "authentication failures" in reason.lower():
        denied = _denied(attempt, reason)
        hint = "it counts every key: name one with IdentityFile and set IdentitiesOnly yes"
        return Unreachable(denied.why, hint=hint, credentials=True, gone=denied.gone)
    if attempt.stage is Stage.AUTHENTICATION:
        return Unreachable(f"{attempt.who} ended the authentication: {reason}", credentials=True)
    return Unreachable(f"{attempt.who} ended the SSH handshake: {reason}", hint="is it an SSH server?")


def _system(error: OSError, attempt: Attempt) -> Unreachable:
    who = attempt.who
    if isinstance(error, socket.gaierror):
        if error.errno == socket.EAI_AGAIN:
            return Unreachable(
                f"{who}: the name service does not answer", hint="try again, or give an address"
            )
        return Unreachable(
            f"{who}: its name is not known", hint="correct the server's address, or its DNS entry"
        )
    # asyncio tells of several addresses in one text.
    numbers = {int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))} or {error.errno or 0}
    if numbers == {errno.ECONNREFUSED}:
        return Unreachable(
            f"{who} refused the connection: nothing listens there",
            hint="is the SSH server running, and is the port right?",
        )
    if numbers <= _NO_ROUTE:
        return Unreachable(f"{who}: there is no route to it", hint="is the network or the VPN up?")
    if numbers == {errno.ETIMEDOUT}:
        return Unreachable(f"{who} did not answer", hint="is it up, and does a firewall drop the packets?")
    if numbers <= {errno.EACCES, errno.EPERM}:
        return Unreachable(
            f"{who}: this machine does not allow the connection", hint="a local firewall rule?"
        )
    if numbers <= {errno.EMFILE, errno.ENFILE}:
        return Unreachable(f"{who}: too many open files here", hint="raise the limit: ulimit -n")
    return Unreachable(f"{who}: {remote_text(error.strerror or str(error))}")
