"""What the engine tells its faces: frozen pictures of a workspace, its servers, batches, runs and tasks.

All of them can be rebuilt from the store; none is a truth of its own. Times are wall time in seconds
since the epoch unless the name ends in `_s` (a duration in seconds).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from core.errors import Fault
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Asked, Phase, Purpose, RunState, Stream, TaskState, UndoState


@dataclass(frozen=True, slots=True)
class OwnerInfo:
    """Who holds the lease of a workspace. `live` is False when it was read from a lease nobody holds.

    `started` names the process beyond its pid (clock ticks since boot, 0 unknown); `boot_id` and
    `pid_namespace` say in which world that pid means something ("" unknown). `socket` is where it listens ("" not
    at all), `background` whether it is a process of its own that no terminal ends. `agent` is the socket of its SSH
    agent ("" none), `logout` what becomes of it when its account logs out, and `stays` whether it outlives that.
    """

    pid: int
    user: str
    host: str
    since: float
    started: float = 0.0
    live: bool = True
    uid: int | None = None
    boot_id: str = ""
    pid_namespace: str = ""
    socket: str = ""
    background: bool = False
    version: str = ""
    agent: str = ""
    logout: str = ""
    stays: bool = True

    def __str__(self) -> str:
        return f"pid {self.pid}, {self.user}@{self.host}"


@dataclass(frozen=True, slots=True)
class Watcher:
    """Somebody who has the workspace open: an interface, a command that watches, or a follower of events. `run` is the
    one it follows, None for all.
    """

    id: str
    actor: str
    how: str
    since: float
    run: int | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceInfo:
    """The workspace that an engine has open. `owned` is True when this engine may change its state.

    `notices` are sentences about this opening that an operator must see: what could not be trusted, what
    was found to be a copy. `faults` are those of `workspace.yaml`: nothing is planned before they are gone.
    """

    path: str
    name: str
    description: str
    owned: bool
    owner: OwnerInfo | None
    last_seq: int
    incarnation: str
    faults: tuple[Fault, ...] = ()
    notices: tuple[str, ...] = ()
    environments: tuple[EnvironmentInfo, ...] = ()
    protection: str = "none"
    read_only: bool = False
    watchers: tuple[Watcher, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An environment of the workspace; `protection` is "none" or "production".

    One that is not `declared` has only a file of the configuration: a run must name it.
    """

    name: str
    protection: str
    description: str = ""
    declared: bool = True


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """One server. `held_by` is the open run that holds it, `last_run` the newest that had tasks on it.
    `options_ignored` are ssh_config options that matter and are not honoured, with why. `reached` is when a run opened
    its last session with it, None where none ever did; `unreachable` why the newest run could not, "" where it could.
    """

    name: str
    provider: str
    address: str
    port: int
    user: str
    groups: tuple[str, ...]
    labels: Mapping[str, str]
    state: str
    source: str
    note: str = ""
    held_by: int | None = None
    last_run: int | None = None
    options_ignored: tuple[str, ...] = ()
    reached: float | None = None
    unreachable: str = ""


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """One settings file of servers and the provider that reads it (`kind`, "" where the file names none that there is).

    `listed` is when the provider was asked last (wall time), `took_s` how long it took; both 0 where it was not, since
    the file has `faults`. `why` says why it could not tell its servers, "" where it did. `states` counts its servers.
    `line` is where the file names it.
    """

    kind: str
    file: str
    line: int
    starts_servers: bool
    states: Mapping[str, int]
    listed: float = 0.0
    took_s: float = 0.0
    why: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def servers(self) -> int:
        """How many servers it lists."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class ServerRun:
    """What one run did on one server. `counts` are those of its tasks there, `task` the one of them that tells most: in
    doubt, else failed, else running, else the last; `why` and `last_line` are that task's.
    """

    run: int
    batch: str
    state: RunState
    created: float
    ended: float | None
    counts: Mapping[TaskState, int]
    task: TaskKey
    task_state: TaskState
    why: str = ""
    last_line: str = ""
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class BatchInfo:
    """One batch document of the workspace; `faults` says why it cannot be planned."""

    name: str
    path: str
    description: str
    steps: int
    params: tuple[ParamInfo, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One thing of a task that would be another: its command, a variable of its environment, a path.

    `before` and `after` are what is handed over; both are "" where that is not known before the run, and `why` says
    so.
    """

    field: str
    before: str
    after: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class TaskChange:
    """One task of a saved batch that would do something else."""

    step: str
    server: str
    fields: tuple[FieldChange, ...]


