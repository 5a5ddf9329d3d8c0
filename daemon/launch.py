"""Reaches the engine of a workspace from another process: finds it, or starts one in the background."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import select
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.config.open import variables_here
from core.config.settings import is_this_machine
from core.engine.lease import read_owner
from core.errors import EngineGone, InputError, NotPossible, WindlassError, WorkspaceOwned
from core.files import private_folder
from core.logout import SCOPE_PREFIX, manager_folder
from core.model.views import OwnerInfo
from core.workspace.folder import Workspace
from daemon.client import EngineClient
from daemon.log import log_path
from daemon.problems import error_of

START_WAIT_S = 30.0
MANAGER_WAIT_S = 3.0
TOKEN_FILE_BYTES = 1024
SOCKET_WAIT_S = 5.0
"""An owner binds its socket right after it took the lease."""


async def connect(folder: Path, *, actor: str, version: str) -> EngineClient | None:
    """A client of the engine that owns the workspace; None where nobody owns it.

    Raises EngineGone where its owner does not answer, WorkspaceOwned where it listens nowhere, NotPossible where it is
    another version of Windlass.
    """
    workspace = Workspace.open(folder)
    owner = await _reachable(workspace.state_dir)
    if owner is None:
        return None
    client = EngineClient.over_socket(Path(owner.socket), actor=actor, variables=variables_here(workspace))
    way_out = (
        "`windlass engine stop` lets it end when what is in flight has ended; its runs stay resumable, "
        "and the next command starts an engine of this version"
    )
    return await _same_version(client, f"the engine of this workspace ({owner})", version, way_out)


async def connect_url(url: str, token_file: Path, ca: Path | None, *, version: str) -> EngineClient:
    """A client of the engine at an address, with the token that a private file holds; `ca` is a file of certificates.

    Raises InputError, EngineGone where nothing answers, NotPossible where it is another version of Windlass.
    """
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.path.strip("/"):
        raise InputError(f"{url!r} is no address of an engine", hint="such as http://127.0.0.1:7411")
    if parts.scheme == "http" and not is_this_machine(parts.hostname or ""):
        raise InputError(
            f"{url} would carry the token in clear",
            hint="bring it to this machine with `ssh -L`, or let the engine speak TLS (`engine start --tls`)",
        )
    client = EngineClient.over_tcp(url.rstrip("/"), token=_token(token_file), ca=ca)
    way_out = "follow it with the same version of Windlass as it has"
    return await _same_version(client, f"the engine at {url}", version, way_out)


def _token(file: Path) -> str:
    """The token in a file that nobody else may read. Raises InputError."""
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno())
            text = opened.read(TOKEN_FILE_BYTES).decode("ascii", "replace").strip()
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_mode & 0o077 or found.st_uid != os.getuid():
        raise InputError(f"{file} may be read by others: it holds a token", hint=f"chmod 600 {file}")
    if not text.isprintable() or not text or " " in text:
        raise InputError(f"{file} holds no token", hint="one line, as `windlass token create` shows it")
    return text


async def _same_version(client: EngineClient, name: str, version: str, way_out: str) -> EngineClient:
    try:
        theirs = str((await client.version())["windlass"])
        if theirs != version:
            raise NotPossible(f"{name} is Windlass {theirs}, and this is {version}", hint=way_out)
    except BaseException:
        await client.close()
        raise
    return client


async def connect_or_start(folder: Path, *, actor: str, version: str) -> EngineClient:
    """A client of the workspace's engine, which is started in the background where nobody owns the workspace.

    Raises as `connect` and `start` do.
    """
    client = await connect(folder, actor=actor, version=version)
    if client is None:
        await start(folder)
        client = await connect(folder, actor=actor, version=version)
    if client is None:
        raise EngineGone(
            "the engine that was just started has ended",
            hint=f"its log tells why: {log_path(Workspace.open(folder).state_dir)}",
        )
    return client


async def start(folder: Path, options: Sequence[str] = ()) -> OwnerInfo:
    """Starts an engine that no terminal, session or caller ends, and returns when it serves.

    Raises what the engine could not be opened for, and WindlassError where it did not come up in time.
    """
    workspace = Workspace.open(folder)
    told = await asyncio.to_thread(_spawn, workspace, options)
    if "problem" in told:
        raise error_of(told["problem"])
    owner = read_owner(workspace.state_dir)
    if "ready" not in told or owner is None:
        log = log_path(workspace.state_dir)
        raise WindlassError("the engine did not come up", hint=f"its log tells why: {log}")
    return owner


def _spawn(workspace: Workspace, options: Sequence[str]) -> Mapping[str, Any]:
    """Starts the process and returns what it says of itself, {} where it says nothing."""
    log = log_path(workspace.state_dir)
    private_folder(log.parent)
    command = [sys.executable, "-P", "-m", "cli", "engine", "start", "--foreground"]
    scope, environment = _scope(), _environment()
    if scope is not None:
        environment["XDG_RUNTIME_DIR"] = scope.folder
        command = [*scope.words, *command]
    ready, tell = os.pipe()
    try:
        with open(log, "ab", opener=_private) as written:
            process = subprocess.Popen(
                [*command, "--ready-fd", str(tell), *options, "--workspace", str(workspace.path)],
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                pass_fds=[tell],
                cwd="/",
                env=environment,
            )
        os.close(tell)
        tell = -1
        process.wait()  # it leaves the engine behind as a process of its own
        return _read(ready)
    finally:
        os.close(ready)
        if tell >= 0:
            os.close(tell)


@dataclass(frozen=True, slots=True)
class _Scope:
    """The words that start a program in a scope of the account's service manager, whose runtime folder is `folder`."""

    folder: str
    words: tuple[str, ...]


