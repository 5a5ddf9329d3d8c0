"""The log of a scripted run: events from which its views came, in the order of its tasks' times."""

from __future__ import annotations

from typing import Any

from core.model import events as kinds
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import RunState, TaskState
from core.model.views import StepNeed, TaskInfo
from tests.functional import lab
from tests.functional.scripted_engine import NOW, ScriptedEngine, StoredRun, run_info, task

Told = tuple[float, str, TaskKey | None, int | None, dict[str, Any]]


def write(engine: ScriptedEngine, run: int) -> None:
    """Writes the events of a run into the engine's log."""
    stored = engine.run_list[run]
    told: list[Told] = [(stored.info.created, kinds.RUN_CREATED, None, None, {"number": run})]
    for each in stored.tasks:
        told += _of_task(each)
        for chunk in engine.outputs.get((run, each.key), []):
            data = {
                "purpose": chunk.purpose.value,
                "stream": chunk.stream.value,
                "start": chunk.start,
                "end": chunk.end,
            }
            told.append((chunk.time, kinds.TASK_OUTPUT, each.key, chunk.attempt, data))
    if stored.info.state is not RunState.RUNNING:
        when = stored.info.ended or max(entry[0] for entry in told) + 0.2
        data = {"from": "running", "to": stored.info.state.value, "why": stored.info.why, "at": when}
        told.append((when, kinds.RUN_STATE, None, None, data))
    told.sort(key=lambda entry: entry[0])
    first = engine.info.last_seq + 1
    for at, (when, kind, key, attempt, data) in enumerate(told):
        engine.log(
            Event(
                first + at,
                kind,
                run,
                key and key.step,
                key and key.server,
                attempt,
                stored.info.actor if kind == kinds.RUN_CREATED else "engine",
                when,
                data,
            )
        )


def _of_task(each: TaskInfo) -> list[Told]:
    out: list[Told] = []
    began = each.started
    if began is not None:
        run = {"from": "waiting", "to": "running", "phase": "run", "at": began}
        out.append((began, kinds.TASK_STATE, each.key, 1, run))
        out.append((began, kinds.TASK_INTENT, each.key, 1, {"purpose": "run"}))
        for number in range(1, each.attempt):
            retried = {"purpose": "run", "state": "failed", "exit": 1, "why": each.why}
            at = began + 0.3 * number
            out.append((at, kinds.TASK_ATTEMPT, each.key, number, retried))
            wait = {"phase": "back_off", "why": each.why, "delay_s": 0.2}
            out.append((at, kinds.TASK_PHASE, each.key, number, wait))
            out.append((at + 0.2, kinds.TASK_PHASE, each.key, number + 1, {"phase": "run"}))
            out.append((at + 0.2, kinds.TASK_INTENT, each.key, number + 1, {"purpose": "run"}))
    if each.state not in (TaskState.WAITING, TaskState.RUNNING):
        end = each.ended or (began + 1.5 if began is not None else NOW - 797)
        data: dict[str, Any] = {"from": "running", "to": each.state.value, "at": end}
        if each.why:
            data["why"] = each.why
        if each.exit_status is not None:
            data["exit"] = each.exit_status
        out.append((end, kinds.TASK_STATE, each.key, each.attempt or None, data))
    return out


def told_lab() -> ScriptedEngine:
    """The lab, with the log of the run that waits for a person."""
    engine = lab.lab()
    write(engine, 41)
    return engine


GRAPH = {
    "folders": (),
    "migrate": ("folders",),
    "program": ("folders",),
    "page": ("folders",),
    "compress": ("page",),
    "serve": ("program",),
    "publish": ("serve", "compress"),
    "balance": ("publish",),
    "announce": ("balance", "migrate"),
}


def graph_run(number: int = 46) -> StoredRun:
    """A run in its middle whose steps do not stand in one line; three hundred servers."""
    tasks: list[TaskInfo] = []
    names = [f"node-{at:03d}" for at in range(1, 301)]
    done = {"folders": 300, "program": 210, "page": 180, "serve": 96, "compress": 40}
    running = {"migrate": 3, "program": 8, "page": 12, "serve": 4, "compress": 20}
    for step_name in GRAPH:
        mine = names[:3] if step_name == "migrate" else names
        for at, server in enumerate(mine):
            ended = at < done.get(step_name, 0)
            state = TaskState.DONE if ended else TaskState.WAITING
            if not ended and at < done.get(step_name, 0) + running.get(step_name, 0):
                state = TaskState.RUNNING
            if step_name == "serve" and at in (31, 77):
                state = TaskState.FAILED if at == 31 else TaskState.IN_DOUBT
            began = NOW - 90 if state is not TaskState.WAITING else None
            more = {
                "started": began,
                "ended": NOW - 20 if ended else None,
                "last_line": "ok" if ended else "",
            }
            tasks.append(task(len(tasks), step_name, server, state, **more))
    steps = [lab.step(at, name) for at, name in enumerate(GRAPH)]
    return StoredRun(run_info(number, "rollout", RunState.RUNNING, began_s=120), steps, tasks)


def graph_lab() -> ScriptedEngine:
    """The lab with a run of many tasks whose steps fork and join."""
    engine = lab.lab()
    engine.run_list = {46: graph_run()}
    engine.needs_told[46] = [
        StepNeed(step, need, need != "folders", step != "announce")
        for step, needs in GRAPH.items()
        for need in needs
    ]
    return engine


def begun_lab() -> ScriptedEngine:
    """A run that has just begun: nothing has started yet."""
    engine = graph_lab()
    stored = engine.run_list[46]
    stored.tasks = [task(each.index, each.step, each.server) for each in stored.tasks]
    stored.info = run_info(46, "rollout", RunState.RUNNING, began_s=0)
    return engine


def no_tasks_lab() -> ScriptedEngine:
    """A run without steps."""
    engine = lab.lab()
    engine.run_list = {46: StoredRun(run_info(46, "nothing", RunState.DONE, began_s=1, ended_s=1), [], [])}
    return engine


def mixed_run(number: int = 45) -> StoredRun:
    """A run of three servers that is over: queues, a back-off, a slow server that everything waited for."""
    start = NOW - 300
    tasks: list[TaskInfo] = []

    def add(step: str, server: str, began: float, ended: float, **more: Any) -> None:
        state = more.pop("state", TaskState.DONE)
        tasks.append(
            task(len(tasks), step, server, state, started=start + began, ended=start + ended, **more)
        )

    for at, server in enumerate(("web-11", "web-12", "web-13")):
        add("drain", server, 1 + at * 4, 5 + at * 4)
    add("reboot", "web-11", 5, 40)
    add("reboot", "web-12", 9, 60, attempt=3, attempts=3)
    add("reboot", "web-13", 13, 101)
    for at, server in enumerate(("web-11", "web-12", "web-13")):
        add("verify", server, 101 + at, 110 + at * 10)
    return StoredRun(
        run_info(number, "patch-kernel", RunState.DONE, began_s=300, ended_s=170),
        [lab.step(0, "drain"), lab.step(1, "reboot"), lab.step(2, "verify", "wait")],
        tasks,
    )
