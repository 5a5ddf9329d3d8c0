"""The engine itself: owns a workspace's state, executes its runs, and speaks the Engine protocol.

What only a run needs (batch models, templates, the runner) is imported with the first run: a third of a
second that the interface shows its first frame sooner.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from core.batch.selector import parse_selector
from core.engine.api import RunRequest
from core.engine.blobs import Blobs
from core.engine.book import INTERRUPTED, Book, TaskRecord
from core.engine.bus import Bus, BusClosed, Lagged
from core.engine.executor import Executor
from core.engine.lease import Lease
from core.engine.protection import check_changeable, check_control, check_plan, check_rollback, check_sound
from core.engine.reading import PAGE_EVENTS, ReadingEngine
from core.errors import CredentialsNeeded, DiskFull, NotFound, NotPossible, WindlassError
from core.model import events
from core.model.actors import place
from core.model.events import Event
from core.model.ids import TaskKey, new_run_id
from core.model.states import OPEN_RUNS, Asked, Decision, RunState
from core.model.views import OwnerInfo, RunInfo
from core.store.evidence import folders_over
from core.store.outlets import dead_seqs
from core.store.records import NewRun, NewStep, NewTask
from core.store.reserve import NEEDED_BYTES
from core.store.store import Store
from core.store.tx import Tx
from core.workspace.folder import Workspace

if TYPE_CHECKING:
    from core.engine.planner import Planned
    from core.engine.run import Run
    from core.secrets.use import RunSecrets


@dataclass(frozen=True, slots=True)
class RunScope:
    """What the executor of one run belongs to.

    `folders_over` tells which folders on servers are ours and of runs that are over.
    """

    workspace: Workspace
    run_id: str
    folders_over: Callable[[Sequence[str]], Awaitable[set[str]]]


ExecutorFactory = Callable[[RunScope], Executor]


class LocalEngine(ReadingEngine):
    """The one engine of a workspace, in this process."""

    owned = True

    def __init__(
        self,
        workspace: Workspace,
        store: Store,
        lease: Lease,
        executor_factory: ExecutorFactory,
        owner: Callable[[], OwnerInfo | None],
    ) -> None:
        super().__init__(workspace, store.reader, owner)
        self._store = store
        self._lease = lease
        self._executor_factory = executor_factory
        self._blobs = Blobs(workspace.state_dir / "blobs", workspace.path, workspace.allow_paths)
        self._bus = Bus()
        self._runs: dict[int, Run] = {}
        self._jobs: dict[int, asyncio.Task[None]] = {}
        self._starting = asyncio.Lock()
        self._again: set[int] = set()
        self._failures: dict[int, BaseException] = {}
        self._failure: BaseException | None = None
        self._full = not store.reserve.kept
        self._short_of_space: set[int] = set()
        self._closing = False
        self._looked: set[int] = set()
        self.others_variables = False
        """Secrets of `env:` are read from what each request gives along, not from this process's environment."""
        self.interrupted: dict[int, float] = {}
        """Runs that an engine before left, and that nobody carried on since, with the time of their last event."""
        store.on_events = self._bus.publish
        store.on_failure = self._store_failed

    # ------------------------------------------------------------ opening

    async def recover(self, actor: str) -> None:
        """Settles what the last engine left in flight (`interrupted`).

        Nothing is started: each such run waits to be resumed, or for a person.
        """
        states = [RunState.RUNNING, RunState.ROLLING_BACK]
        for info in await self._reader.runs(states=states, limit=10_000):
            last = await self._reader.events(info.last_seq - 1, run=info.number, limit=1)
            self.interrupted[info.number] = last[0].time if last else info.created
        if self.interrupted:
            from core.engine import recovery

            for number in self.interrupted:
                await recovery.settle(await self._load(number), self._store)
        tx = Tx()
        told = {"epoch": self._store.epoch, "interrupted": list(self.interrupted)}
        tx.event(events.ENGINE_OPENED, actor=actor, data=told)
        await self._store.commit(tx)
        await self._find_left()

    async def _find_left(self) -> None:
        """Adds runs that an engine before settled, and that nobody has carried on since."""
        for info in await self._reader.runs(states=[RunState.PAUSED, RunState.WAITING], limit=10_000):
            left = info.why == INTERRUPTED or info.state is RunState.WAITING
            if info.number not in self.interrupted and left and info.asked in (Asked.RUN, Asked.ROLL_BACK):
                last = await self._reader.events(info.last_seq - 1, run=info.number, limit=1)
                self.interrupted[info.number] = last[0].time if last else info.created

    async def look(self, run: int) -> bool:
        """Follows to its end what an ended engine left in flight of a run, and starts nothing; False: there is none."""
        loaded = await self._load(run)
        if not loaded.in_doubt() or run in self._jobs:
            return False
        self._looked.add(run)
        self._jobs[run] = asyncio.ensure_future(self._execute(loaded, looking=True))
        return True

    # ------------------------------------------------------------ changing runs

    async def start(self, request: RunRequest) -> RunInfo:
        """See Engine.start."""
        from core.engine import recovery

        check_changeable(self._workspace)
        check_sound(self._workspace)
        catalogue = await self.catalogue()
        async with self._starting:
            self._check_open()
            if request.key and (known := await self._known(request)) is not None:
                return await self.run(known)
            held = await self._reader.holds()
            planned = await catalogue.plan(request.plan, held=held, keep_files=True)
            if request.digest and planned.plan.digest != request.digest:
                raise NotPossible(
                    f"batch {planned.plan.batch} is not what was planned: "
                    "its text, parameters, configuration, environment, servers or files have changed",
                    hint="look at the plan again, then start it",
                )
            plan = await self._protected(planned)
            check_plan(plan, request.confirm)
            if not request.alongside:
                catalogue.find_refused(held, planned.plan.servers)
            given = request.credentials if self.others_variables else None
            secrets = recovery.make_secrets(planned.snapshot, self._blobs, given)
            await secrets.prepare()
            run = await self._create(planned, request, plan.protection, secrets)
        self._spawn(run)
        return await self.run(run.book.number)

    async def _known(self, request: RunRequest) -> int | None:
        """The run that was started under the key of a request. Raises NotPossible where that was another request."""
        found = await self._reader.run_of_key(request.key)
        if found is None:
            return None
        number, asked = found
        if asked != request.fingerprint:
            raise NotPossible(
                f"the key {request.key!r} was used for another request, which started run {number}",
                hint="nothing was started; take a new key for each new request",
            )
        return number

    async def _create(
        self,
        planned: Planned,
        request: RunRequest,
        protection: str,
        secrets: RunSecrets,
        parent: int | None = None,
    ) -> Run:
        from core.engine import recovery
        from core.engine.run import Run
        from core.engine.work import summary

        number = await self._reader.next_run_number()
        snapshot, plan = replace(planned.snapshot, secret_files=secrets.files), planned.plan
        run_id = new_run_id()
        graph = snapshot.graph()
        batch = snapshot.loaded.batch
        now = time.time()
        tx = Tx()
        tx.create_run(
            NewRun(
                number=number,
                run_id=run_id,
                batch=plan.batch,
                path=plan.path,
                actor=request.actor,
                created=now,
                params=dict(snapshot.params),
                servers=len(plan.servers),
                parent=parent,
                batch_text=snapshot.loaded.text,
                digest=snapshot.loaded.digest,
                document=snapshot.to_document(),
                environment=plan.environment,
                protection=protection,
            ),
            [
                NewStep(
                    index=index,
                    name=name,
                    kind=step.kind,
                    summary=step.description or summary(step),
                    tasks=len(snapshot.targets[name]),
                    irreversible=step.changes_something and step.undo is None,
                )
                for index, (name, step) in enumerate(batch.steps.items())
            ],
            [
                NewTask(task, key.step, key.server, batch.steps[key.step].retries.attempts)
                for task, key in enumerate(graph.keys())
            ],
        )
        tx.hold(number, plan.servers)
        if request.key:
            tx.key_of_run(number, request.key, request.fingerprint)
        tx.event(
            events.RUN_CREATED,
            run=number,
            actor=request.actor,
            data={
                "number": number,
                "batch": plan.batch,
                "tasks": plan.tasks,
                "servers": len(plan.servers),
                "parent": parent,
                "environment": plan.environment,
            },
        )
        await self._store.commit(tx)
        records = [
            TaskRecord(budget=batch.steps[graph.steps[graph.step_of[task]].name].retries.attempts)
            for task in range(graph.tasks)
        ]
        book = Book(number, run_id, graph, self._store, records)
        inputs = recovery.make_inputs(snapshot, self._blobs, number, run_id, secrets)
        run = Run(book, snapshot, inputs, partial(self._executor, run_id))
        self._runs[number] = run
        return run

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.pause."""
        await (await self._load(run)).pause(actor, reason)
        return await self.run(run)

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        """See Engine.resume."""
        check_control(await self.run(run), actor)
        check_changeable(self._workspace)
        self._check_open()
        loaded = await self._load(run)
        await self._secrets_anew(loaded, actor)
        check_control(await self.run(run), actor)  # reading secrets may take its time
        await self._catch_up(loaded)
        await loaded.ask_to_run(actor)
        self._spawn(loaded)
        return await self.run(run)

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """See Engine.control. Also in a read-only workspace: there somebody may have to take it to cancel."""
        info = await self.run(run)
        if not take:
            check_control(info, actor)
        if take == (place(info.controller) == place(actor)):
            return info
        tx = Tx()
        tx.run(run, controller=actor if take else "")
        tx.event(events.RUN_CONTROL, run=run, actor=actor, data={"taken": take, "before": info.controller})
        await self._store.commit(tx)
        return await self.run(run)

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """See Engine.give_credentials."""
        check_control(await self.run(run), actor)
        (await self._load(run)).inputs.secrets.give(values)

    async def _secrets_anew(self, loaded: Run, actor: str) -> None:
        """Reads the secrets of a run again, and says which have changed since it was made."""
        changed = await loaded.inputs.secrets.prepare(anew=True)
        if changed:
            tx = Tx()
            tx.event(events.RUN_SECRETS, run=loaded.book.number, actor=actor, data={"changed": changed})
            await self._store.commit(tx)

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.cancel."""
        check_control(await self.run(run), actor)
        await (await self._load(run)).cancel(actor, reason)
        return await self.run(run)

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        """See Engine.retry."""
        check_control(await self.run(run), actor)
        check_changeable(self._workspace)
        self._check_open()
        loaded = await self._load(run)
        await self._secrets_anew(loaded, actor)
        check_control(await self.run(run), actor)  # reading secrets may take its time
        await self._finish_job(run, loaded)
        async with self._starting:
            await self._retake(loaded)
            await loaded.retry(actor, tasks, accept_risk)
        await self._catch_up(loaded)
        self._spawn(loaded)
        return await self.run(run)

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        """See Engine.decide."""
        check_control(await self.run(run), actor)
        check_changeable(self._workspace)
        loaded = await self._load(run)
        # Nor does one go on that was only looked at.
        live = run in self._jobs and run not in self._looked
        await loaded.decide(task, decision, actor, reason)
        # A run that this engine was carrying on goes on by itself; an interrupted one waits to be resumed.
        waits = loaded.book.state in (RunState.PAUSED, RunState.WAITING)
        if live and waits and not loaded.executing and loaded.book.asked in (Asked.RUN, Asked.ROLL_BACK):
            self._spawn(loaded)
        return await self.run(run)

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
        check_control(await self.run(run), actor)
        check_changeable(self._workspace)
        check_rollback(self._workspace, await self.run(run), confirm)
        self._check_open()
        loaded = await self._load(run)
        servers: set[str] | None = None
        if limit:
            selector = parse_selector(limit)
            servers = {name for name, server in loaded.snapshot.servers.items() if selector.matches(server)}
        await self._secrets_anew(loaded, actor)
        check_control(await self.run(run), actor)  # reading secrets may take its time
        async with self._starting:
            await self._retake(loaded)
            await loaded.ask_to_roll_back(actor, reason, steps, servers)
        await self._catch_up(loaded)
        self._spawn(loaded)
        return await self.run(run)

    async def wait(self, run: int) -> RunInfo:
        """See Engine.wait."""
        job = self._jobs.get(run)
        if job is not None:
            await asyncio.wait([job])
            self._raise_failure()
            if run in self._failures:
                raise self._failures.pop(run)
        return await self.run(run)

    # ------------------------------------------------------------ following

    async def follow(
        self, after: int, *, run: int | None = None, incarnation: str = ""
    ) -> AsyncIterator[Event]:
        """See Engine.follow: the log first, then the bus; back to the log whenever the bus was too fast."""
        await self._check_cursor(incarnation)  # once: under its owner the incarnation never changes
        while True:
            with self._bus.subscribe() as subscription:
                while page := await self._reader.events(after, run=run, limit=PAGE_EVENTS):
                    for event in page:
                        yield event
                    after = page[-1].seq
                try:
                    while True:
                        for event in await subscription.next_batch():
                            if event.seq > after:
                                after = event.seq
                                if run is None or event.run == run:
                                    yield event
                except Lagged:
                    continue
                except BusClosed:
                    return

    # ------------------------------------------------------------ life

    async def drain(self) -> None:
        """See Engine.drain."""
        self._closing = True
        for run in self._runs.values():
            run.drain()
        if self._jobs:
            await asyncio.wait(list(self._jobs.values()))

    async def close(self) -> None:
        """See Engine.close."""
        self._closing = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        self._bus.close()
        if self._catalogue is not None:
            await self._catalogue.close()
        with contextlib.suppress(WindlassError):
            await self._store.close()
        self._lease.release()

    def announce(self, **told: str | bool) -> None:
        """Says beside the lease where this engine is reached, and what it is: OwnerInfo's fields. Raises StoreError."""
        self._lease.tell(**told)

    @property
    def store(self) -> Store:
        """The state of the workspace."""
        return self._store

    @property
    def opened(self) -> Workspace:
        """The workspace by its settings as they are now."""
        return self._workspace

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """See Engine.replay."""
        check_changeable(self._workspace)
        there = await dead_seqs(self._reader, outlet)
        if unknown := sorted(set(seqs) - there):
            raise NotFound(f"{outlet} has no event {', '.join(map(str, unknown[:5]))} that was put aside")
        chosen = sorted(set(seqs) or there)
        if not chosen:
            raise NotFound(f"{outlet} has no event that was put aside")
        tx = Tx()
        tx.ask_again(outlet, chosen)
        tx.event(events.WEBHOOK_REPLAY, actor=actor, data={"outlet": outlet, "seqs": chosen})
        await self._store.commit(tx)
        return len(chosen)

    @property
    def executing(self) -> bool:
        """Whether a run is on its way in this engine."""
        return any(not job.done() for job in self._jobs.values())

    # ------------------------------------------------------------ inside

    def _executor(self, run_id: str) -> Executor:
        ended = partial(folders_over, self._reader)
        return self._executor_factory(RunScope(self._workspace, run_id, ended))

    def _spawn(self, run: Run) -> None:
        """Executes a run in the background; one that is on its way looks again before it ends."""
        number = run.book.number
        self._looked.discard(number)
        self._failures.pop(number, None)
        self._again.add(number)
        job = self._jobs.get(number)
        if job is None or job.done():
            self._jobs[number] = asyncio.ensure_future(self._execute(run))

    async def _execute(self, run: Run, *, looking: bool = False) -> None:
        number = run.book.number
        try:
            if looking:
                await self._catch_up(run)
                await run.execute(looking=True)
            await self._carry_on(run)
            await self._pause_for_space(run)
        except asyncio.CancelledError:
            raise
        except CredentialsNeeded as error:
            await self.wait_for_credentials(number, error)
        except BaseException as error:  # kept for whoever waits: the run stays as it is durable
            self._failures[number] = error
            await self._read_again(number)

    async def wait_for_credentials(self, number: int, error: CredentialsNeeded) -> None:
        """Says of a run that was to go on, and was not begun, what it waits for."""
        run = await self._load(number)
        state = RunState.PAUSED if run.book.state is RunState.RUNNING else run.book.state
        tx = Tx()
        run.book.run_state(tx, state, why="; ".join(filter(None, (_in_doubt(run), error.message))))
        await self._store.commit(tx)

    async def _carry_on(self, run: Run) -> None:
        number = run.book.number
        while number in self._again and self._may_execute:
            self._again.discard(number)
            # A cancelled run that waits for its doubts is executed to look for them, and to stop what runs.
            cancelled = run.book.asked is Asked.CANCEL and not run.in_doubt()
            if not run.book.state.open or (cancelled and not run.executing):
                return
            await run.execute()

    async def _pause_for_space(self, run: Run) -> None:
        """Makes durable that a run waits for disk space, with what was kept back for that."""
        book = run.book
        if book.number not in self._short_of_space:
            return
        self._short_of_space.discard(book.number)
        self._runs.pop(book.number, None)  # it was told to start nothing more: the next one is read anew
        if book.state not in (RunState.RUNNING, RunState.ROLLING_BACK):
            return
        tx = Tx()
        book.run_state(
            tx,
            RunState.PAUSED,
            why="the disk that holds the workspace is full; free some space, then resume it",
        )
        await self._store.commit(tx)

    @property
    def _may_execute(self) -> bool:
        return not self._closing and self._failure is None and not self._full

    async def _read_again(self, number: int) -> None:
        """Puts a run whose execution failed where its records say it is: what was in flight is in doubt.

        Where the store fails, the next engine does it.
        """
        from core.engine import recovery

        with contextlib.suppress(WindlassError):
            given: dict[str, str] | None = {} if self.others_variables else None
            run = await recovery.load_run(self._store, number, self._blobs, self._executor, given)
            if run.book.state in (RunState.RUNNING, RunState.ROLLING_BACK):
                await recovery.settle(run, self._store)
            self._runs[number] = run

    async def _finish_job(self, number: int, run: Run) -> None:
        """Waits for a run that has ended its work but not yet its coroutine."""
        job = self._jobs.get(number)
        if job is not None and not run.book.state.open:
            await asyncio.wait([job])

    async def _load(self, number: int) -> Run:
        if number not in self._runs:
            from core.engine import recovery

            given: dict[str, str] | None = {} if self.others_variables else None
            loaded = await recovery.load_run(self._store, number, self._blobs, self._executor, given)
            return self._runs.setdefault(number, loaded)  # two callers share the first one read
        return self._runs[number]

    async def _retake(self, run: Run) -> None:
        """Makes sure that an ended run may hold its servers again. Raises NotPossible."""
        if run.book.state not in OPEN_RUNS:
            held = await self._reader.holds()
            (await self.catalogue()).find_refused(held, run.servers())

    async def _catch_up(self, run: Run) -> None:
        """Takes over addresses of servers that their provider says have moved, and tells so."""
        if run.executing:
            return
        moved = await (await self.catalogue()).moved(run.snapshot.servers)
        if not moved:
            return
        run.move_servers(moved)
        tx = Tx()
        for name, server in moved.items():
            where = f"{server.ssh.address}:{server.ssh.port or 22}"
            tx.event(
                events.SERVER_NOTE,
                run=run.book.number,
                server=name,
                data={"what": "moved", "message": f"{name} is now at {where}, its provider says"},
            )
        await self._store.commit(tx)

    def _check_open(self) -> None:
        self._raise_failure()
        if self._closing:
            raise NotPossible("the engine is ending: it starts nothing more")
        if not self._store.reserve.restore():
            raise DiskFull(
                f"the disk of {self._workspace.state_dir} is full: nothing starts",
                hint=f"free at least {NEEDED_BYTES >> 20} MiB there, then try again; "
                "what was in flight is recorded, and pausing, cancelling and looking still work",
            )
        self._full = False

    def _notices(self) -> tuple[str, ...]:
        full = "the disk of this workspace is full: nothing starts until some of it is free"
        return (*super()._notices(), *self._store.notices, *([full] if self._full else []))

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _store_failed(self, error: BaseException) -> None:
        """Nothing starts from here on: the store takes nothing more (fenced, no space at all), or the disk is
        full and what was kept back is for what is in flight.
        """
        if isinstance(error, DiskFull) and not self._store.broken:
            self._full = True
            self._short_of_space.update(number for number, job in self._jobs.items() if not job.done())
        else:
            self._failure = self._failure or error
        for run in self._runs.values():
            run.drain()


def _in_doubt(run: Run) -> str:
    count = len(run.in_doubt())
    return f"{count} task{'s' if count > 1 else ''} in doubt" if count else ""
