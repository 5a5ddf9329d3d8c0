"""`windlass engine start, stop, logs`: the engine as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.exits import Exit
from cli.launch import background, host_engine, perform
from cli.options import changed_folder, command, workspace_folder, workspace_option
from cli.terminal import clean, note, out, paint, say
from cli.words import duration

if TYPE_CHECKING:
    from core.model.views import OwnerInfo

STOP_LOOK_S = 0.1
FOLLOW_LOOK_S = 0.3


@click.command()
@click.option("--foreground", is_flag=True, help="Be the engine in this process, as a service unit wants it.")
@click.option(
    "--idle",
    "idle_s",
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="End after so long with nothing to do; else as the setting app.engine.idle says.",
)
@click.option(
    "--listen",
    default="",
    metavar="ADDRESS:PORT",
    help="Serve its REST API over TCP as well, to who has a token.",
)
@click.option(
    "--tls",
    nargs=2,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    metavar="CERTIFICATE KEY",
    help="Two PEM files: what listens over TCP speaks TLS.",
)
@click.option("--ready-fd", type=int, hidden=True, help="Where to say that it serves.")
@workspace_option
def start(
    foreground: bool,
    idle_s: float | None,
    listen: str,
    tls: tuple[Path, Path] | None,
    ready_fd: int | None,
) -> Exit:
    """Start an engine that no terminal ends.

    It owns the workspace, executes its runs, and serves every other command and the interface, until it is stopped
    or has nothing to do for a while. A second one is refused.
    """
    if tls and not listen:
        raise click.UsageError("--tls is for what --listen names")
    folder = changed_folder()
    if ready_fd is not None:
        _leave_starter()
    if foreground:
        return perform(_be_engine(folder, idle_s, listen, tls, ready_fd))
    options = [f"--idle={idle_s:g}"] if idle_s is not None else []
    options += ["--listen", listen] if listen else []
    options += ["--tls", *map(str, tls)] if tls else []
    return perform(_start(folder, options))


def _leave_starter() -> None:
    """Goes on as a process of its own: who started it waits for its parent only, and is left with no zombie."""
    if os.fork():
        os._exit(0)
    os.setsid()


async def _start(folder: Path, options: list[str]) -> Exit:
    from core.engine.lease import read_owner
    from core.workspace.folder import Workspace
    from daemon import launch

    state_dir = Workspace.open(folder).state_dir
    there = read_owner(state_dir)
    if there is not None and there.background:
        say(f"it runs already: {clean(str(there))}")
        return Exit.OK
    owner = await launch.start(folder, options)
    say(f"the engine runs: {clean(str(owner))}; it listens on {clean(owner.socket)}")
    say(f"stop it with: {command('engine', 'stop')}")
    if not owner.stays:
        say(f"{paint('warning:', 'warning', sys.stderr)} {clean(owner.logout)}")
    return Exit.OK


async def _be_engine(
    folder: Path,
    idle_s: float | None,
    listen: str,
    tls: tuple[Path, Path] | None,
    ready_fd: int | None,
) -> Exit:
    from core.errors import WindlassError

    def tell(document: dict[str, object]) -> None:
        nonlocal ready_fd
        if ready_fd is not None:
            with os.fdopen(ready_fd, "wb") as pipe:
                pipe.write(json.dumps(document).encode() + b"\n")
            ready_fd = None

    try:
        await host_engine(
            folder, idle_s=idle_s, listen=listen, tls=tls, ready=lambda: tell({"ready": {"pid": os.getpid()}})
        )
    except WindlassError as error:
        if ready_fd is not None:
            from daemon.problems import problem

            tell({"problem": problem(error)})
        raise
    return Exit.OK


@click.command()
@click.option("--now", is_flag=True, help="End at once: commands in flight go on on their servers.")
@workspace_option
def stop(now: bool) -> Exit:
    """Stop the background engine.

    What is in flight ends first and is checkpointed; runs that are not over stay resumable. A second
    Ctrl-C, or --now, ends it at once.
    """
    return perform(_stop(changed_folder(), now))


async def _stop(folder: Path, now: bool) -> Exit:
    from core.engine.lease import read_owner
    from core.workspace.folder import Workspace

    state_dir = Workspace.open(folder).state_dir
    owner = read_owner(state_dir)
    if owner is None:
        say("no engine owns this workspace")
        return Exit.OK
    client = await background(folder)
    if client is None:
        from core.errors import WorkspaceOwned

        raise WorkspaceOwned(
            f"{owner} is no background engine: it ends where it was started",
            hint=f"Ctrl-C there, or `kill -TERM {owner.pid}`, lets it end; `windlass engine take-over` ends one that "
            "hangs",
        )
    begun = time.monotonic()
    try:
        await client.stop(now=now)
    finally:
        await client.close()
    say(f"asked {clean(str(owner))} to end{' at once' if now else ' when what is in flight has ended'}")
    while True:
        if not _same(read_owner(state_dir), owner):
            break
        await asyncio.sleep(STOP_LOOK_S)
    say(f"it ended after {duration(time.monotonic() - begun)}")
    return Exit.OK


def _same(now: OwnerInfo | None, before: OwnerInfo) -> bool:
    return now is not None and (now.pid, now.started) == (before.pid, before.started)


@click.command()
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=50, show_default=True, help="How many lines."
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written.")
@workspace_option
def logs(lines: int, follow: bool) -> Exit:
    """Show what the background engine wrote into its log."""
    from core.workspace.folder import Workspace
    from daemon.log import log_path

    path = log_path(Workspace.open(workspace_folder()).state_dir)
    if not path.is_file():
        note(f"no background engine has written a log here yet ({path})")
        return Exit.OK
    with path.open(encoding="utf-8", errors="replace") as log:
        for line in deque(log, maxlen=lines):
            out(clean(line.rstrip("\n")))
        if follow:
            try:
                _follow(path, log.tell())
            except KeyboardInterrupt:
                return Exit.INTERRUPTED
    return Exit.OK


def _follow(path: Path, at: int) -> None:
    """Prints what comes behind a place, also when the file is rotated."""
    while True:
        size = path.stat().st_size if path.exists() else 0
        if size < at:
            at = 0
        if size > at:
            with path.open("rb") as log:
                log.seek(at)
                data = log.read(size - at)
            whole = data.rfind(b"\n") + 1
            at += whole
            for line in data[:whole].decode("utf-8", "replace").splitlines():
                out(clean(line))
        time.sleep(FOLLOW_LOOK_S)
