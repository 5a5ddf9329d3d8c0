"""The engine as a process: it owns a workspace, serves its socket, and ends by a signal, by request, or idle.

SIGTERM and SIGINT drain (what is in flight ends, its runs stay resumable); the second one ends at once. SIGHUP
means nothing to a process without a terminal. The API closes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.config.open import workspace_settings
from core.config.settings import AppSettings, built_in
from core.engine.interrupted import go_on
from core.engine.local import LocalEngine
from core.engine.open import open_engine
from core.errors import InputError
from core.logout import own_stay
from core.model.states import RunState
from core.outgoing.service import Outgoing, outgoing
from core.ssh.agents import agent_socket
from core.workspace.folder import Workspace
from daemon.context import Served
from daemon.log import LOGGER
from daemon.observing import Observer, observed
from daemon.server import serving
from daemon.sockets import Address, Tls, bind, bind_tcp, remove, socket_path
from daemon.telemetry import telemetry
from daemon.tokens import Tokens

LOOK_EVERY_S = 1.0
FLUSH_S = 5.0
"""How long an engine that ends waits for those who are told of events."""


@dataclass(slots=True)
class Ending:
    """What asked the process to end. The first request drains, the second ends at once."""

    drain: asyncio.Event
    now: asyncio.Event
    why: str = ""

    def ask(self, why: str, *, drains: bool = True) -> None:
        """Asks once more."""
        self.why = self.why or why
        if not drains or self.drain.is_set():
            self.now.set()
        self.drain.set()


@asynccontextmanager
async def served_engine(
    folder: Path,
    *,
    actor: str,
    version: str,
    background: bool,
    ending: Ending,
    listen: Address | None = None,
    tls: Tls | None = None,
) -> AsyncIterator[tuple[LocalEngine, Served]]:
    """The engine of a workspace, owned by this process and served on its socket, and over TCP at `listen`.

    Raises what `open_engine` raises, and WindlassError where it cannot listen.
    """
    state_dir = Workspace.open(folder).state_dir
    if tls is not None:
        tls.check()
    engine = await open_engine(folder, actor=actor, background=True)
    path = socket_path(state_dir)

    async def end() -> None:
        # Before the lease is let go: the next owner binds a socket of its own there.
        remove(path)
        await engine.close()

    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(end)
        served = Served(
            engine,
            version,
            Tokens(state_dir).authenticate,
            lambda drains: ending.ask("it was asked to", drains=drains),
            engine.announce,
        )
        tcp = serving(served, [bind_tcp(listen)], tls) if listen is not None else contextlib.nullcontext()
        async with tcp, serving(served, [bind(path)]):
            stay = own_stay()
            engine.announce(
                socket=str(path),
                background=background,
                version=version,
                agent=agent_socket(),
                logout=stay.why,
                stays=stay.survives,
            )
            try:
                yield engine, served
            finally:
                stack.pop_all()
                await end()


async def host(
    folder: Path,
    *,
    actor: str,
    version: str,
    idle_s: float | None,
    ready: Callable[[], None],
    listen: Address | None = None,
    tls: Tls | None = None,
) -> None:
    """Owns and serves a workspace until it is asked to end, or has been idle for that long: by default what the
    settings say, never with `listen`.
    """
    ending = Ending(asyncio.Event(), asyncio.Event())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.ask, signal.Signals(number).name)
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    opening = served_engine(
        folder, actor=actor, version=version, background=True, ending=ending, listen=listen, tls=tls
    )
    async with contextlib.AsyncExitStack() as stack:
        engine, served = await stack.enter_async_context(opening)
        telling = await stack.enter_async_context(outgoing(engine))
        await stack.enter_async_context(observed(engine, _observers(engine, served)))
        LOGGER.info("the engine owns %s, version %s", folder, version)
        settings = _settings(folder)
        idle_s = settings.engine.idle_s if idle_s is None else idle_s
        if listen is not None:
            LOGGER.info("it listens on %s%s", listen, " with TLS" if tls is not None else "")
            idle_s = math.inf
        for notice in (await engine.workspace()).notices:
            LOGGER.warning("%s", notice)
        ready()
        for run, told in (await go_on(engine, engine.interrupted, settings.engine)).items():
            LOGGER.info("run %d, which an ended engine left, %s", run, told)
        idle = asyncio.ensure_future(_until_idle(engine, served, telling, idle_s))
        asked = asyncio.ensure_future(ending.drain.wait())
        await asyncio.wait({idle, asked}, return_when=asyncio.FIRST_COMPLETED)
        if idle.done() and not asked.done():
            idle.result()
            ending.why = f"nothing to do for {idle_s:g} s"
        idle.cancel()
        asked.cancel()
        LOGGER.info("ending: %s", ending.why)
        if not await _until_now(engine.drain(), ending):
            LOGGER.warning("ending at once: commands in flight go on on their servers")
        await _until_now(telling.flush(FLUSH_S), ending)
        if await telling.owes():
            LOGGER.warning("not everybody could be told of every event: the next engine goes on with it")
    LOGGER.info("ended")


def _observers(engine: LocalEngine, served: Served) -> list[Observer]:
    traces = telemetry(engine)
    return [served.metrics, *([traces] if traces is not None else [])]


def _settings(folder: Path) -> AppSettings:
    """The settings of the workspace; the built-in ones where they cannot be read, which is told in the log."""
    try:
        return workspace_settings(Workspace.open(folder))
    except InputError as error:
        LOGGER.warning("the settings cannot be read, so the built-in ones hold: %s", error)
        return built_in()


async def _until_now(work: Coroutine[Any, Any, object], ending: Ending) -> bool:
    """Awaits work, unless the process is asked to end at once; whether it was done."""
    working = asyncio.ensure_future(work)
    insisted = asyncio.ensure_future(ending.now.wait())
    await asyncio.wait({working, insisted}, return_when=asyncio.FIRST_COMPLETED)
    insisted.cancel()
    done = working.done()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    return done


async def _until_idle(engine: LocalEngine, served: Served, telling: Outgoing, idle_s: float) -> None:
    """Returns when for that long nobody was there and nothing was to do."""
    clock = asyncio.get_running_loop().time
    since = clock()
    while clock() - since < idle_s:
        await asyncio.sleep(min(LOOK_EVERY_S, idle_s))
        if served.clients or served.requests or await _busy(engine) or await telling.owes():
            served.requests = 0
            since = clock()


async def _busy(engine: LocalEngine) -> bool:
    """Whether a run executes here, or waits for a person."""
    if engine.executing:
        return True
    return bool(await engine.runs(states=[RunState.WAITING], limit=1))
