"""All outlets of a workspace, as its settings say: started, changed and ended while an engine owns it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from core.config.open import settings_stamp, workspace_settings
from core.config.settings import AppSettings, Notification, Webhook
from core.engine.local import LocalEngine
from core.errors import WindlassError
from core.outgoing.message import signing_key
from core.outgoing.outlet import Outlet
from core.outgoing.senders import HttpSender, ProgramSender, Sender
from core.secrets.sources import Sources
from core.store.outlets import Told, outlets_told
from core.store.tx import Tx
from core.workspace.folder import Workspace
from core.workspace.trust import check_trusted

LOOK_EVERY_S = 5.0
FLUSH_LOOK_S = 0.05
LOGGER = logging.getLogger("windlass")


def outlet_settings(settings: AppSettings) -> Mapping[str, Webhook | Notification]:
    """Every outlet by its name."""
    webhooks = {f"webhook/{name}": webhook for name, webhook in settings.webhooks.items()}
    programs = {f"notify/{name}": program for name, program in settings.notify.items()}
    return {**webhooks, **programs}


def make_sender(workspace: Workspace, outlet: Webhook | Notification) -> Sender:
    """Its way out. Blocks where a secret is read; raises InputError, NotTrusted."""
    if isinstance(outlet, Webhook):
        secret = outlet.secret
        return HttpSender(outlet, lambda: signing_key(Sources.of(workspace).read(secret)))
    check_trusted(workspace, f"the program {outlet.command[0]}")
    return ProgramSender(outlet, workspace.path)


class Outgoing:
    """The outlets of one engine."""

    def __init__(self, engine: LocalEngine, since: int) -> None:
        """An outlet that was never there before is told what happens after `since`."""
        self._engine = engine
        self._since = since
        self._outlets: dict[str, Outlet] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._settings: dict[str, Webhook | Notification] = {}
        self._running: dict[str, tuple[Webhook | Notification, str]] = {}
        self._stamp: object = None
        self._faulty: dict[str, str] = {}
        self._looking = asyncio.Lock()

    async def owes(self) -> bool:
        """Whether an event is still to be told."""
        last = (await self._engine.workspace()).last_seq if self._outlets else 0
        return any(outlet.owes(last) for outlet in self._outlets.values())

    async def flush(self, most_s: float) -> bool:
        """Waits until nothing is owed any more, at most so long; says whether that is so."""
        with contextlib.suppress(WindlassError):
            await self.look()
        ends_at = asyncio.get_running_loop().time() + most_s
        while True:
            if not await self.owes():
                return True
            if asyncio.get_running_loop().time() > ends_at:
                return False
            await asyncio.sleep(FLUSH_LOOK_S)

    async def run(self) -> None:
        """Follows the settings until it is cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                LOGGER.exception("who is told of events could not be looked after")
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Starts, changes and ends outlets where the settings have changed since the last look."""
        async with self._looking:
            await self._look()

    async def _look(self) -> None:
        workspace = self._engine.opened
        stamp = await asyncio.to_thread(settings_stamp, workspace)
        if stamp != self._stamp:
            try:
                wanted = outlet_settings(await asyncio.to_thread(workspace_settings, workspace))
            except WindlassError as error:
                self._tell_fault("", f"the settings cannot be read, so who is told stays as it was: {error}")
                return
            self._stamp, self._settings = stamp, dict(wanted)
            for name in set(self._tasks) - set(wanted):
                await self._end(name)
        for name, outlet in self._settings.items():
            task, key = (
                self._tasks.get(name),
                (outlet, await asyncio.to_thread(_secret_digest, workspace, outlet)),
            )
            if task is None or task.done() or self._running.get(name) != key:
                await self._end(name)
                self._running[name] = key
                try:
                    await self._start(name, outlet)
                except Exception as error:  # one that cannot begin is in nobody's way
                    self._tell_fault(name, f"{name} is told nothing: {type(error).__name__}: {error}")

    async def _start(self, name: str, outlet: Webhook | Notification) -> None:
        """Starts one; what keeps it from starting may be mended at any time, so it is tried at each look."""
        try:
            sender = await asyncio.to_thread(partial(make_sender, self._engine.opened, outlet))
        except WindlassError as error:
            self._tell_fault(name, f"{name} is told nothing: {error}")
            return
        self._tell_fault(name, "")
        store = self._engine.store
        told = (await outlets_told(store.reader)).get(name)
        if told is None:
            told = Told(self._since)
            tx = Tx()
            tx.outlet(name, told.seq, 0)
            await store.commit(tx)
        made = Outlet(name, outlet.types, outlet.give_up_after_s, sender, self._engine, store, told)
        self._outlets[name] = made
        self._tasks[name] = asyncio.ensure_future(made.run())
        self._tasks[name].add_done_callback(partial(_tell_end, name))

    def _tell_fault(self, name: str, why: str) -> None:
        if why and self._faulty.get(name) != why:
            LOGGER.warning("%s", why)
        self._faulty[name] = why

    async def _end(self, name: str) -> None:
        self._outlets.pop(name, None)
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Ends every outlet; what is owed stays owed."""
        for name in list(self._tasks):
            await self._end(name)


def _secret_digest(workspace: Workspace, outlet: Webhook | Notification) -> str:
    """Changes with what signs; "" where that cannot be told."""
    with contextlib.suppress(WindlassError):
        if isinstance(outlet, Webhook):
            return Sources.of(workspace).file_digest(outlet.secret)
    return ""


def _tell_end(name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        LOGGER.error("%s is told nothing until the next look: %s", name, error)


@asynccontextmanager
async def outgoing(engine: LocalEngine) -> AsyncIterator[Outgoing]:
    """Tells the outlets of an engine's workspace as long as the context is open."""
    service = Outgoing(engine, (await engine.workspace()).last_seq)
    following = asyncio.ensure_future(service.run())
    try:
        yield service
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await service.close()
