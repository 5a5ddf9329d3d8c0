"""Every way in which a connection fails has words, and credentials are told apart."""

from __future__ import annotations

import errno
import socket

import asyncssh
import pytest

from core.engine.executor import Unreachable
from core.ssh.failures import Attempt, ProxyFailed, Stage, classify, worth_retrying
from core.ssh.hostkeys import Trust
from core.ssh.options import resolve
from providers.base import Server, SshTarget


def attempt(stage: Stage = Stage.CONNECT, **changes: object) -> Attempt:
    server = Server("web1", "test", SshTarget("10.0.0.1", user="bob", use_ssh_config=False))
    return Attempt(resolve(server), Trust("web1"), 15.0, stage=stage, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "stage", "words"),
    [
        (TimeoutError(), Stage.CONNECT, "did not answer within 15 s"),
        (TimeoutError(), Stage.HANDSHAKE, "did not finish the SSH handshake within 15 s"),
        (TimeoutError(), Stage.AUTHENTICATION, "did not finish the authentication within 15 s"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), Stage.CONNECT, "refused the connection"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed, [Errno 111] Connect call failed"),
            Stage.CONNECT,
            "refused the connection",
        ),
        (OSError(errno.EHOSTUNREACH, "x"), Stage.CONNECT, "no route"),
        (
            OSError("Multiple exceptions: [Errno 101] Network unreachable, [Errno 113] No route"),
            Stage.CONNECT,
            "no route",
        ),
        (OSError(errno.EMFILE, "x"), Stage.CONNECT, "too many open files here"),
        (PermissionError(errno.EPERM, "x"), Stage.CONNECT, "does not allow the connection"),
        (OSError(errno.EIO, "strange"), Stage.CONNECT, "strange"),
        (socket.gaierror(socket.EAI_NONAME, "x"), Stage.CONNECT, "name is not known"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), Stage.CONNECT, "name service does not answer"),
        (UnicodeError("label too long"), Stage.CONNECT, "no host name"),
        (asyncssh.ConnectionLost("x"), Stage.HANDSHAKE, "during the SSH handshake"),
        (ConnectionResetError(errno.ECONNRESET, "x"), Stage.HANDSHAKE, "during the SSH handshake"),
        (asyncssh.ConnectionLost("x"), Stage.AUTHENTICATION, "during the authentication"),
        (
            asyncssh.KeyExchangeFailed("No matching kex"),
            Stage.HANDSHAKE,
            "no algorithm in common: No matching kex",
        ),
        (asyncssh.ProtocolError("Unsupported SSH version"), Stage.HANDSHAKE, "Unsupported SSH version"),
        (asyncssh.HostKeyNotVerifiable("Certificate expired"), Stage.HANDSHAKE, "Certificate expired"),
        (asyncssh.ChannelOpenError(1, "denied"), Stage.CONNECT, "does not allow a connection on"),
        (asyncssh.ChannelOpenError(2, "refused"), Stage.CONNECT, "could not connect to"),
        (ProxyFailed("nc: \x1b[0mbad"), Stage.HANDSHAKE, "ProxyCommand ended: nc:"),
        (ValueError("odd"), Stage.CONNECT, "ValueError: odd"),
    ],
)
def test_words(error: BaseException, stage: Stage, words: str) -> None:
    told = classify(error, attempt(stage))
    assert words in told.why
    assert "web1" in told.why
    assert "10.0.0.1" in told.why
    assert told.why.isprintable()
    assert not told.credentials


@pytest.mark.parametrize(
    "error",
    [
        asyncssh.PermissionDenied("x"),
        asyncssh.ProtocolError("Too many authentication failures"),
        asyncssh.DisconnectError(14, "No more methods"),
    ],
)
def test_credentials_are_told_apart(error: BaseException) -> None:
    told = classify(error, attempt(Stage.AUTHENTICATION))
    assert told.credentials
    assert isinstance(told, Unreachable)


def test_the_jump_host_is_named() -> None:
    told = classify(ConnectionRefusedError(errno.ECONNREFUSED, "x"), attempt(jump=True))
    assert told.why.startswith("the jump host web1 (10.0.0.1, port 22) refused")
    told = classify(TimeoutError(), attempt(via="the jump host bastion"))
    assert "through the jump host bastion" in told.why


@pytest.mark.parametrize(
    ("error", "stage", "again"),
    [
        (asyncssh.ConnectionLost("x"), Stage.HANDSHAKE, True),
        (ConnectionResetError(), Stage.HANDSHAKE, True),
        (asyncssh.DisconnectError(12, "too many connections"), Stage.HANDSHAKE, True),
        (asyncssh.ConnectionLost("x"), Stage.AUTHENTICATION, False),
        (ConnectionRefusedError(), Stage.CONNECT, False),
        (TimeoutError(), Stage.HANDSHAKE, False),
        (asyncssh.HostKeyNotVerifiable("x"), Stage.HANDSHAKE, False),
        (asyncssh.KeyExchangeFailed("x"), Stage.HANDSHAKE, False),
    ],
)
def test_only_what_passes_is_tried_again(error: BaseException, stage: Stage, again: bool) -> None:
    assert worth_retrying(error, attempt(stage)) is again
