"""The durable state of one run, mirrored in memory.

Every change goes through here: it puts the row and its event into one transaction and updates the
mirror. The caller commits (and waits) or posts (and goes on); transactions become durable in the order
in which they are handed to the store, so nobody is told of a change before the ones it rests on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.engine.executor import Trace
from core.engine.graph import Graph
from core.model import events
from core.model.ids import AttemptRef
from core.model.states import Asked, Phase, Purpose, RunState, TaskState, UndoState
from core.store.reader import StoreReader
from core.store.store import Store
from core.store.tx import Tx

INTERRUPTED = "the engine that executed it ended; resume it to go on"
"""Why a run is paused that its engine left: whoever reads it may carry it on."""


@dataclass(slots=True)
class TaskRecord:
    """What the engine remembers of one task.

    `attempt` is the newest attempt of the command, `budget` the number it may reach by itself;
    `handed_over` is True once an attempt had an intent and was not voided; `verify_exit` is the exit
    status of an attempt that ended well and has yet to be verified; `when_holds` that the step's condition
    was found true, once and for all.
    """

    state: TaskState = TaskState.WAITING
    attempt: int = 0
    budget: int = 1
    undo: UndoState = UndoState.NONE
    undo_attempt: int = 0
    handed_over: bool = False
    may_have_run: bool = False
    when_holds: bool = False
    started: bool = False
    verify_exit: int | None = None


@dataclass(slots=True)
class Book:
    """One run's records by task index, and the only place that writes them."""

    number: int
    run_id: str
    graph: Graph
    store: Store
    tasks: list[TaskRecord]
    state: RunState = RunState.RUNNING
    asked: Asked = Asked.RUN
    halted: bool = False
    why: str = ""
    undo_scope: dict[str, Any] | None = None
    now: Callable[[], float] = time.time
    last_reason: dict[int, str] = field(default_factory=dict)

    @property
    def reader(self) -> StoreReader:
        """Reads what is stored."""
        return self.store.reader

    # ------------------------------------------------------------ writing

    def commit(self, tx: Tx) -> asyncio.Future[None]:
        """Durable when the future is done."""
        return self.store.commit(tx)

    def post(self, tx: Tx) -> None:
        """Durable in order; nobody waits."""
        self.store.post(tx)

    def room(self) -> asyncio.Future[None] | None:
        """None where more output may be posted; else a future that is done when it may."""
        return self.store.room()

    # ------------------------------------------------------------ the run

    def run_state(self, tx: Tx, to: RunState, *, why: str = "", actor: str = "engine") -> None:
        """Moves the run."""
        columns: dict[str, Any] = {"state": to.value, "why": why}
        columns["ended"] = None if to.open else self.now()
        tx.run(self.number, **columns)
        told: dict[str, Any] = {"from": self.state.value, "to": to.value, "why": why}
        if not to.open:
            told["at"] = columns["ended"]
        tx.event(events.RUN_STATE, run=self.number, actor=actor, data=told)
        self.state, self.why = to, why
        if not to.open:
            tx.release(self.number)

    def ask(self, tx: Tx, asked: Asked, *, actor: str, reason: str = "") -> None:
        """Stores what is wanted of the run; the next engine carries it on."""
        tx.run(self.number, asked=asked.value)
        tx.event(
            events.RUN_ASKED, run=self.number, actor=actor, data={"asked": asked.value, "reason": reason}
        )
        self.asked = asked

    def halt(self, tx: Tx, halted: bool) -> None:
        """Stores that failures have halted the run, or that a retry lets it go on."""
        if halted != self.halted:
            tx.run(self.number, halted=halted)
            self.halted = halted

    def set_undo_scope(self, tx: Tx, scope: dict[str, Any] | None) -> None:
        """Stores what a person asked to undo, until the tasks are chosen by it (None)."""
        tx.run(self.number, undo_scope=json.dumps(scope) if scope is not None else None)
        self.undo_scope = scope

    # ------------------------------------------------------------ tasks

    def move(
        self,
        tx: Tx,
        task: int,
        to: TaskState,
        *,
        phase: Phase | None = None,
        why: str = "",
        actor: str = "engine",
        data: dict[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """Moves a task; further `columns` of its row go with it, `data` into the event."""
        record = self.tasks[task]
        columns["state"] = to.value
        columns["phase"] = phase.value if phase else None
        columns["why"] = why
        told: dict[str, Any] = {"from": record.state.value, "to": to.value}
        if to is TaskState.RUNNING and not record.started:
            record.started = True
            columns["started"] = told["at"] = self.now()
            columns["ended"] = None
        elif to.ended:
            columns["ended"] = told["at"] = self.now()
        elif to is TaskState.WAITING:
            record.started = False
        tx.task(self.number, task, **columns)
        if phase:
            told["phase"] = phase.value
        if why:
            told["why"] = why
        if data:
            told.update(data)
        key = self.graph.key(task)
        tx.event(
            events.TASK_STATE,
            run=self.number,
            step=key.step,
            server=key.server,
            attempt=record.attempt or None,
            actor=actor,
            data=told,
        )
        record.state = to

    def phase(self, tx: Tx, task: int, phase: Phase, **data: Any) -> None:
        """Says what a running task does now."""
        tx.task(self.number, task, phase=phase.value)
        self.tell(tx, events.TASK_PHASE, task, {"phase": phase.value, **data})

    def intent(self, tx: Tx, task: int, ref: AttemptRef, digest: str, trace: Trace) -> None:
        """Records that an attempt is about to be handed over, and where its evidence will be."""
        record = self.tasks[task]
        tx.intent(self.number, task, ref.purpose, ref.attempt, digest, trace.boot_id, trace.folder)
        if ref.purpose is Purpose.UNDO:
            record.undo_attempt = ref.attempt
        else:
            record.attempt = ref.attempt
            record.handed_over = True
            tx.task(self.number, task, attempt=ref.attempt)
        self.tell(
            tx,
            events.TASK_INTENT,
            task,
            {"purpose": ref.purpose.value, "digest": digest, "boot_id": trace.boot_id},
            attempt=ref.attempt,
        )

    def undo(
        self, tx: Tx, task: int, to: UndoState, *, why: str = "", actor: str = "engine", **data: str
    ) -> None:
        """Moves the undo of a task; `data` goes into the event."""
        record = self.tasks[task]
        tx.task(self.number, task, undo=to.value, undo_why=why)
        self.tell(
            tx,
            events.TASK_UNDO,
            task,
            {"from": record.undo.value, "to": to.value, "why": why, **data},
            actor=actor,
            attempt=record.undo_attempt or None,
        )
        record.undo = to

    def tell(
        self,
        tx: Tx,
        type_: str,
        task: int,
        data: dict[str, Any],
        *,
        actor: str = "engine",
        attempt: int | None = None,
    ) -> None:
        """An event about a task."""
        key = self.graph.key(task)
        tx.event(
            type_,
            run=self.number,
            step=key.step,
            server=key.server,
            attempt=attempt if attempt is not None else self.tasks[task].attempt or None,
            actor=actor,
            data=data,
        )

    def states(self) -> list[TaskState]:
        """The state of every task, by index."""
        return [record.state for record in self.tasks]