@dataclass(frozen=True, slots=True)
class BatchChange:
    """What a change of the configuration means for one saved batch.

    `tasks` are at most some hundred of the `count` that change. `untold` says why it is not known what changes, ""
    where it is; `broken` and `mended` say that the batch can be planned only before, or only after.
    """

    batch: str
    tasks: tuple[TaskChange, ...] = ()
    count: int = 0
    untold: str = ""
    broken: str = ""
    mended: bool = False


@dataclass(frozen=True, slots=True)
class ParamInfo:
    """One parameter of a batch. `default` is None together with `required` when it must be given."""

    name: str
    type: str
    description: str
    default: Any
    required: bool
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as it would be run. `needs` are sentences ("prepare, on all servers").

    `undo` is "reversible" (it has an undo), "irreversible", or "none needed" (it changes nothing: wait).
    """

    name: str
    kind: str
    summary: str
    servers: tuple[str, ...]
    needs: tuple[str, ...]
    undo: str
    guarded: bool
    line: int


@dataclass(frozen=True, slots=True)
class PlannedField:
    """One thing that a task would be handed: "run", "env PATH", "upload to". `why` says why it is not known, ""
    where it is; a secret in it is named.
    """

    field: str
    text: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """One task of a plan, with all that it would be handed."""

    step: str
    server: str
    fields: tuple[PlannedField, ...]


@dataclass(frozen=True, slots=True)
class UsedValue:
    """A value of the configuration as a plan or a run uses it: plain data, a secret in it named and not known.

    `origin` is where it was written, "config/base.yaml:3:9".
    """

    path: str
    value: Any
    origin: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do, before any side effect.

    `protection` is that of `environment` ("none" or "production"), `place` is WORKSPACE/ENVIRONMENT, or
    WORKSPACE. Where `confirm` is not "" a person must type it, for the reasons `confirm_why`; the engine starts
    nothing before. `credentials` are sentences about what does not outlive the session of whoever starts it.
    """

    batch: str
    path: str
    digest: str
    steps: tuple[PlannedStep, ...]
    servers: tuple[str, ...]
    servers_by_provider: Mapping[str, int]
    tasks: int
    params: Mapping[str, Any]
    strategy: Mapping[str, Any]
    irreversible: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)
    environment: str = ""
    protection: str = "none"
    confirm: str = ""
    confirm_why: tuple[str, ...] = ()
    config: tuple[UsedValue, ...] = ()
    place: str = ""
    credentials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run. `counts` maps task states to how many tasks are in them; zero counts are left out.

    `interrupted` is True when the state says running and no engine holds the lease. `why` explains
    the state in words ("3 tasks in doubt"). `servers_failed` names servers that failed or were
    unreachable, at most 20 of `failed_servers_count`. `protection` is that of its environment when it was
    started; `confirm` is what must be typed before it is rolled back, "" where nothing must be. `controller` is the
    actor who took its control ("" nobody).
    """

    number: int
    run_id: str
    batch: str
    path: str
    state: RunState
    asked: Asked
    why: str
    actor: str
    created: float
    ended: float | None
    tasks: int
    counts: Mapping[TaskState, int]
    undo_counts: Mapping[UndoState, int] = field(default_factory=dict)
    servers: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    parent: int | None = None
    interrupted: bool = False
    last_seq: int = 0
    environment: str = ""
    protection: str = "none"
    confirm: str = ""
    controller: str = ""

    @property
    def ended_tasks(self) -> int:
        """How many tasks need nothing more."""
        return sum(count for state, count in self.counts.items() if state.ended)


@dataclass(frozen=True, slots=True)
class StepInfo:
    """One step of a run, in document order. `started` and `ended` are of its first and last task."""

    index: int
    name: str
    kind: str
    summary: str
    tasks: int
    counts: Mapping[TaskState, int]
    undo_counts: Mapping[UndoState, int] = field(default_factory=dict)
    started: float | None = None
    ended: float | None = None
    irreversible: bool = False


@dataclass(frozen=True, slots=True)
class StepNeed:
    """That the tasks of `step` wait for those of `needs`: for all of them where it is `everywhere`, else for the one on
    the same server. A `hard` need blocks them when it fails.
    """

    step: str
    needs: str
    everywhere: bool
    hard: bool


@dataclass(frozen=True, slots=True)
class TaskInfo:
    """One task of a run. `exit_status` and `signal` are of its newest attempt, None before one ended.

    `may_have_run` is True where a decision was taken although nobody knows whether the command ran.
    `last_line` is the last line of output, redacted and not yet cleaned for display.
    """

    index: int
    step: str
    server: str
    state: TaskState
    phase: Phase | None
    attempt: int
    attempts: int
    exit_status: int | None
    signal: str
    why: str
    evidence: str
    started: float | None
    ended: float | None
    undo: UndoState
    undo_why: str = ""
    may_have_run: bool = False
    decision: str = ""
    decided_by: str = ""
    last_line: str = ""

    @property
    def key(self) -> TaskKey:
        """The task's identity within its run."""
        return TaskKey(self.step, self.server)


