"""Opens what the commands work on: an engine that owns the workspace, one that reads it, or the interface.

The one module of the command line that may import the terminal interface, and only inside a function.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cli.actor import actor, at_terminal
from cli.options import changed_folder, workspace_folder
from cli.terminal import clean, interactive, paint, say
from cli.version import __version__

if TYPE_CHECKING:
    from core.engine.api import Engine
    from daemon.client import EngineClient

T = TypeVar("T")
FLUSH_S = 10.0
"""How long a command that was the engine waits for those who are told of events."""


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work to its end, in a loop whose clock counts sleep."""
    from core.clock import UptimeLoop

    with asyncio.Runner(loop_factory=UptimeLoop) as runner:
        return runner.run(work)


@asynccontextmanager
async def owner(folder: Path | None = None) -> AsyncIterator[Engine]:
    """The engine of a workspace (the one the command names): one in the background, where there is one, else this
    process, which lets others watch. Raises WorkspaceOwned, EngineGone.

    What the operator must know of this opening is told on stderr.
    """
    folder = changed_folder() if folder is None else folder
    client = await background(folder)
    if client is not None:
        async with _told(client):
            yield client
        return
    from core.engine.open import open_engine
    from core.outgoing.service import outgoing
    from core.workspace.folder import Workspace
    from daemon.beside import served_beside

    engine = await open_engine(folder, actor=actor())
    beside = served_beside(engine, Workspace.open(folder).state_dir, __version__)
    async with _told(engine), beside, outgoing(engine) as telling:
        yield engine
        if not await telling.flush(FLUSH_S):
            say("not everybody could be told of every event yet: the next engine goes on with it")


@asynccontextmanager
async def _told(engine: Engine) -> AsyncIterator[None]:
    """Tells what the operator must know of an opened engine, which is closed at the end."""
    try:
        for notice in (await engine.workspace()).notices:
            say(f"{paint('warning:', 'warning', sys.stderr)} {clean(notice)}")
        yield
    finally:
        await engine.close()


@asynccontextmanager
async def carrier(
    folder: Path | None = None, *, foreground: bool = False, steers: bool = False
) -> AsyncIterator[Engine]:
    """The engine that is to carry on a run: on a terminal one in the background, which its first change starts, so
    that closing the terminal ends nothing; without a terminal, or with `foreground`, this process itself, unless one in
    the background is there. For what `steers`, also one that ends with its command.

    Raises WorkspaceOwned where another one, which ends with its command, owns the workspace, or with `foreground`
    where any does.
    """
    from core.engine.lease import read_owner
    from core.errors import WorkspaceOwned
    from core.workspace.folder import Workspace

    folder = changed_folder() if folder is None else folder
    there = read_owner(Workspace.open(folder).state_dir)
    if foreground and there is not None and there.background:
        raise WorkspaceOwned(
            f"an engine in the background owns this workspace: {there}",
            hint="without --foreground it carries out the run; `windlass engine stop` ends it",
        )
    if steers and not foreground and there is not None:
        async with steerer(folder) as engine:
            yield engine
        return
    if there is not None or foreground or not interactive():
        async with owner(folder) as engine:
            yield engine
        return
    async with _on_demand(folder) as engine:
        yield engine


@asynccontextmanager
async def steerer(folder: Path | None = None) -> AsyncIterator[Engine]:
    """The engine of a workspace for what carries nothing on (pause, cancel): also one that ends with its command."""
    from core.engine.lease import read_owner
    from core.workspace.folder import Workspace

    folder = changed_folder() if folder is None else folder
    there = read_owner(Workspace.open(folder).state_dir)
    if there is None or there.background:
        async with owner(folder) as engine:
            yield engine
    else:
        async with _on_demand(folder) as engine:
            yield engine


@asynccontextmanager
async def _on_demand(folder: Path) -> AsyncIterator[Engine]:
    """Looks by itself, and changes through the engine that is there, or is started then."""
    from daemon.on_demand import OnDemandEngine

    engine = await OnDemandEngine.open(folder, actor=actor(), version=__version__)
    async with _told(engine):
        yield engine


async def background(folder: Path, *, start: bool = False) -> EngineClient | None:
    """A client of the workspace's background engine; None where there is none, and it is not to be started.

    Raises EngineGone, NotPossible (another version), and what an engine is not opened for.
    """
    from core.engine.lease import read_owner
    from core.workspace.folder import Workspace

    owner = read_owner(Workspace.open(folder).state_dir)
    there = owner.background if owner is not None else start
    if not there:
        return None
    from daemon.launch import connect, connect_or_start

    reach = connect_or_start if start else connect
    return await reach(folder, actor=actor(), version=__version__)


async def host_engine(
    folder: Path,
    *,
    idle_s: float | None,
    listen: str,
    tls: tuple[Path, Path] | None,
    ready: Callable[[], None],
) -> None:
    """Is the background engine of a workspace, until it is asked to end or is idle; `listen` is ADDRESS:PORT or "",
    `tls` a certificate and its key.
    """
    from core.workspace.folder import Workspace
    from daemon.host import host
    from daemon.log import write_log
    from daemon.sockets import Address, Tls

    address = Address.of(listen) if listen else None
    write_log(Workspace.open(folder).state_dir)
    secured = Tls(*tls) if tls is not None else None
    await host(
        folder,
        actor=actor(),
        version=__version__,
        idle_s=idle_s,
        ready=ready,
        listen=address,
        tls=secured,
    )


@asynccontextmanager
async def reader(folder: Path | None = None) -> AsyncIterator[Engine]:
    """A reading engine of a workspace, whoever owns it."""
    from core.engine.open import open_reader

    engine = await open_reader(workspace_folder() if folder is None else folder)
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def elsewhere(url: str, token_file: Path, ca: Path | None) -> AsyncIterator[Engine]:
    """The engine at an address, with the rights of a token. Raises InputError, EngineGone, NotPossible (version)."""
    from daemon.launch import connect_url

    engine = await connect_url(url, token_file, ca, version=__version__)
    try:
        yield engine
    finally:
        await engine.close()


async def interface(
    folder: Path,
    *,
    batch: str | None = None,
    notice: str = "",
    low_bandwidth: bool = False,
    mouse: bool = True,
) -> int:
    """Opens the terminal interface and returns its exit status.

    It reads the workspace by itself, whoever owns it and whether an engine runs or not; its first change starts the
    one in the background or reaches it. What the engine of another command owns is only looked at.

    Where another workspace is chosen there, goes on with that one; one that does not open leads back.
    """
    from core.engine.open import rarely_collect
    from core.engine.presence import Presence
    from core.errors import WindlassError
    from core.workspace.folder import Workspace
    from daemon.on_demand import OnDemandEngine
    from tui.app import run_app

    rarely_collect()
    before: Path | None = None
    while True:
        try:
            engine = await OnDemandEngine.open(folder, actor=actor(), version=__version__)
        except WindlassError as error:
            if before is None:
                raise
            folder, before, notice = before, None, f"{folder} was not opened: {error}"
            continue
        try:
            info = await engine.workspace()
            told = " ".join(filter(None, (notice, *info.notices)))
            with Presence(Workspace.open(Path(info.path)).state_dir, at_terminal(), "interface") as here:
                ended = await run_app(
                    engine,
                    actor=actor(),
                    start_batch=batch,
                    started_notice=told,
                    here=here.id,
                    low_bandwidth=low_bandwidth,
                    mouse=mouse,
                )
        finally:
            await engine.close()
        if isinstance(ended, int):
            return ended
        folder, before, batch, notice = ended, folder, None, ""
