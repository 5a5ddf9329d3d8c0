"""What a report tells of a run, from the engine's views alone: what is stored was redacted before it was stored.

Everything that servers and files say is display text here already (`core.display`): no control sequence is left in it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.display import display_line, display_lines
from core.engine.api import Engine
from core.errors import WindlassError
from core.model import events
from core.model.actors import ENGINE, place
from core.model.acts import act
from core.model.states import Asked, Purpose, RunState, TaskState, UndoState
from core.model.views import AttemptInfo, RunInfo, StepInfo, TaskInfo, UsedValue

TROUBLES = 20
"""So many tasks are told in full; the others are counted and named."""
LINES = 40
TAIL_BYTES = 32 * 1024
MOMENTS = 60
NAMED = 50
VALUES = 40
PAGE = 1000
BAD = (TaskState.FAILED, TaskState.UNREACHABLE, TaskState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A task that failed, was unreachable, or is in doubt; its undo counts as well."""

    task: TaskInfo
    sentences: tuple[str, ...]
    certain: tuple[str, ...]
    unknown: tuple[str, ...]
    attempts: tuple[AttemptInfo, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, at a wall time in seconds."""

    time: float
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """A run as a report tells it. `made` is wall time in seconds; `more` names tasks that are not told in full."""

    workspace: str
    folder: str
    run: RunInfo
    steps: tuple[StepInfo, ...]
    made: float
    version: str
    troubles: tuple[Trouble, ...] = ()
    more: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    left_out: int = 0
    values: tuple[UsedValue, ...] = ()
    values_left: int = 0
    next_steps: tuple[tuple[str, str], ...] = field(default=())
    """What may be done now, and the command that does it."""


async def gather(engine: Engine, number: int, *, made: float, version: str) -> Report:
    """Reads a report from an engine. Raises NotFound."""
    info = await engine.workspace()
    run = await engine.run(number)
    steps = tuple(await engine.steps(number))
    bad = await _in_trouble(engine, run)
    moments = await _moments(engine, run)
    values = await engine.used_values(number)
    return Report(
        info.name,
        info.path,
        run,
        steps,
        made,
        version,
        tuple([await _trouble(engine, number, task) for task in bad[:TROUBLES]]),
        tuple(str(task.key) for task in bad[TROUBLES:]),
        tuple(moments[:MOMENTS]),
        max(0, len(moments) - MOMENTS),
        tuple(values[:VALUES]),
        max(0, len(values) - VALUES),
        _next_steps(run, steps, bad, info.path),
    )


async def _in_trouble(engine: Engine, run: RunInfo) -> list[TaskInfo]:
    """Tasks in doubt first, then failed and unreachable ones, each in their order."""
    states = list(BAD)
    undo = any(run.undo_counts.get(state) for state in (UndoState.FAILED, UndoState.IN_DOUBT))
    found: list[TaskInfo] = []
    after = -1
    while page := await engine.tasks(run.number, states=() if undo else states, after=after, limit=PAGE):
        found += [
            task for task in page if task.state in BAD or task.undo in (UndoState.FAILED, UndoState.IN_DOUBT)
        ]
        after = page[-1].index
    return sorted(found, key=lambda task: (task.state is not TaskState.IN_DOUBT, task.index))


async def _trouble(engine: Engine, number: int, task: TaskInfo) -> Trouble:
    told = await engine.explain(number, task.key)
    return Trouble(
        task,
        tuple(map(display_line, told.sentences)),
        tuple(map(display_line, told.certain)),
        tuple(map(display_line, told.unknown)),
        tuple(await engine.attempts(number, task.key)),
        tuple(await last_lines(engine, number, task, LINES)),
    )


async def last_lines(engine: Engine, number: int, task: TaskInfo, lines: int) -> list[str]:
    """The last lines that a task's newest attempt printed, as display text; [] where nothing can be read."""
    try:
        page = await engine.output(number, task.key, tail_bytes=TAIL_BYTES)
    except WindlassError:
        return []
    newest = [chunk for chunk in page.chunks if chunk.attempt == task.attempt] or list(page.chunks)
    main = [chunk for chunk in newest if chunk.purpose is Purpose.RUN] or newest
    return display_lines(b"".join(chunk.data for chunk in main))[-lines:]


async def _moments(engine: Engine, run: RunInfo) -> list[Moment]:
    """What happened to the run as a whole, what persons did, and the first tasks that went wrong."""
    found: list[Moment] = []
    wrong = 0
    after = 0
    while page := await engine.events(after, run=run.number, limit=PAGE):
        for event in page:
            if event.actor != ENGINE and (done := act(event)):
                found.append(Moment(event.time, display_line(f"{place(event.actor)} {done}")))
            elif event.type == events.RUN_STATE:
                why = str(event.data.get("why", ""))
                told = f"the run is {str(event.data.get('to', '')).replace('_', ' ')}"
                found.append(Moment(event.time, display_line(f"{told}: {why}" if why else told)))
            elif event.type == events.TASK_STATE and event.data.get("to") in BAD and wrong < MOMENTS // 2:
                wrong += 1
                state = TaskState(str(event.data["to"])).word
                why = str(event.data.get("why", ""))
                told = f"{event.step} on {event.server}: {state}"
                found.append(Moment(event.time, display_line(f"{told}, {why}" if why else told)))
        after = page[-1].seq
    return found


def _next_steps(
    run: RunInfo, steps: Sequence[StepInfo], bad: Sequence[TaskInfo], folder: str
) -> tuple[tuple[str, str], ...]:
    def command(*words: str) -> str:
        return shlex.join(("windlass", "-w", folder, "runs", *words))

    number = str(run.number)
    told: list[tuple[str, str]] = []
    doubts = [task for task in bad if task.state is TaskState.IN_DOUBT or task.undo is UndoState.IN_DOUBT]
    if doubts:
        told.append(("ask the servers about what is in doubt", command("resume", number)))
        key = str(doubts[0].key)
        told.append(
            (
                f"decide {key} (also retry, failed, skip)",
                command("decide", number, key, "done", "--reason", "TEXT"),
            )
        )
    elif run.state in (RunState.PAUSED, RunState.WAITING) or (run.interrupted and run.state.open):
        told.append(("go on where it stands", command("resume", number)))
    if run.state in (RunState.FAILED, RunState.CANCELLED):
        told.append(("open what failed again", command("retry", number)))
    undoable = any(not step.irreversible and step.kind != "wait" for step in steps)
    over = (RunState.FAILED, RunState.CANCELLED, RunState.WAITING, RunState.ROLLBACK_FAILED)
    if undoable and run.state in over and run.asked is not Asked.ROLL_BACK:
        told.append(("undo what it did", command("rollback", number)))
    if bad:
        told.append(("read the whole output of a task", command("logs", number, str(bad[0].key))))
    return tuple(told)
