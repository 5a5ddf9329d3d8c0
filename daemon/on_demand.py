"""An engine that is started when something is to be changed: looking needs none.

What is there is read from the workspace itself, whoever owns it. The first change starts the workspace's background
engine, or reaches the one that is there, and goes to it; one that ended because it had nothing to do is started again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.engine.api import RunRequest
from core.engine.lease import read_owner
from core.engine.reading import ReadingEngine
from core.errors import EngineGone
from core.model.ids import TaskKey
from core.model.states import Decision
from core.model.views import RunInfo, WorkspaceInfo
from core.store.reader import StoreReader
from core.workspace.folder import Workspace

if TYPE_CHECKING:
    from daemon.client import EngineClient


class OnDemandEngine(ReadingEngine):
    """Reads by itself, and changes through the engine in the background."""

    elsewhere = True

    def __init__(self, workspace: Workspace, reader: StoreReader, *, actor: str, version: str) -> None:
        super().__init__(workspace, reader, partial(read_owner, workspace.state_dir))
        self._folder = workspace.path
        self._actor = actor
        self._version = version
        self._client: EngineClient | None = None
        self._told: tuple[str, ...] = ()
        self._starting = asyncio.Lock()

    @classmethod
    async def open(cls, folder: Path, *, actor: str, version: str) -> OnDemandEngine:
        """Opens a workspace; nothing is started. Raises InputError, StoreError."""
        workspace = Workspace.open(folder)
        reader = await StoreReader.open(workspace.database)
        return cls(workspace, reader, actor=actor, version=version)

    async def workspace(self) -> WorkspaceInfo:
        """See Engine.workspace. It may be changed from here unless the engine of another terminal owns it."""
        info = await super().workspace()
        mine = info.owner is None or info.owner.background
        return replace(info, owned=mine, notices=(*info.notices, *self._told))

    async def start(self, request: RunRequest) -> RunInfo:
        """See Engine.start."""
        return await (await self._engine()).start(request)

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.pause."""
        return await (await self._engine(steers=True)).pause(run, actor=actor, reason=reason)

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        """See Engine.resume."""
        return await (await self._engine()).resume(run, actor=actor)

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.cancel."""
        return await (await self._engine(steers=True)).cancel(run, actor=actor, reason=reason)

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        """See Engine.retry."""
        return await (await self._engine()).retry(run, actor=actor, tasks=tasks, accept_risk=accept_risk)

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        """See Engine.decide."""
        return await (await self._engine(steers=True)).decide(run, task, decision, actor=actor, reason=reason)

    async def roll_back(
        self,
        run: int,
        *,
        actor: str,
        steps: Sequence[str] = (),
        limit: str = "",
        reason: str = "",
        confirm: str = "",
    ) -> RunInfo:
        """See Engine.roll_back."""
        engine = await self._engine()
        return await engine.roll_back(
            run, actor=actor, steps=steps, limit=limit, reason=reason, confirm=confirm
        )

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """See Engine.control."""
        return await (await self._engine(steers=True)).control(run, actor=actor, take=take)

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """See Engine.give_credentials."""
        await (await self._engine()).give_credentials(run, values, actor=actor)

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """See Engine.replay."""
        return await (await self._engine()).replay(outlet, seqs, actor=actor)

    async def close(self) -> None:
        """Lets the engine in the background go on."""
        if self._client is not None:
            await self._client.close()
        await super().close()

    async def _engine(self, *, steers: bool = False) -> EngineClient:
        """The engine in the background, started where there is none. What only `steers` also reaches one that ends
        with its command, which serves from its second second on.

        Raises WorkspaceOwned where such a one owns the workspace otherwise, else as `connect_or_start` does.
        """
        from daemon.launch import connect_or_start  # looking needs none of it

        owner = self._owner()
        if owner is not None and not owner.background and not steers:
            self._refuse()
        async with self._starting:
            if self._client is not None:
                try:
                    await self._client.version()
                    return self._client
                except EngineGone:
                    await self._client.close()
                    self._client = None
            client = await connect_or_start(self._folder, actor=self._actor, version=self._version)
            self._told = (await client.workspace()).notices
            self._client = client
            return client
