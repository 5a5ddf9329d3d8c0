"""A deterministic engine for pictures and key tests of the interface: fixed views, an event queue, recorded calls.

It is no engine: it changes only what a test tells it to change, so that screens can be drawn in each state. Tests of
what the engine does run on the real one.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from core.engine.api import HostKey, PlanRequest, RunRequest
from core.errors import InputError, NotPossible, ServersUnreachable, WindlassError
from core.model import events as kinds
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Asked, Decision, RunState, Stream, TaskState, UndoState
from core.model.views import (
    AttemptInfo,
    BatchChange,
    BatchInfo,
    DeadLetter,
    Explanation,
    OutletInfo,
    OutputChunk,
    OutputPage,
    OwnerInfo,
    Plan,
    PlannedField,
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

NOW = 1_772_373_731.0  # 2026-03-01 14:02:11 UTC


@dataclasses.dataclass
class StoredRun:
    """A run with its steps' kinds and its tasks, from which the counts are taken."""

    info: RunInfo
    steps: list[StepInfo]
    tasks: list[TaskInfo]

    def counted(self) -> RunInfo:
        return dataclasses.replace(
            self.info,
            tasks=len(self.tasks),
            counts=dict(Counter(task.state for task in self.tasks)),
            undo_counts=dict(Counter(task.undo for task in self.tasks)),
            servers=len({task.server for task in self.tasks}),
        )

    def counted_steps(self) -> list[StepInfo]:
        out = []
        for step in self.steps:
            mine = [task for task in self.tasks if task.step == step.name]
            out.append(
                dataclasses.replace(
                    step,
                    tasks=len(mine),
                    counts=dict(Counter(task.state for task in mine)),
                    undo_counts=dict(Counter(task.undo for task in mine)),
                    started=min((task.started for task in mine if task.started), default=None),
                    ended=max((task.ended for task in mine if task.ended), default=None),
                )
            )
        return out

    def at(self, key: TaskKey) -> int:
        for at, task in enumerate(self.tasks):
            if task.key == key:
                return at
        raise InputError(f"run {self.info.number} has no task {key}")


