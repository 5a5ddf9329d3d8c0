"""Where an engine listens: a Unix socket of its own, and who may reach it.

A Unix socket's path has at most 107 bytes. Where the workspace's own folder lies deeper, the socket lies in a
private folder beside the temporary files; the lease names it either way. Never in XDG_RUNTIME_DIR, which goes
at logout.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import ssl
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from core.errors import InputError, WindlassError
from core.files import private_folder

NAME = "engine.sock"
PATH_BYTES = 107


def socket_path(state_dir: Path) -> Path:
    """Where the socket of a workspace's engine is to lie; makes the folder where it is not the workspace's own."""
    path = state_dir.absolute() / NAME
    if len(os.fsencode(path)) <= PATH_BYTES:
        return path
    return Path(tempfile.mkdtemp(prefix="windlass-")) / NAME


def bind(path: Path) -> socket.socket:
    """A listening socket that nobody but this account may reach (0600 in a 0700 folder).

    Only the holder of the lease may call it: what an ended engine left at the path is removed.
    Raises WindlassError.
    """
    private_folder(path.parent)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise WindlassError(f"{path} is there and is no socket", hint="move it out of the way")
        path.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listening.bind(str(path))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise WindlassError(f"the engine cannot listen on {path}: {error.strerror or error}") from error
    finally:
        os.umask(before)
    return listening


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen over TCP."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Address:
        """From `127.0.0.1:7411` or `[::1]:7411`. Raises InputError."""
        host, sign, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        try:
            ipaddress.ip_address(host)
        except ValueError:
            sign = ""
        if not sign or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
            raise InputError(f"{text!r} is not ADDRESS:PORT, such as 127.0.0.1:7411")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate (with its chain) and its key, both files in PEM."""

    certificate: Path
    key: Path

    def check(self) -> None:
        """Reads both, as the server will. Raises InputError."""
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(self.certificate, self.key)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise InputError(
                f"{self.certificate} and {self.key} cannot be used for TLS: {getattr(error, 'strerror', '') or error}",
                hint="both are PEM files, of one certificate and its key without a passphrase",
            ) from error


def bind_tcp(address: Address) -> socket.socket:
    """A listening TCP socket. Raises WindlassError.

    What is accepted on it inherits TCP_NODELAY: else the body of each answer on a kept connection waits some 40 ms for
    the client's delayed acknowledgement of the head. asyncio sets it only on sockets that name their protocol.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        listening = socket.create_server((address.host, address.port), family=family)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listening
    except OSError as error:
        raise WindlassError(
            f"the engine cannot listen on {address}: {error.strerror or error}",
            hint="name another port with --listen, or end what listens there",
        ) from error


def remove(path: Path) -> None:
    """Takes the socket away, and its folder where that was made for it."""
    with contextlib.suppress(OSError):
        path.unlink()
    if path.parent.name.startswith("windlass-") and path.parent.parent == Path(tempfile.gettempdir()):
        with contextlib.suppress(OSError):
            path.parent.rmdir()
