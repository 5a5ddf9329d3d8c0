"""Makes one SSH connection: handshake, host key, user keys.

Purpose: every connection, to a server or a jump host, is made here, with the same options, host key check
and order of keys. The options that asyncssh needs are prepared once for each set of algorithms; it never
reads a configuration or known_hosts file by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator
from typing import Any, cast

import asyncssh
from asyncssh.public_key import SSHKey, SSHKeyPair

from core.ssh.algorithms import order_host_keys
from core.ssh.failures import Attempt, ProxyFailed, Stage, worth_retrying
from core.ssh.keys import KeyRing
from core.ssh.link import Link
from core.ssh.options import Algorithms, Resolved
from core.ssh.proxy import ProxyCommand
from core.ssh.settings import SshSettings
from core.ssh.wire import Way

_PASSING = re.compile(r"kex_exchange_identification|Connection (closed|reset)|banner exchange", re.IGNORECASE)
"""What ssh as a proxy command says when the host in between turns it away."""


class Watcher(asyncssh.SSHClient):
    """Follows a connection: notes how far the attempt came, refuses unknown keys, hands out user keys."""

    def __init__(self, attempt: Attempt, keys: KeyRing) -> None:
        self.link: Link | None = None
        self._attempt = attempt
        self._candidates = cast(
            "AsyncGenerator[list[SSHKeyPair], None]", keys.candidates(attempt.resolved, attempt.tried)
        )

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """The transport is there."""
        self._attempt.stage = Stage.HANDSHAKE

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended."""
        if self.link is not None:
            self.link.note_lost(exc)

    def validate_host_public_key(self, host: str, addr: str, port: int, key: SSHKey) -> bool:
        """The server showed a key that is not among the known ones."""
        self._attempt.shown = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: SSHKey) -> bool:
        """The server showed a certificate of an authority that is not among the known ones."""
        self._attempt.shown_authority = key
        return False

    def begin_auth(self, username: str) -> None:
        """The host key is accepted."""
        self._attempt.stage = Stage.AUTHENTICATION

    def auth_completed(self) -> None:
        """We are in."""
        self._attempt.stage = Stage.OPEN

    async def public_key_auth_requested(self) -> list[SSHKeyPair] | None:
        """The next key to offer, or None."""
        self._attempt.asked_for_keys = True
        return await anext(self._candidates, None)

    async def finish(self) -> None:
        """Closes the agent's connection; the authentication is over."""
        await self._candidates.aclose()


async def dial(attempt: Attempt, settings: SshSettings, keys: KeyRing, through: Link | None) -> Link:
    """Connects and authenticates, within the attempt's timeout.

    Raises what asyncssh and the system raise; `attempt` then holds what `failures.classify` needs.
    """
    resolved = attempt.resolved
    watcher = Watcher(attempt, keys)
    proxy: ProxyCommand | None = None
    try:
        async with asyncio.timeout(attempt.timeout_s):
            if through is None and resolved.proxy_command:
                proxy = await ProxyCommand.start(resolved.proxy_command)
            connection = await asyncssh.connect(
                resolved.address,
                resolved.port,
                options=_shared_options(resolved.algorithms),
                config=None,
                tunnel=Way(
                    family=resolved.family,
                    local_addr=(resolved.bind_address, 0) if resolved.bind_address else None,
                    sock=proxy.socket if proxy is not None else None,
                    through=through.connection if through is not None else None,
                ),
                client_factory=lambda: watcher,
                **_own_options(attempt, settings),
            )
    except BaseException as error:
        if proxy is not None:
            attempt.proxy_said = await proxy.said()
            await proxy.close()
            if isinstance(error, Exception) and _broken_proxy(attempt):
                raise ProxyFailed(attempt.proxy_said) from error
        raise
    finally:
        with contextlib.suppress(Exception):
            await watcher.finish()
    link = Link(connection, resolved, settings.parallel_channels, proxy)
    watcher.link = link
    if connection.is_closed():
        link.note_lost(None)
    return link


def may_pass(error: BaseException, attempt: Attempt) -> bool:
    """Whether another attempt in a moment may succeed."""
    if attempt.proxy_said and not _PASSING.search(attempt.proxy_said):
        return False
    return worth_retrying(error, attempt)


def _broken_proxy(attempt: Attempt) -> bool:
    return (
        bool(attempt.proxy_said)
        and attempt.stage <= Stage.HANDSHAKE
        and not _PASSING.search(attempt.proxy_said)
    )


@functools.lru_cache(maxsize=64)
def _shared_options(algorithms: Algorithms) -> asyncssh.SSHClientConnectionOptions:
    """What is the same for all servers with these algorithms; nothing is read from files."""
    return asyncssh.SSHClientConnectionOptions(
        config=None,
        kex_algs=list(algorithms.kex),
        encryption_algs=list(algorithms.ciphers),
        mac_algs=list(algorithms.macs),
        compression_algs=["zlib@openssh.com", "none"] if algorithms.compression else ["none"],
        client_keys=None,
        client_host_keys=None,
        client_host_keysign=False,
        host_based_auth=False,
        password_auth=False,
        kbdint_auth=False,
        preferred_auth=["publickey"],
        gss_host=None,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        known_hosts=([], [], []),
        send_env=None,
        request_pty=False,
        canonicalize_hostname=False,
    )


def _own_options(attempt: Attempt, settings: SshSettings) -> dict[str, Any]:
    resolved, trust = attempt.resolved, attempt.trust
    ordered = order_host_keys(
        resolved.algorithms.host_keys, trust.algorithms, authority=bool(trust.authorities)
    )
    return {
        "username": resolved.user,
        "tcp_keepalive": resolved.tcp_keepalive,
        "public_key_auth": resolved.public_key_auth,
        "known_hosts": (
            [known.key for known in trust.keys],
            [known.key for known in trust.authorities],
            [known.key for known in trust.revoked],
        ),
        "host_key_alias": resolved.host_key_alias or None,
        "server_host_key_algs": ordered,
        "login_timeout": 0,
        "keepalive_interval": _keepalive_s(resolved, settings),
        "keepalive_count_max": min(
            resolved.keepalive_count or settings.keepalive_count, settings.keepalive_count
        ),
        "agent_forwarding": resolved.forward_agent or False,
        "env": dict(resolved.set_env) or None,
    }


def _keepalive_s(resolved: Resolved, settings: SshSettings) -> float:
    """The configuration may ask more often, not less: a half-open connection ends within our limit."""
    if resolved.keepalive_s:
        return min(resolved.keepalive_s, settings.keepalive_s)
    return settings.keepalive_s