class ScriptedEngine:
    """Implements `core.engine.api.Engine` on fixed data. `calls` holds every change that was asked for."""

    elsewhere = False

    def __init__(self) -> None:
        self.info = WorkspaceInfo(
            path="/srv/lab",
            name="lab",
            description="",
            owned=True,
            owner=OwnerInfo(pid=4711, user="ada", host="desk", since=NOW - 3600),
            last_seq=100,
            incarnation="0" * 32,
        )
        self.server_list: list[ServerInfo] = []
        self.servers_error: WindlassError | None = None
        self.provider_list: list[ProviderInfo] = []
        self.batch_list: list[BatchInfo] = []
        self.effects: list[BatchChange] = []
        self.plans: dict[str, Plan | WindlassError] = {}
        self.run_list: dict[int, StoredRun] = {}
        self.outputs: dict[tuple[int, TaskKey], list[OutputChunk]] = {}
        self.explanations: dict[tuple[int, TaskKey], Explanation] = {}
        self.attempt_list: dict[tuple[int, TaskKey], list[AttemptInfo]] = {}
        self.host_keys: dict[str, HostKey | WindlassError] = {}
        self.refuse: dict[str, WindlassError] = {}
        self.calls: list[tuple[Any, ...]] = []
        self.acts_told: list[Event] = []
        self.needs_told: dict[int, list[StepNeed]] = {}
        self.reads: Counter[str] = Counter()
        self.drained = asyncio.Event()
        self._events: list[Event] = []
        self._news = asyncio.Condition()
        self._closed = False

    # ------------------------------------------------------------ telling

    async def tell(self, kind: str, run: int | None = None, task: TaskKey | None = None, **data: Any) -> None:
        """Writes an event."""
        seq = self.info.last_seq + 1
        self.info = dataclasses.replace(self.info, last_seq=seq)
        event = Event(seq, kind, run, task and task.step, task and task.server, None, "test", NOW, data)
        async with self._news:
            self._events.append(event)
            self._news.notify_all()

    def log(self, event: Event) -> None:
        """Puts an event into the log, as one of before anybody looked."""
        self._events.append(event)
        self.info = dataclasses.replace(self.info, last_seq=event.seq)
        if event.run in self.run_list:
            self.run_list[event.run].info = dataclasses.replace(
                self.run_list[event.run].info, last_seq=event.seq
            )

    async def set_task(self, run: int, key: TaskKey, **changes: Any) -> None:
        """Changes a task and tells it."""
        stored = self.run_list[run]
        at = stored.at(key)
        stored.tasks[at] = dataclasses.replace(stored.tasks[at], **changes)
        await self.tell(kinds.TASK_STATE, run, key)

    async def set_run(self, run: int, **changes: Any) -> None:
        """Changes a run and tells it."""
        stored = self.run_list[run]
        stored.info = dataclasses.replace(stored.info, **changes)
        await self.tell(kinds.RUN_STATE, run)

    async def print(self, run: int, key: TaskKey, chunk: OutputChunk) -> None:
        """Adds output and tells it."""
        self.outputs.setdefault((run, key), []).append(chunk)
        await self.tell(kinds.TASK_OUTPUT, run, key)

    def _called(self, name: str, *what: Any) -> None:
        self.calls.append((name, *what))
        if name in self.refuse:
            raise self.refuse[name]

    # ------------------------------------------------------------ reading

    async def workspace(self) -> WorkspaceInfo:
        self.reads["workspace"] += 1
        return self.info

    async def plan_tasks(
        self, request: PlanRequest, step: str, *, digest: str = "", after: int = 0, limit: int = 1000
    ) -> Sequence[PlannedTask]:
        self.reads["plan_tasks"] += 1
        plan = self.plans[request.batch]
        if isinstance(plan, WindlassError):
            raise plan
        (wanted,) = (each for each in plan.steps if each.name == step)
        return [
            PlannedTask(
                step,
                server,
                (
                    PlannedField("run", f"{wanted.summary} # on {server}"),
                    PlannedField("env RELEASE", "1.4"),
                    PlannedField("when", "", "it depends on what earlier tasks print"),
                ),
            )
            for server in wanted.servers[after : after + limit]
        ]

    async def batch_effects(self, file: str, text: str, environment: str) -> Sequence[BatchChange]:
        self.reads["batch_effects"] += 1
        return self.effects

    async def servers(self, *, refresh: bool = False) -> Sequence[ServerInfo]:
        self.reads["servers"] += 1
        if self.servers_error is not None:
            raise self.servers_error
        return list(self.server_list)

    async def providers(self, *, refresh: bool = False) -> Sequence[ProviderInfo]:
        self.reads["providers again" if refresh else "providers"] += 1
        return list(self.provider_list)

    async def batches(self) -> Sequence[BatchInfo]:
        return list(self.batch_list)

    async def plan(self, request: PlanRequest) -> Plan:
        self.calls.append(("plan", request.batch, dict(request.params), request.limit))
        found = self.plans.get(request.batch)
        if found is None:
            raise InputError(f"there is no batch '{request.batch}'", hint="windlass validate lists them")
        if isinstance(found, WindlassError):
            raise found
        return found

    async def runs(
        self, *, states: Sequence[RunState] = (), batch: str = "", limit: int = 50, before: int | None = None
    ) -> Sequence[RunInfo]:
        found = [
            stored.counted()
            for number, stored in sorted(self.run_list.items(), reverse=True)
            if (not states or stored.info.state in states)
            and (not batch or stored.info.batch == batch)
            and (before is None or number < before)
        ]
        return found[:limit]

    def _stored(self, run: int) -> StoredRun:
        if run not in self.run_list:
            raise InputError(f"there is no run {run}")
        return self.run_list[run]

    async def run(self, run: int) -> RunInfo:
        return self._stored(run).counted()

    async def steps(self, run: int) -> Sequence[StepInfo]:
        return self._stored(run).counted_steps()

    async def step_needs(self, run: int) -> Sequence[StepNeed]:
        if run in self.needs_told:
            return self.needs_told[run]
        names = [step.name for step in self._stored(run).steps]
        return [StepNeed(step, before, True, True) for before, step in itertools.pairwise(names)]

    async def used_values(self, run: int) -> Sequence[UsedValue]:
        self._stored(run)
        return ()

    async def tasks(
        self,
        run: int,
        *,
        step: str = "",
        states: Sequence[TaskState] = (),
        after: int = -1,
        limit: int = 1000,
    ) -> Sequence[TaskInfo]:
        found = [
            task
            for task in self._stored(run).tasks
            if task.index > after and (not step or task.step == step) and (not states or task.state in states)
        ]
        self.reads["tasks"] += min(len(found), limit)
        return found[:limit]

    async def task(self, run: int, task: TaskKey) -> TaskInfo:
        self.reads["task"] += 1
        stored = self._stored(run)
        return stored.tasks[stored.at(task)]

    async def attempts(self, run: int, task: TaskKey) -> Sequence[AttemptInfo]:
        return self.attempt_list.get((run, task), [])

    async def output(
        self,
        run: int,
        task: TaskKey,
        *,
        purpose: Any = None,
        attempt: int | None = None,
        stream: Stream | None = None,
        tail_bytes: int | None = None,
        after: int = 0,
    ) -> OutputPage:
        chunks = self.outputs.get((run, task), [])
        return OutputPage(tuple(chunks[after:]), (), more=False, cursor=len(chunks))

    async def explain(self, run: int, task: TaskKey) -> Explanation:
        found = self.explanations.get((run, task))
        if found is not None:
            return found
        info = await self.task(run, task)
        return Explanation((f"{task.step} on {task.server} is {info.state.word}",))

    async def events(
        self, after: int, *, run: int | None = None, limit: int = 1000, incarnation: str = ""
    ) -> Sequence[Event]:
        found = [event for event in self._events if event.seq > after and run in (None, event.run)]
        return found[:limit]

    async def follow(
        self, after: int, *, run: int | None = None, incarnation: str = ""
    ) -> AsyncIterator[Event]:
        while True:
            async with self._news:
                while not self._closed and self.info.last_seq <= after:
                    await self._news.wait()
                found = [event for event in self._events if event.seq > after]
            for event in found:
                after = event.seq
                yield event
            if self._closed:
                return

    # ------------------------------------------------------------ changing

    async def start_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        self._called("start_servers", tuple(names))
        self.server_list = [dataclasses.replace(server, state="started") for server in self.server_list]
        return [server.name for server in self.server_list]

    async def stop_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        self._called("stop_servers", tuple(names))
        return []

    async def server_runs(self, server: str, *, limit: int = 20) -> Sequence[ServerRun]:
        self.reads["server_runs"] += 1
        found = []
        for number in sorted(self.run_list, reverse=True):
            run, mine = (
                self.run_list[number],
                [task for task in self.run_list[number].tasks if task.server == server],
            )
            if mine:
                last = mine[-1]
                told = (last.key, last.state, last.why, last.last_line)
                info = run.info
                counts = dict(Counter(task.state for task in mine))
                found.append(
                    ServerRun(number, info.batch, info.state, info.created, info.ended, counts, *told)
                )
        return found[:limit]

    async def host_key(self, server: str) -> HostKey:
        self._called("host_key", server)
        found = self.host_keys.get(server) or ServersUnreachable(f"{server} cannot be reached: no answer")
        if isinstance(found, WindlassError):
            raise found
        return found

    async def trust(self, key: HostKey, *, actor: str) -> None:
        self._called("trust", key.server, actor)

    async def start(self, request: RunRequest) -> RunInfo:
        self._called(
            "start", request.plan.batch, request.alongside, request.digest, dict(request.plan.params)
        )
        number = max(self.run_list, default=0)
        return self._stored(number).counted()

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        self._called("pause", run)
        await self.set_run(run, state=RunState.PAUSED, asked=Asked.PAUSE)
        return await self.run(run)

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        self._called("resume", run)
        await self.set_run(run, state=RunState.RUNNING, asked=Asked.RUN, interrupted=False)
        return await self.run(run)

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        self._called("cancel", run)
        return await self.run(run)

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        self._called("retry", run, tuple(tasks), accept_risk)
        return await self.run(run)

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        self._called("decide", run, task, decision, actor, reason)
        states = {
            Decision.DONE: TaskState.DONE,
            Decision.FAILED: TaskState.FAILED,
            Decision.SKIP: TaskState.SKIPPED,
            Decision.RETRY: TaskState.WAITING,
        }
        if (await self.task(run, task)).state is not TaskState.IN_DOUBT:
            raise NotPossible(f"{task} is not in doubt")
        await self.set_task(run, task, state=states[decision], decided_by=actor, decision=decision.value)
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
        self._called("roll_back", run)
        return await self.run(run)

    async def wait(self, run: int) -> RunInfo:
        return await self.run(run)

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """Taken, or given back."""
        self._called("control", run, take)
        await self.set_run(run, controller=actor if take else "")
        return await self.run(run)

    async def acts(self, run: int, *, limit: int = 200) -> Sequence[Event]:
        """What a test says that persons did."""
        return self.acts_told[:limit]

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """Kept."""
        self.calls.append(("give_credentials", run, tuple(values)))

    async def outlets(self) -> Sequence[OutletInfo]:
        """Who is told of events."""
        return ()

    async def dead_letters(self, outlet: str = "") -> Sequence[DeadLetter]:
        """None."""
        return ()

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """Kept."""
        self.calls.append(("replay", outlet, tuple(seqs)))
        return len(seqs)

    async def drain(self) -> None:
        self._called("drain")
        self.drained.set()

    async def close(self) -> None:
        self._closed = True
        async with self._news:
            self._news.notify_all()


