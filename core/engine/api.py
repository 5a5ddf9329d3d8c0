"""The Engine protocol: the one way in for every face (interface, command line, REST).

Requests are frozen and carry who asks (`actor`); answers are the views of `core.model.views`. Every
change of a run is durable before the method returns. Errors are those of `core.errors`; nothing else
is raised on purpose. In a workspace that says `read_only: true` every method that changes something raises
ReadOnlyWorkspace, but `pause` and `cancel`.

Runs are named by number. `follow` is how a face stays current: it yields every event after a sequence
number, in order, without a gap, for ever; a face that was too slow simply reads from the log.

A sequence number means something within one incarnation of the database only (`WorkspaceInfo.incarnation`);
whoever keeps one keeps both, and is told CursorGone where a restore has made another incarnation of it: then
the state is read again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Decision, Purpose, RunState, Stream, TaskState
from core.model.views import (
    AttemptInfo,
    BatchChange,
    BatchInfo,
    DeadLetter,
    Explanation,
    OutletInfo,
    OutputPage,
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


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What to plan: `batch` is a name (`batches/NAME.yaml`) or a path; `limit` a selector that narrows it.

    `params` given as strings are read by the type that the batch declares. `connect` asks every server
    how commands run there; else the plan says what the last session with each was told. `environment` names one
    that the workspace has; "" is the only one that it declares, or none. `settings` and `texts` are `--set` and
    `--set-string` of the configuration. `variables` are those of the asker's environment that the configuration may
    read (`WINDLASS__...` and what the workspace allows); None stands for those of the process that plans.
    """

    batch: str
    params: Mapping[str, Any] = field(default_factory=dict)
    limit: str = ""
    connect: bool = False
    environment: str = ""
    settings: Sequence[str] = ()
    texts: Sequence[str] = ()
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A plan to carry out. `alongside` starts although another open run holds some of the servers.

    `digest`, when given, is that of the plan the person saw: a batch changed since is refused. `confirm` is what
    the person typed where the plan asks for a name (`Plan.confirm`). Of requests with one `key` the first starts a
    run, and the same one again gives that run: whoever lost the answer asks anew. `credentials` are variables from
    which secrets (`env:NAME`) are read, for an engine that is another process: they are kept in memory only.
    """

    plan: PlanRequest
    actor: str
    alongside: bool = False
    digest: str = ""
    confirm: str = ""
    key: str = ""
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def fingerprint(self) -> str:
        """What is asked for, as one digest; not by whom, and not under which key."""
        told = {**asdict(self), "actor": "", "key": "", "credentials": {}}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class HostKey:
    """A host key as a server presented it, not trusted yet. `key` is OpenSSH's one-line form, `took_s` how long
    the server took to present it.
    """

    server: str
    address: str
    port: int
    key: str
    fingerprint: str
    known_as: str = ""
    took_s: float = 0.0


class Engine(Protocol):
    """One opened workspace. `elsewhere` says that it is another process: it goes on when this one ends."""

    @property
    def elsewhere(self) -> bool:
        """Whether it is another process."""
        ...

    # ------------------------------------------------------------ what is there

    async def workspace(self) -> WorkspaceInfo:
        """The workspace, who owns it, and where its log ends."""
        ...

    async def servers(self, *, refresh: bool = False) -> Sequence[ServerInfo]:
        """The inventory; `refresh` asks the providers again. Raises InputError with every fault."""
        ...

    async def providers(self, *, refresh: bool = False) -> Sequence[ProviderInfo]:
        """Every settings file of servers with its provider, faulty ones with their faults; `refresh` asks again."""
        ...

    async def server_runs(self, server: str, *, limit: int = 20) -> Sequence[ServerRun]:
        """The newest runs that had tasks on a server, newest first; none for a name that no run knows."""
        ...

    async def batches(self) -> Sequence[BatchInfo]:
        """Every batch of the workspace, by name; faulty ones with their faults."""
        ...

    async def plan(self, request: PlanRequest) -> Plan:
        """What a run would do; no side effect. Raises InputError with every fault."""
        ...

    async def plan_tasks(
        self, request: PlanRequest, step: str, *, digest: str = "", after: int = 0, limit: int = 1000
    ) -> Sequence[PlannedTask]:
        """What each task of one step would be handed, in the order of its servers, behind the first `after`.

        `digest`, when given, is that of the plan that the person saw: NotPossible where it has changed since. No side
        effect. Raises InputError with every fault of the batch, NotFound for a step that it does not have.
        """
        ...

    async def batch_effects(self, file: str, text: str, environment: str) -> Sequence[BatchChange]:
        """What the saved batches would do otherwise if `text` stood in a file of the configuration.

        Batches that nothing changes for are left out. Nothing is written. Raises InputError where the servers are not
        known or the environment is not.
        """
        ...

    # ------------------------------------------------------------ servers

    async def start_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Starts servers through their providers (all when empty); returns what runs now."""
        ...

    async def stop_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        """Stops servers through their providers (all when empty); returns what was stopped.

        Raises NotPossible where a run executes on one of them.
        """
        ...

    async def host_key(self, server: str) -> HostKey:
        """The key that a server presents now. Raises ServersUnreachable."""
        ...

    async def trust(self, key: HostKey, *, actor: str) -> None:
        """Stores a host key in the workspace's known_hosts. A changed key is refused (NotPossible)."""
        ...

    # ------------------------------------------------------------ runs: changing

    async def start(self, request: RunRequest) -> RunInfo:
        """Plans, stores the snapshot and starts executing; returns at once, with the run durable.

        Raises InputError, NotPossible (servers held by another run, named), WorkspaceOwned, ConfirmationNeeded
        (a protected environment whose name was not typed).
        """
        ...

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """Starts no further task; attempts in flight end. Raises NotPossible."""
        ...

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        """Carries on a paused or interrupted run from its snapshot, probing what is in doubt."""
        ...

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """Stops attempts in flight and ends the run; unconfirmed stops are in doubt."""
        ...

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        """Opens failed and unreachable tasks again (all of them when empty), with what they had blocked.

        A task that may have run before its decision needs `accept_risk`. Raises NotPossible.
        """
        ...

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        """Decides a task in doubt. RETRY runs its command again although it may have run. Raises NotPossible."""
        ...

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
        """Undoes what the run did, in reverse order; begins when nothing of it runs.

        `confirm` is what the person typed where the run asks for a name (`RunInfo.confirm`). Raises NotPossible,
        ConfirmationNeeded.
        """
        ...

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """Takes the control of a run, from whoever has it, or gives it back. Raises NotPossible.

        While somebody has it (`RunInfo.controller`) others may pause the run; what else would change it is refused.
        """
        ...

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """Variables from which secrets of a run are read, kept in memory only. A run that asks for them says so by
        CredentialsNeeded, when it is started, resumed, retried or rolled back.
        """
        ...

    async def wait(self, run: int) -> RunInfo:
        """Returns when this engine executes nothing of the run any more: ended, paused or waiting."""
        ...

    # ------------------------------------------------------------ runs: reading

    async def runs(
        self, *, states: Sequence[RunState] = (), batch: str = "", limit: int = 50, before: int | None = None
    ) -> Sequence[RunInfo]:
        """Runs, newest first."""
        ...

    async def run(self, run: int) -> RunInfo:
        """One run. Raises InputError where there is none of that number."""
        ...

    async def steps(self, run: int) -> Sequence[StepInfo]:
        """The steps of a run in document order, with counts by state."""
        ...

    async def step_needs(self, run: int) -> Sequence[StepNeed]:
        """What the steps of a run wait for, those that the batch's order implies included. Raises NotFound."""
        ...

    async def used_values(self, run: int) -> Sequence[UsedValue]:
        """The values of the configuration that a run was frozen with, by path. Raises InputError: no such run."""
        ...

    async def tasks(
        self,
        run: int,
        *,
        step: str = "",
        states: Sequence[TaskState] = (),
        after: int = -1,
        limit: int = 1000,
    ) -> Sequence[TaskInfo]:
        """Tasks by index, at most `limit` after index `after`."""
        ...

    async def task(self, run: int, task: TaskKey) -> TaskInfo:
        """One task. Raises InputError where the run has none of that name."""
        ...

    async def attempts(self, run: int, task: TaskKey) -> Sequence[AttemptInfo]:
        """Every attempt of a task, oldest first."""
        ...

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
        """Stored output in the order it came; `after` is the cursor of the last page, `tail_bytes` the newest only."""
        ...

    async def acts(self, run: int, *, limit: int = 200) -> Sequence[Event]:
        """What persons did to a run, newest first; `core.model.acts` puts it into words."""
        ...

    async def batch_changes(self, run: int) -> str:
        """How the batch file on disk differs from the text that the run was made from, as a unified diff.

        "" where it does not, or where the run was made from no file. A run goes on from its stored text.
        """
        ...

    async def explain(self, run: int, task: TaskKey) -> Explanation:
        """Why a task stands where it stands: what it waits for, what is certain, what is not."""
        ...

    async def events(
        self, after: int, *, run: int | None = None, limit: int = 1000, incarnation: str = ""
    ) -> Sequence[Event]:
        """Stored events after a sequence number, at most `limit`.

        Raises CursorGone where `incarnation` is given and is not the database's.
        """
        ...

    def follow(self, after: int, *, run: int | None = None, incarnation: str = "") -> AsyncIterator[Event]:
        """Every event after a sequence number: first from the log, then as it happens; ends with the engine.

        Raises CursorGone where `incarnation` is given and is not, or is no longer, the database's.
        """
        ...

    # ------------------------------------------------------------ who is told

    async def outlets(self) -> Sequence[OutletInfo]:
        """Who is told of events, as the settings say, and how that fares. Raises InputError: faulty settings."""
        ...

    async def dead_letters(self, outlet: str = "") -> Sequence[DeadLetter]:
        """Events that one outlet, or any, could not be told."""
        ...

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """Tells events that were put aside once more (all of the outlet when empty); returns how many are asked for.

        Each is tried once; what is taken is forgotten. Raises NotFound.
        """
        ...

    # ------------------------------------------------------------ life

    async def drain(self) -> None:
        """Starts nothing more, lets attempts in flight end, and leaves the runs resumable."""
        ...

    async def close(self) -> None:
        """Ends this engine at once; attempts in flight are abandoned and will be in doubt."""
        ...
