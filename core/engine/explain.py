"""Why a task stands where it stands, worked out from what is stored: the same for every face.

What is certain and what is not are told apart; nothing is guessed.
"""

from __future__ import annotations

from core.batch.needs import effective_needs
from core.engine.causes import causes
from core.engine.snapshot import Snapshot
from core.model.states import FAILING, Phase, Purpose, RunState, TaskState, UndoState
from core.model.views import AttemptInfo, Explanation, RunInfo, StepInfo, TaskInfo


def explain(
    run: RunInfo,
    snapshot: Snapshot,
    task: TaskInfo,
    steps: dict[str, StepInfo],
    needed: dict[str, TaskInfo],
    attempts: list[AttemptInfo],
    seq: int,
) -> Explanation:
    """Explains one task. `needed` holds the tasks of needed steps on the same server, by step; also of those that
    these need.
    """
    sentences: list[str] = []
    match task.state:
        case TaskState.WAITING:
            sentences += _open_needs(run, snapshot, task, steps, needed)
            sentences += causes(effective_needs(snapshot.loaded.batch), task, steps, needed)
        case TaskState.BLOCKED:
            sentences.append(f"{task.step} is blocked on {task.server}: {task.why}")
            sentences += causes(effective_needs(snapshot.loaded.batch), task, steps, needed)
        case TaskState.RUNNING if run.interrupted:
            sentences.append(
                f"attempt {task.attempt} of {task.attempts} was under way when its engine ended: "
                f"a resume asks {task.server} what became of it"
            )
        case TaskState.RUNNING:
            sentences.append(_running(task, attempts))
        case _:
            word = f"{task.step} on {task.server} is {task.state.word}"
            sentences.append(f"{word}: {task.why}" if task.why else word)
    if task.undo is not UndoState.NONE:
        sentences.append(f"its undo is {task.undo.word}" + (f": {task.undo_why}" if task.undo_why else ""))
    if task.decision:
        sentences.append(f"{task.decided_by} decided: {task.decision}")
    certain, unknown = _knowledge(task, attempts)
    return Explanation(tuple(sentences), tuple(certain), tuple(unknown), seq)


def _running(task: TaskInfo, attempts: list[AttemptInfo]) -> str:
    """What a running task is doing, and what its attempt before ended with."""
    attempt = f"attempt {task.attempt} of {task.attempts}"
    match task.phase:
        case Phase.CONNECT:
            return f"{task.server} is being connected"
        case Phase.CHECK:
            return "its check looks whether there is anything to do"
        case Phase.VERIFY:
            return f"{attempt} ended well and is being verified" + (f": {task.why}" if task.why else "")
        case Phase.BACKOFF:
            return f"{attempt} failed" + (f" ({task.why})" if task.why else "") + "; it is tried again soon"
        case _:
            now = f": {task.why}" if task.why else ""
            earlier = [a for a in attempts if a.purpose is Purpose.RUN and a.number < task.attempt and a.why]
            before = f"; the one before: {earlier[-1].why}" if earlier else ""
            return f"{attempt} is running{now}{before}"


def _open_needs(
    run: RunInfo,
    snapshot: Snapshot,
    task: TaskInfo,
    steps: dict[str, StepInfo],
    needed: dict[str, TaskInfo],
) -> list[str]:
    told: list[str] = []
    for need in effective_needs(snapshot.loaded.batch)[task.step]:
        step = steps[need.step]
        if need.scope == "server":
            own = needed.get(need.step)
            if own is not None and not own.state.ended:
                told.append(
                    f"{task.step} waits for {need.step} on the same server, which is {own.state.word}"
                )
            continue
        left = sum(count for state, count in step.counts.items() if not state.ended)
        if left:
            doubt = step.counts.get(TaskState.IN_DOUBT, 0)
            more = f", {doubt} of them in doubt" if doubt else ""
            told.append(
                f"{task.step} waits for {need.step} on all servers: {left} of {step.tasks} have not ended{more}"
            )
        else:
            failed = sum(step.counts.get(state, 0) for state in FAILING)
            if failed and run.state is RunState.FAILED:
                told.append(
                    f"{need.step} failed on {failed} of {step.tasks} servers, more than max_failures allows"
                )
    if not told:
        match run.state:
            case RunState.PAUSED:
                told.append("the run is paused: no task starts before it is resumed")
            case RunState.FAILED:
                told.append("the run failed before this task started; retry opens it")
            case RunState.RUNNING if run.interrupted:
                told.append("no engine executes the run: resume it")
            case RunState.RUNNING:
                told.append("its needs are met; it waits for a place (parallel or per_server limit)")
            case _:
                told.append(f"the run is {run.state.word}")
    return told


def _knowledge(task: TaskInfo, attempts: list[AttemptInfo]) -> tuple[list[str], list[str]]:
    certain: list[str] = []
    unknown: list[str] = []
    for attempt in attempts:
        name = f"{attempt.purpose} attempt {attempt.number}"
        if attempt.outcome == "":
            certain.append(f"the intent of {name} is stored")
            unknown.append(f"whether {name} started, and how it ended")
        elif attempt.outcome == "in doubt":
            certain.append(f"the intent of {name} is stored")
            unknown.append(f"whether {name} ran, and how it ended: {attempt.why or attempt.evidence}")
        else:
            exit_told = f", exit {attempt.exit_status}" if attempt.exit_status is not None else ""
            told = f" ({attempt.evidence})" if attempt.evidence else ""
            certain.append(f"{name}: {attempt.outcome}{exit_told}{told}")
    if task.state is TaskState.IN_DOUBT and task.evidence:
        certain.append(f"evidence: {task.evidence}")
    if task.may_have_run:
        unknown.append("whether the command ran before the decision, and whether it still runs")
    return certain, unknown