def task(index: int, step: str, server: str, state: TaskState = TaskState.WAITING, **more: Any) -> TaskInfo:
    """A task with plain values where a test says nothing."""
    values: dict[str, Any] = {
        "phase": None,
        "attempt": 0 if state in {TaskState.WAITING, TaskState.BLOCKED} else 1,
        "attempts": 1,
        "exit_status": None,
        "signal": "",
        "why": "",
        "evidence": "",
        "started": None,
        "ended": None,
        "undo": UndoState.NONE,
    }
    values.update(more)
    return TaskInfo(index=index, step=step, server=server, state=state, **values)


def run_info(
    number: int, batch: str, state: RunState, *, began_s: float, ended_s: float | None = None, **more: Any
) -> RunInfo:
    """A run that began `began_s` seconds before NOW and ended `ended_s` before it."""
    values: dict[str, Any] = {"asked": Asked.RUN, "why": "", "actor": "ada", "counts": {}, "tasks": 0}
    values.update(more)
    return RunInfo(
        number=number,
        run_id=f"{number:032x}",
        batch=batch,
        path=f"batches/{batch}.yaml",
        state=state,
        created=NOW - began_s,
        ended=None if ended_s is None else NOW - ended_s,
        **values,
    )


def step(index: int, name: str, kind: str = "run", **more: Any) -> StepInfo:
    """A step; its counts come from the tasks."""
    values: dict[str, Any] = {"summary": "", "tasks": 0, "counts": {}}
    values.update(more)
    return StepInfo(index=index, name=name, kind=kind, **values)
