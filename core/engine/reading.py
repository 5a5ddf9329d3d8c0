"""The reading half of the Engine protocol: everything that can be seen without owning the workspace.

It reads the store while any engine writes it, and follows the log by asking where it ends. The owning
engine builds on it and follows by its bus.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from core.engine.api import HostKey, PlanRequest, RunRequest
from core.engine.presence import watchers
from core.engine.present import PresentWorkspace
from core.engine.protection import check_changeable, check_sound, name_for_rollback, protect
from core.errors import CursorGone, Fault, InputError, NotFound, WindlassError, WorkspaceOwned
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Decision, Purpose, RunState, Stream, TaskState
from core.model.views import (
    AttemptInfo,
    BatchChange,
    BatchInfo,
    DeadLetter,
    EnvironmentInfo,
    Explanation,
    OutletInfo,
    OutputPage,
    OwnerInfo,
    Plan,
    PlannedTask,
    ProviderInfo,
    RunInfo,
    ServerInfo,
    ServerRun,
    StepInfo,
    StepNeed,
    TaskInfo,
    UsedValue,
    WorkspaceInfo,
)
from core.store.audit import AuditLog
from core.store.reader import StoreReader
from core.workspace.find import SETTINGS_FILE
from core.workspace.folder import Workspace

if TYPE_CHECKING:
    from core.engine.catalogue import Catalogue
    from core.engine.planner import Planned
    from core.engine.snapshot import Snapshot

POLL_S = 0.2
BUSY_POLL_S = 0.1
"""How long events gather that come one after the other: each look costs as much as a hundred of them."""
PAGE_EVENTS = 1000
EXECUTING = (RunState.RUNNING, RunState.ROLLING_BACK)


class ReadingEngine:
    """A workspace that somebody else may own. Changing methods say who owns it."""

    owned = False
    elsewhere = False

    def __init__(
        self, workspace: Workspace, reader: StoreReader, owner: Callable[[], OwnerInfo | None]
    ) -> None:
        self._present = PresentWorkspace(workspace, self._settings_changed)
        self._reader = reader
        self._owner = owner
        self._catalogue: Catalogue | None = None
        self._snapshot: tuple[str, Snapshot] | None = None

    @property
    def _workspace(self) -> Workspace:
        """The workspace by its settings as they are now."""
        return self._present.now()

    def _settings_changed(self, workspace: Workspace) -> None:
        if self._catalogue is not None:
            self._catalogue.follow(workspace)

    # ------------------------------------------------------------ what is there

    async def workspace(self) -> WorkspaceInfo:
        """See Engine.workspace."""
        workspace = self._workspace
        declared = workspace.environments
        return WorkspaceInfo(
            path=str(workspace.path),
            name=workspace.name,
            description=workspace.description,
            owned=self.owned,
            owner=self._owner(),
            last_seq=await self._reader.last_seq(),
            incarnation=await self._reader.incarnation(),
            notices=self._notices(),
            faults=self._faults(),
            environments=tuple(
                EnvironmentInfo(
                    environment.name,
                    workspace.protection_of(environment.name).value,
                    environment.description,
                    declared=environment in declared,
                )
                for environment in workspace.known_environments()
            ),
            protection=workspace.protection.value,
            read_only=workspace.read_only,
            watchers=watchers(workspace.state_dir),
        )

    def _faults(self) -> tuple[Fault, ...]:
        broken = self._workspace.broken
        if broken is None:
            return ()
        return broken.faults or (Fault(SETTINGS_FILE, 0, 0, broken.message, broken.hint),)

    def _notices(self) -> tuple[str, ...]:
        """What an operator must know of this opening."""
        if self._workspace.broken is None:
            return ()
        return (
            f"{self._workspace.settings_file} is faulty: stored runs can be looked at and decided, nothing new is "
            "planned before `windlass validate` finds nothing",
        )

    async def _protected(self, planned: Planned) -> Plan:
        """The plan with what its environment asks for."""
        plan = planned.plan
        ran = await self._reader.has_run(planned.snapshot.loaded.digest, plan.environment)
        return protect(self._workspace, plan, first=not ran)

    async def catalogue(self) -> Catalogue:
        """The inventory and batches of the workspace, read once."""
        if self._catalogue is None:
            # Some 0.2 s of imports, off the loop: an interface goes on painting meanwhile.
            module = await asyncio.to_thread(importlib.import_module, "core.engine.catalogue")
            if self._catalogue is None:
                self._catalogue = module.Catalogue(self._workspace)
        return self._catalogue

    async def servers(self, *, refresh: bool = False) -> Sequence[ServerInfo]:
        """See Engine.servers."""
        from core.store.serverpast import contacts, last_runs

        holds = await self._reader.holds()
        found = await (await self.catalogue()).server_infos(
            holds, partial(last_runs, self._reader), refresh=refresh
        )
        known = await contacts(self._reader, [server.name for server in found])
        return [
            replace(server, reached=known[server.name][0], unreachable=known[server.name][1])
            if server.name in known
            else server
            for server in found
        ]

    async def providers(self, *, refresh: bool = False) -> Sequence[ProviderInfo]:
        """See Engine.providers."""
        return await (await self.catalogue()).provider_infos(refresh=refresh)

    async def server_runs(self, server: str, *, limit: int = 20) -> Sequence[ServerRun]:
        """See Engine.server_runs."""
        from core.store.serverpast import server_runs

        found = await server_runs(self._reader, server, limit)
        owner = self._owner()
        return [replace(each, interrupted=each.state in EXECUTING and owner is None) for each in found]

    async def batches(self) -> Sequence[BatchInfo]:
        """See Engine.batches."""
        return await (await self.catalogue()).batch_infos()

    async def batch_effects(self, file: str, text: str, environment: str) -> Sequence[BatchChange]:
        """See Engine.batch_effects."""
        check_sound(self._workspace)
        return await (await self.catalogue()).effects(file, text, environment)

    async def plan_tasks(
        self, request: PlanRequest, step: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[PlannedTask]:
        """See Engine.plan_tasks."""
        check_sound(self._workspace)
        return await (await self.catalogue()).plan_tasks(request, step, after, limit)

    async def plan(self, request: PlanRequest) -> Plan:
        """See Engine.plan."""
        from core.engine import preflight
        from core.engine.credentials import going

        check_sound(self._workspace)
        planned = await (await self.catalogue()).plan(request, held=await self._reader.holds())
        plan, snapshot = await self._protected(planned), planned.snapshot
        if request.connect:
            users: dict[str, set[str]] = {}
            for name, step in snapshot.loaded.batch.steps.items():
                for server in snapshot.targets[name] if step.sudo is not None else ():
                    users.setdefault(server, set()).add(step.sudo or "")
            servers = [snapshot.servers[name] for name in plan.servers if name in snapshot.servers]
            told = await preflight.asked(self._workspace, servers, users)
        else:
            told = await preflight.remembered(self._reader, plan.servers)
        session = await asyncio.to_thread(going, snapshot, self._owner())
        return replace(plan, warnings=(*plan.warnings, *told), credentials=tuple(session))

    # ------------------------------------------------------------ reading runs

    async def runs(
        self, *, states: Sequence[RunState] = (), batch: str = "", limit: int = 50, before: int | None = None
    ) -> Sequence[RunInfo]:
        """See Engine.runs."""
        found = await self._reader.runs(
            states=states or None, batch=batch or None, limit=limit, before=before
        )
        workspace = self._workspace
        return [self._observed(run, workspace) for run in found]

    async def run(self, run: int) -> RunInfo:
        """See Engine.run."""
        found = await self._reader.run(run)
        if found is None:
            raise NotFound(
                f"there is no run {run}", hint="`windlass runs list` shows the runs of this workspace"
            )
        return self._observed(found, self._workspace)

    async def steps(self, run: int) -> Sequence[StepInfo]:
        """See Engine.steps."""
        return await self._reader.steps(run)

    async def step_needs(self, run: int) -> Sequence[StepNeed]:
        """See Engine.step_needs."""
        from core.batch.needs import effective_needs
        from core.engine.snapshot import Snapshot

        stored = await self._reader.snapshot((await self.run(run)).number)
        if stored is None:
            return ()

        def read() -> list[StepNeed]:
            snapshot = Snapshot.from_document(stored.batch_text, stored.file, stored.document)
            return [
                StepNeed(step, need.step, need.scope == "all", need.kind == "hard")
                for step, needs in effective_needs(snapshot.loaded.batch).items()
                for need in needs
            ]

        return await asyncio.to_thread(read)

    async def used_values(self, run: int) -> Sequence[UsedValue]:
        """See Engine.used_values."""
        from core.engine.snapshot import Snapshot

        stored = await self._reader.snapshot((await self.run(run)).number)
        return Snapshot.used_in(stored.document) if stored is not None else ()

    async def tasks(
        self,
        run: int,
        *,
        step: str = "",
        states: Sequence[TaskState] = (),
        after: int = -1,
        limit: int = 1000,
    ) -> Sequence[TaskInfo]:
        """See Engine.tasks."""
        return await self._reader.tasks(
            run, step=step or None, states=states or None, after=after, limit=limit
        )

    async def task(self, run: int, task: TaskKey) -> TaskInfo:
        """See Engine.task."""
        found = await self._reader.task(run, task)
        if found is None:
            raise NotFound(
                f"run {run} has no task {task}", hint=f"`windlass runs show {run}` lists its tasks"
            )
        return found

    async def attempts(self, run: int, task: TaskKey) -> Sequence[AttemptInfo]:
        """See Engine.attempts."""
        return await self._reader.attempts(run, task)

    async def output(
        self,
        run: int,
        task: TaskKey,
        *,
        purpose: Purpose | None = None,
        attempt: int | None = None,
        stream: Stream | None = None,
        tail_bytes: int | None = None,
        after: int = 0,
    ) -> OutputPage:
        """See Engine.output."""
        return await self._reader.output(
            run, task, purpose=purpose, attempt=attempt, stream=stream, tail_bytes=tail_bytes, after=after
        )

    async def acts(self, run: int, *, limit: int = 200) -> Sequence[Event]:
        """See Engine.acts."""
        await self.run(run)
        return await self._reader.acts(run, limit)

    async def batch_changes(self, run: int) -> str:
        """See Engine.batch_changes."""
        from core.batch.changes import changes

        await self.run(run)
        stored = await self._reader.snapshot(run)
        if stored is None:
            return ""
        return await asyncio.to_thread(changes, stored.batch_text, stored.file, self._workspace.path)

    async def explain(self, run: int, task: TaskKey) -> Explanation:
        """See Engine.explain."""
        from core.batch.needs import effective_needs
        from core.engine.explain import explain

        info, found = await self.run(run), await self.task(run, task)
        snapshot = await self._snapshot_of(info)
        needs = effective_needs(snapshot.loaded.batch)
        needed: dict[str, TaskInfo] = {}
        behind, waiting = {task.step}, [need.step for need in needs[task.step]]
        if found.state not in (TaskState.WAITING, TaskState.BLOCKED):
            waiting = []
        while waiting:
            step = waiting.pop()
            if step in behind:
                continue
            behind.add(step)
            other = await self._reader.task(run, TaskKey(step, task.server))
            if other is not None:
                needed[step] = other
            waiting += [need.step for need in needs[step]]
        # Only what waits is explained by the steps around it.
        asks = found.state in (TaskState.WAITING, TaskState.BLOCKED)
        steps = {step.name: step for step in await self._reader.steps(run)} if asks else {}
        attempts = list(await self._reader.attempts(run, task))
        return explain(info, snapshot, found, steps, needed, attempts, await self._reader.last_seq())

    async def _snapshot_of(self, run: RunInfo) -> Snapshot:
        """What a run was made from; the last one is kept, as one run is asked about many times. It never changes."""
        from core.engine.snapshot import Snapshot

        if self._snapshot is None or self._snapshot[0] != run.run_id:
            stored = await self._reader.snapshot(run.number)
            if stored is None:
                raise InputError(f"run {run.number} has no snapshot")
            made = Snapshot.from_document(stored.batch_text, stored.file, stored.document)
            self._snapshot = run.run_id, made
        return self._snapshot[1]

    async def events(
        self, after: int, *, run: int | None = None, limit: int = PAGE_EVENTS, incarnation: str = ""
    ) -> Sequence[Event]:
        """See Engine.events."""
        await self._check_cursor(incarnation)
        return await self._reader.events(after, run=run, limit=limit)

    async def follow(
        self, after: int, *, run: int | None = None, incarnation: str = ""
    ) -> AsyncIterator[Event]:
        """See Engine.follow; asks the log every 0.2 s, sooner where events come all the time."""
        while True:
            await self._check_cursor(incarnation)
            page = await self._reader.events(after, run=run, limit=PAGE_EVENTS)
            for event in page:
                yield event
            if page:
                after = page[-1].seq
            if len(page) < PAGE_EVENTS:  # else there is more
                await asyncio.sleep(BUSY_POLL_S if page else POLL_S)

    async def _check_cursor(self, incarnation: str) -> None:
        if not incarnation:
            return
        now = await self._reader.incarnation()
        if now != incarnation:
            raise CursorGone(
                f"that position in the event log is of another incarnation of the database ({incarnation}; "
                f"it is {now or 'gone'} now): a backup was restored, or the workspace is a copy",
                hint="what was read before no longer holds: read the state again, then follow from where it ends",
            )

    async def outlets(self) -> Sequence[OutletInfo]:
        """See Engine.outlets."""
        look = await asyncio.to_thread(importlib.import_module, "core.outgoing.look")
        workspace = self._workspace

        def read() -> tuple[dict[str, Any], dict[str, str]]:
            wanted = look.wanted_outlets(workspace)
            return wanted, {name: look.outlet_fault(workspace, outlet) for name, outlet in wanted.items()}

        wanted, faults = await asyncio.to_thread(read)
        found: Sequence[OutletInfo] = await look.outlet_infos(self._reader, wanted, faults)
        return found

    async def dead_letters(self, outlet: str = "") -> Sequence[DeadLetter]:
        """See Engine.dead_letters."""
        from core.store.outlets import dead_letters

        return await dead_letters(self._reader, outlet)

    async def wait(self, run: int) -> RunInfo:
        """See Engine.wait: returns when no engine executes the run."""
        while True:
            info = await self.run(run)
            if not info.state.open or info.interrupted or info.state in (RunState.PAUSED, RunState.WAITING):
                return info
            await asyncio.sleep(POLL_S)

    def _observed(self, run: RunInfo, workspace: Workspace) -> RunInfo:
        name = name_for_rollback(workspace, run)
        if name:
            run = replace(run, confirm=name)
        if run.state in EXECUTING and self._owner() is None:
            return replace(run, interrupted=True)
        return run

    # ------------------------------------------------------------ what only the owner may do

    def _refuse(self) -> NoReturn:
        owner = self._owner()
        if owner is None:
            raise WindlassError("this workspace was opened for reading only")
        raise WorkspaceOwned(
            f"the workspace {self._workspace.path} is owned by another engine: {owner}",
            hint="wait until it ends, or act in the terminal where it runs; "
            "`windlass engine take-over` ends an owner that hangs",
        )

    async def start_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        """See Engine.start_servers. Servers are the provider's: nobody's lease is needed."""
        check_changeable(self._workspace)
        return await (await self.catalogue()).start_servers(names)

    async def stop_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        """See Engine.stop_servers."""
        check_changeable(self._workspace)
        busy = {run.number for run in await self.runs(states=[RunState.RUNNING, RunState.ROLLING_BACK])}
        held = {
            server: run
            for server, run in (await self._reader.holds()).items()
            if run in busy and (not names or server in names) and self._owner() is not None
        }
        if held:
            from core.errors import NotPossible

            server, run = next(iter(sorted(held.items())))
            raise NotPossible(
                f"run {run} is executing on {server}"
                + (f" and {len(held) - 1} more" if len(held) > 1 else ""),
                hint=f"pause or cancel run {run} first",
            )
        return await (await self.catalogue()).stop_servers(names)

    async def host_key(self, server: str) -> HostKey:
        """See Engine.host_key."""
        return await (await self.catalogue()).host_key(server)

    async def trust(self, key: HostKey, *, actor: str) -> None:
        """See Engine.trust. known_hosts is written atomically: nobody's lease is needed."""
        check_changeable(self._workspace)
        told = {"server": key.server, "key": key.fingerprint}
        await asyncio.to_thread(AuditLog(self._workspace.state_dir).append, actor, "server.trust", told)
        await (await self.catalogue()).trust(key)

    async def start(self, request: RunRequest) -> RunInfo:
        """Refused."""
        self._refuse()

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """Refused."""
        self._refuse()

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        """Refused."""
        self._refuse()

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """Refused."""
        self._refuse()

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        """Refused."""
        self._refuse()

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        """Refused."""
        self._refuse()

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
        """Refused."""
        self._refuse()

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """See Engine.control."""
        self._refuse()

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """Refused."""
        self._refuse()

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """Refused."""
        self._refuse()

    # ------------------------------------------------------------ life

    async def drain(self) -> None:
        """Nothing is in flight here."""

    async def close(self) -> None:
        """Closes the reader."""
        if self._catalogue is not None:
            await self._catalogue.close()
        await self._reader.close()
