"""What a workspace offers: its servers and its batches, and plans made from both.

Files are read when asked for, never watched: a face asks again when it wants newer answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.batch.load import LoadedBatch, load_batch_file
from core.batch.targets import check_targets
from core.engine.api import HostKey, PlanRequest
from core.engine.blobs import Blobs
from core.engine.contexts import server_data
from core.engine.planner import Planned, make_plan
from core.engine.reach import may_name_programs, ssh_settings
from core.errors import Fault, InputError, NotFound, NotPossible, ServersUnreachable
from core.files import private_folder
from core.inventory import Inventory, Source, survey
from core.model.views import BatchChange, BatchInfo, ParamInfo, PlannedTask, ProviderInfo, ServerInfo
from core.workspace.folder import Workspace
from providers.base import Server

if TYPE_CHECKING:
    from core.config.resolve import Resolver

HOST_KEY_READ_S = 2.0
"""A host key is asked of a server as it was described at most so long ago: thousands may be asked in a row."""


class Catalogue:
    """The inventory and batches of one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._inventory: Inventory | None = None
        self._before: Inventory | None = None
        self._told: tuple[Inventory, Sequence[ServerInfo]] | None = None
        self._read_at = 0.0
        self._reading = asyncio.Lock()
        self._loading = asyncio.Lock()
        self.blobs = Blobs(workspace.state_dir / "blobs", workspace.path, workspace.allow_paths)

    # ------------------------------------------------------------ servers

    async def inventory(self, *, refresh: bool = False) -> Inventory:
        """The inventory, loaded on first use. Raises InputError with every fault."""
        async with self._loading:  # of two that are loaded at once one would never be closed
            if self._inventory is None or refresh:
                before, self._inventory = self._inventory, None
                if before is not None:
                    await before.close()
                self._inventory = await Inventory.load(
                    self._workspace.path, self._workspace.state_dir, before or self._before
                )
                self._before = self._inventory
                self._read_at = time.monotonic()
            return self._inventory

    async def server_list(self) -> Sequence[Server]:
        """Every server as its provider describes it now."""
        return (await self.inventory(refresh=True)).servers

    async def server(self, name: str, *, new_enough_s: float = 0.0) -> Server:
        """One server by name, as read at most so long ago. Raises InputError, with a near name where there is one."""
        if self._inventory is None or time.monotonic() - self._read_at > new_enough_s:
            async with self._reading:  # many who ask at once share one reading
                if self._inventory is None or time.monotonic() - self._read_at > new_enough_s:
                    await self.server_list()
        servers = (await self.inventory()).by_name
        try:
            return servers[name]
        except KeyError:
            import difflib

            near = difflib.get_close_matches(name, servers, n=1)
            hint = f"did you mean {near[0]}?" if near else "`windlass servers list` shows the inventory"
            raise NotFound(f"there is no server {name}", hint=hint) from None

    async def server_infos(
        self,
        holds: Mapping[str, int],
        last_runs: Callable[[Sequence[str]], Awaitable[Mapping[str, int]]],
        *,
        refresh: bool,
    ) -> Sequence[ServerInfo]:
        """Every server with where it is reached, which run holds it and which was its last."""
        inventory = await self.inventory(refresh=refresh)
        last = await last_runs([server.name for server in inventory.servers])
        if self._told is None or self._told[0] is not inventory:
            self._told = (inventory, await asyncio.to_thread(_infos, inventory.servers))
        return [
            replace(info, held_by=holds.get(info.name), last_run=last.get(info.name))
            if info.name in holds or info.name in last
            else info
            for info in self._told[1]
        ]

    async def provider_infos(self, *, refresh: bool) -> Sequence[ProviderInfo]:
        """Every settings file with its provider. Where one has faults no inventory exists: then each is read alone."""
        from core.engine.provider_infos import provider_infos

        try:
            return provider_infos((await self.inventory(refresh=refresh)).sources)
        except InputError:
            workspace = self._workspace
            found = await survey(workspace.path, workspace.state_dir, self._before)
        try:
            return provider_infos(found)
        finally:
            for each in found:
                if isinstance(each, Source):
                    await each.provider.close()

    async def start_servers(self, names: Sequence[str]) -> Sequence[str]:
        """Starts servers through their providers."""
        started = await (await self.inventory()).start(names)
        await self.inventory(refresh=True)
        return started

    async def stop_servers(self, names: Sequence[str]) -> Sequence[str]:
        """Stops servers through their providers."""
        stopped = await (await self.inventory()).stop(names)
        await self.inventory(refresh=True)
        return stopped

    async def host_key(self, name: str) -> HostKey:
        """The host key that a server presents now. Raises ServersUnreachable."""
        from core.engine.executor import Unreachable
        from core.ssh.pool import fetch_host_key

        server = await self.server(name, new_enough_s=HOST_KEY_READ_S)
        began = time.monotonic()
        try:
            shown = await fetch_host_key(server, ssh_settings(self._workspace))
        except Unreachable as error:
            raise ServersUnreachable(f"{name} cannot be reached: {error.why}", hint=error.hint) from error
        took_s = time.monotonic() - began
        return HostKey(name, shown.address, shown.port, shown.key, shown.fingerprint, shown.known_as, took_s)

    async def trust(self, key: HostKey) -> None:
        """Stores a host key in the workspace's known_hosts. Raises NotPossible for a changed one."""
        from core.ssh.hostkeys import trust

        private_folder(self._workspace.state_dir)
        await asyncio.to_thread(trust, self._workspace.known_hosts, await self.server(key.server), key.key)

    # ------------------------------------------------------------ batches

    def batch_path(self, batch: str) -> Path:
        """Where a batch lies, by name or path. Raises InputError."""
        return self._workspace.batch_path(batch)

    async def load(self, batch: str) -> LoadedBatch:
        """Loads a batch off the event loop. Raises InputError with every fault."""
        path = self.batch_path(batch)
        return await asyncio.to_thread(load_batch_file, path)

    async def _load_beside_inventory(self, batch: str) -> None:
        """Raises InputError with the faults of a faulty batch's targets as well, where there is an inventory."""
        try:
            servers = await self.server_list()
        except InputError:
            return
        path = self.batch_path(batch)
        await asyncio.to_thread(load_batch_file, path, lambda loaded: check_targets(loaded, servers))

    async def batch_infos(self) -> Sequence[BatchInfo]:
        """Every batch of the workspace, by name."""
        return await asyncio.to_thread(self._batch_infos)

    def _batch_infos(self) -> list[BatchInfo]:
        infos = []
        for path in sorted(self._workspace.batches_dir.glob("*.yaml")):
            try:
                # By its path, so that a link that leads out of the workspace is refused and not read.
                loaded = load_batch_file(self.batch_path(str(path)))
            except InputError as error:
                faults = error.faults or (Fault(str(path), 0, 0, error.message, error.hint),)
                infos.append(BatchInfo(path.stem, str(path), "", 0, faults=faults))
                continue
            batch = loaded.batch
            params = tuple(
                ParamInfo(
                    name=name,
                    type=param.type,
                    description=param.description,
                    default=param.default,
                    required=param.required,
                    choices=tuple(param.choices or ()),
                )
                for name, param in batch.params.items()
            )
            infos.append(BatchInfo(path.stem, str(path), batch.description, len(batch.steps), params))
        return infos

    # ------------------------------------------------------------ plans

    async def plan(
        self, request: PlanRequest, *, held: Mapping[str, int], keep_files: bool = False
    ) -> Planned:
        """Plans a batch against the inventory as it is now. Raises InputError with every fault."""
        try:
            loaded = await self.load(request.batch)
        except InputError as error:
            if error.faults:
                await self._load_beside_inventory(request.batch)
            raise
        servers = await self.server_list()
        users, warnings = await asyncio.to_thread(_reached, servers, self._workspace)
        return await asyncio.to_thread(
            make_plan,
            loaded,
            request,
            servers,
            users,
            self.blobs,
            self._workspace,
            keep_files=keep_files,
            open_config=partial(self._configuration, request, servers, users),
            held=held,
            warnings=warnings,
        )

    async def plan_tasks(
        self, request: PlanRequest, step: str, digest: str, after: int, limit: int
    ) -> Sequence[PlannedTask]:
        """What the tasks of one step would be handed."""
        from core.engine.expansion import planned_tasks

        planned = await self.plan(request, held={})
        if digest and planned.plan.digest != digest:
            raise NotPossible("the plan is another one by now", hint="make it again to see what it says now")
        return await asyncio.to_thread(planned_tasks, planned.snapshot, self.blobs, step, after, limit)

    def _configuration(
        self, request: PlanRequest, servers: Sequence[Server], users: Mapping[str, str]
    ) -> Resolver:
        """The configuration that a plan uses. Raises InputError with every fault."""
        from core.config.open import given_here, open_config

        environment = self._workspace.environment(request.environment).name
        given = given_here(environment, request.settings, request.texts)
        if request.variables is not None:
            given = replace(given, environ=request.variables)
        known = {server.name: server_data(server, users.get(server.name, "")) for server in servers}
        return open_config(self._workspace, given, servers=lambda: known)

    async def effects(self, file: str, text: str, environment: str) -> Sequence[BatchChange]:
        """What each saved batch would do otherwise with another text of a configuration file."""
        from core.engine.effects import batch_changes

        workspace = self._workspace
        known = workspace.environment(environment).name
        servers = await self.server_list()
        users, _ = await asyncio.to_thread(_reached, servers, workspace)
        return await asyncio.to_thread(
            batch_changes, workspace, self.blobs, servers, users, file, text, known
        )

    def follow(self, workspace: Workspace) -> None:
        """Goes on with what `workspace.yaml` says now."""
        self._workspace = workspace
        self.blobs = Blobs(workspace.state_dir / "blobs", workspace.path, workspace.allow_paths)

    async def moved(self, servers: Mapping[str, Server]) -> dict[str, Server]:
        """Servers of a snapshot whose provider now says another address, port or host key."""
        try:
            now = {server.name: server for server in await self.server_list()}
        except InputError:
            return {}
        return {
            name: now[name]
            for name, server in servers.items()
            if name in now and now[name].provider == server.provider and now[name].ssh != server.ssh
        }

    def find_refused(self, held: Mapping[str, int], names: Sequence[str]) -> None:
        """Raises NotPossible, with the run named, where another open run holds some of the servers."""
        taken = {name: held[name] for name in names if name in held}
        if taken:
            run = min(taken.values())
            shown = ", ".join(sorted(taken)[:3]) + (f" and {len(taken) - 3} more" if len(taken) > 3 else "")
            raise NotPossible(
                f"run {run} is open and holds {shown}",
                hint=f"end run {run} first (`windlass runs show {run}`), or start with --alongside",
            )

    async def close(self) -> None:
        """Lets the providers go; servers go on."""
        if self._inventory is not None:
            await self._inventory.close()