def _scope() -> _Scope | None:
    """A scope in which an engine outlives its session; None where that changes nothing, or it cannot be had."""
    folder = manager_folder()
    if not folder:
        return None
    words = ("systemd-run", "--user", "--scope", "--quiet", "--collect")
    # Asked first: an engine that does not come up must not be taken for a manager that does not answer.
    try:
        asked = subprocess.run(
            [*words, "true"],
            env={**os.environ, "XDG_RUNTIME_DIR": folder},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=MANAGER_WAIT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    named = f"--unit={SCOPE_PREFIX}{secrets.token_hex(6)}"
    told = "--description=The engine of a Windlass workspace"
    return _Scope(folder, (*words, named, told)) if asked.returncode == 0 else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _environment() -> dict[str, str]:
    """The environment of a background engine: this one's, without what belongs to a terminal."""
    gone = ("COLUMNS", "LINES", "TERM_PROGRAM", "WINDOWID")
    return {name: value for name, value in os.environ.items() if name not in gone}


def _read(ready: int) -> Mapping[str, Any]:
    data = b""
    until = time.monotonic() + START_WAIT_S
    while not data.endswith(b"\n"):
        readable, _, _ = select.select([ready], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(ready, 65536) if readable else b""
        if not piece:
            return {}
        data += piece
    found: Mapping[str, Any] = json.loads(data)
    return found


async def _reachable(state_dir: Path) -> OwnerInfo | None:
    """Who owns the workspace, once it says where it listens. Raises WorkspaceOwned."""
    clock = asyncio.get_running_loop().time
    until = clock() + SOCKET_WAIT_S
    while True:
        owner = read_owner(state_dir)
        if owner is None or (owner.socket and Path(owner.socket).exists()):
            return owner
        if clock() > until:
            raise WorkspaceOwned(
                f"another engine owns this workspace and listens nowhere: {owner}",
                hint="wait until it ends, or look on with `windlass runs watch`; `windlass engine take-over` ends an "
                "owner that hangs",
            )
        await asyncio.sleep(0.05)
