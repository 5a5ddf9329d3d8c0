"""Which actions a run allows now, and why not: the sentences behind dimmed keys.

Pure functions of the engine's views; the engine has the last word. An empty reason means "possible".
"""

from __future__ import annotations

from core.model.actors import place
from core.model.states import FAILING, Asked, RunState, TaskState
from core.model.views import RunInfo, TaskInfo, WorkspaceInfo
from tui.doubts import doubts, is_doubtful

CHANGING = frozenset(
    {"pause", "retry", "decide", "skip", "cancel", "roll_back", "start", "resume", "trust", "control"}
    | {"run_command"}
)
OF_THE_CONTROL = frozenset({"retry", "decide", "skip", "cancel", "roll_back"})
"""What only who has the control of a run may do, where somebody has it; resuming as well."""
STILL_POSSIBLE = frozenset({"pause", "cancel", "control"})
"""What a workspace that says `read_only: true` still lets a person do."""


def why_not_owned(workspace: WorkspaceInfo | None) -> str:
    """Why nothing can be changed from here at all; "" when it can."""
    if workspace is None or workspace.owned:
        return ""
    return f"another engine owns this workspace ({workspace.owner}): it can only be watched from here"


def settings_change(before: WorkspaceInfo, now: WorkspaceInfo) -> str:
    """What has become of a workspace's settings while it is open, in a sentence; "" where nothing matters."""
    if now.faults and not before.faults:
        return "workspace.yaml has become faulty: nothing new is planned before it is mended"
    if now.read_only != before.read_only:
        return (
            "this workspace is read-only now" if now.read_only else "this workspace is not read-only any more"
        )
    sides = [
        (info.protection, [(env.name, env.protection) for env in info.environments]) for info in (before, now)
    ]
    return "workspace.yaml says other environments or protection now" if sides[0] != sides[1] else ""


def is_executing(run: RunInfo) -> bool:
    """True while an engine works on the run."""
    return run.state in {RunState.RUNNING, RunState.ROLLING_BACK} and not run.interrupted


def can_resume(run: RunInfo) -> bool:
    """True where the run stands still and a person may carry it on; servers are asked about what is in doubt."""
    if run.state in {RunState.PAUSED, RunState.WAITING} or (run.interrupted and run.state.open):
        return True
    return run.state is RunState.RUNNING and run.asked is Asked.PAUSE


def count(run: RunInfo, *states: TaskState) -> int:
    """How many tasks are in one of the states."""
    return sum(run.counts.get(state, 0) for state in states)


def why_not_pause(run: RunInfo) -> str:
    """The pause key pauses, or resumes what stands still."""
    if can_resume(run):
        return ""
    if not is_executing(run):
        return f"the run is {run.state.word}"
    if run.asked is not Asked.RUN and run.state is RunState.RUNNING:
        return f"{run.asked.value.replace('_', ' ')} was asked already"
    return ""


def why_not_mine(run: RunInfo, actor: str, action: str) -> str:
    """Why the control of a run, which somebody else has, keeps an action away; "" where it does not."""
    steers = action in OF_THE_CONTROL or (action == "pause" and can_resume(run))
    if not steers or not run.controller or place(run.controller) == place(actor):
        return ""
    return f"{place(run.controller)} has the control of this run: c takes it over"


def why_not_retry(run: RunInfo) -> str:
    """Retry opens failed and unreachable tasks again, and those that a cancel kept from starting."""
    if run.state in {RunState.ROLLING_BACK, RunState.ROLLED_BACK, RunState.ROLLBACK_FAILED}:
        return f"the run is {run.state.word}: undone tasks are not retried, start a new run"
    if not count(run, *FAILING) and not (run.asked is Asked.CANCEL and count(run, TaskState.CANCELLED)):
        return "no task failed or was unreachable"
    return "the run goes on: what failed is retried once it stands" if is_executing(run) else ""


def why_not_decide(run: RunInfo, task: TaskInfo | None) -> str:
    """Decide is for tasks in doubt; on a failed task it shows what can be done."""
    if task is not None and (is_doubtful(task) or task.state in FAILING):
        return ""
    if doubts(run):
        return ""
    return "no task is in doubt, and the chosen task has not failed"


def why_not_cancel(run: RunInfo) -> str:
    """Cancel ends a run that is open."""
    if not run.state.open:
        return f"the run is {run.state.word}"
    if run.state is RunState.ROLLING_BACK:
        return "a half-done rollback cannot be cancelled: pause it instead"
    if run.asked is Asked.CANCEL and not run.interrupted:
        return "cancel was asked already"
    return ""


def why_not_roll_back(run: RunInfo) -> str:
    """Roll back undoes what the run did."""
    if run.state is RunState.ROLLED_BACK:
        return "the run is rolled back"
    if run.state is RunState.ROLLING_BACK and not run.interrupted:
        return "the run is rolling back"
    if run.counts.get(TaskState.WAITING, 0) == run.tasks:
        return "no task has started"
    return ""


def unknown_host_key(text: str) -> bool:
    """True where a reason or a note says that a server's host key is not known (and not that it changed)."""
    lowered = text.lower()
    if "host key" not in lowered or changed_host_key(text):
        return False
    return any(word in lowered for word in ("unknown", "not known", "not trusted", "untrusted"))


def changed_host_key(text: str) -> bool:
    """True where a reason or a note says that a server's host key changed: that is never trusted from here."""
    lowered = text.lower()
    return "host key" in lowered and any(word in lowered for word in ("changed", "mismatch", "differs"))