def _infos(servers: Sequence[Server]) -> list[ServerInfo]:
    """Servers with where they are reached; off the loop, since ssh_config files are read for it."""
    from core.ssh.options import resolve

    infos = []
    for server in servers:
        reached = resolve(server)
        infos.append(
            ServerInfo(
                name=server.name,
                provider=server.provider,
                address=reached.address,
                port=reached.port,
                user=reached.user,
                groups=server.groups,
                labels=server.labels,
                state=server.state.value,
                source=server.source,
                note=server.note,
                options_ignored=tuple(reached.ignored),
            )
        )
    return infos


def _reached(servers: Sequence[Server], workspace: Workspace) -> tuple[dict[str, str], list[str]]:
    """Users by server, and warnings about what of ssh_config is not honoured, and which programs are not run."""
    from core.ssh.options import resolve
    from core.ssh.programs import foreign_program

    users: dict[str, str] = {}
    warnings: dict[str, int] = {}
    trusted: bool | None = None
    for server in servers:
        reached = resolve(server)
        users[server.name] = reached.user
        for option in reached.ignored:
            warnings[option] = warnings.get(option, 0) + 1
        program = foreign_program(reached)
        if program:
            trusted = may_name_programs(workspace) if trusted is None else trusted
            if not trusted:
                told = f"{program} is not run before `windlass workspace trust`"
                warnings[told] = warnings.get(told, 0) + 1
    return users, [f"{told} ({count} server{'s' if count > 1 else ''})" for told, count in warnings.items()]
