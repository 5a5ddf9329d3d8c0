"""What the providers' tests share: contexts made from YAML text, and connections to local servers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh

from core.inventory import read_settings_file
from providers.base import ProviderContext, Server
from providers.local.layout import Layout, is_served, read_state


def make_context(workspace: Path, text: str, *, provider: str = "local") -> ProviderContext:
    """A context as the inventory makes it, of a settings file with the given text."""
    file = workspace / "servers" / f"{provider}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    settings, positions = read_settings_file(workspace, file)
    return ProviderContext(
        workspace=workspace,
        state_dir=workspace / ".windlass" / "providers" / provider,
        settings_file=file,
        settings=settings,
        positions=positions,
    )


async def connect(server: Server, **options: Any) -> asyncssh.SSHClientConnection:
    """A connection with exactly what the provider says, and nothing of the user's."""
    target = server.ssh
    keys = [asyncssh.import_public_key(key) for key in target.host_keys]
    merged: dict[str, Any] = {
        "username": target.user,
        "client_keys": [str(path) for path in target.identity_files],
        "known_hosts": (keys, [], []),
        "config": None,
        "agent_path": None,
        "kex_algs": ["curve25519-sha256"],
        **options,
    }
    return await asyncssh.connect(target.address, target.port or 22, **merged)


def daemon_pid(context: ProviderContext) -> int:
    """The process that serves the local servers of a context."""
    return read_state(Layout(context.state_dir)).pid


def lives(pid: int) -> bool:
    """True while a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition: Callable[[], bool], what: str, *, limit_s: float = 60.0) -> None:
    """Polls for what cannot be awaited: other processes."""
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, f"not within {limit_s} s: {what}"
        time.sleep(0.01)


def kill_daemon(context: ProviderContext) -> int:
    """Kills the supervising process as hard as can be, and waits until its lock is free."""
    pid = daemon_pid(context)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_served(Layout(context.state_dir)), "the lock is free")
    return pid