@dataclass(frozen=True, slots=True)
class AttemptInfo:
    """One attempt of a task's command or undo. `outcome` is "" while it is open.

    `intent` is when the intent became durable; outcomes are "ok", "failed", "stopped", "timed out",
    "not started" (voided) and "in doubt".
    """

    purpose: Purpose
    number: int
    intent: float
    ended: float | None
    outcome: str
    exit_status: int | None
    signal: str
    why: str
    evidence: str
    digest: str
    boot_id: str


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """A piece of stored output. `start` and `end` are raw remote offsets; `data` is redacted, not cleaned.

    What a gap between one chunk's end and the next one's start means is told by core/model/gaps.py.
    """

    # Where it travels as JSON, its bytes are base64.
    __pydantic_config__: ClassVar[Mapping[str, str]] = {
        "ser_json_bytes": "base64",
        "val_json_bytes": "base64",
    }

    purpose: Purpose
    attempt: int
    stream: Stream
    start: int
    end: int
    time: float
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputSummary:
    """How much one attempt printed on one stream: bytes in all, bytes not kept, and their chained hash.

    `dropped_start` and `dropped_end` are the raw offsets between which the middle was dropped; where less
    was dropped than lies between them, the rest was lost.
    """

    purpose: Purpose
    attempt: int
    stream: Stream
    total_bytes: int
    dropped_bytes: int
    dropped_hash: str
    dropped_start: int = 0
    dropped_end: int = 0


@dataclass(frozen=True, slots=True)
class OutputPage:
    """Output of one task in the order it was stored, with what was left out."""

    chunks: tuple[OutputChunk, ...]
    summaries: tuple[OutputSummary, ...]
    more: bool
    cursor: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a task is where it is: sentences, most important first, each true at `seq`."""

    sentences: tuple[str, ...]
    certain: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    seq: int = 0


@dataclass(frozen=True, slots=True)
class OutletInfo:
    """Who is told of events: `webhook/NAME` or `notify/NAME`, and how that fares.

    `target` is its address or program, `owed` how many events are still to be told, `told` how many were, `tries` how
    often in a row it failed since `failing_since` (None where it does not), with why. `dead` counts events that were
    put aside. `fault` says why it is told nothing at all.
    """

    name: str
    target: str
    types: tuple[str, ...]
    owed: int = 0
    told: int = 0
    tries: int = 0
    failing_since: float | None = None
    why: str = ""
    dead: int = 0
    fault: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that an outlet could not be told within its limit. `again`: it is asked to be told once more."""

    outlet: str
    event: Event
    time: float
    tries: int
    why: str
    again: bool = False
