"""One run in this engine: its records, its scheduler, and the loop that carries it on.

The loop goes forward over the batch's graph, or back over the reversed one (rollback); both are the
same machine. What was asked of the run is durable before it acts, so the next engine carries it on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from core.engine.book import INTERRUPTED, Book
from core.engine.executor import Executor
from core.engine.flight import Flight
from core.engine.graph import Graph
from core.engine.handover import HandOver, RunInputs
from core.engine.runner import TaskRunner
from core.engine.scheduler import Limits, Scheduler, Verdict
from core.engine.snapshot import Snapshot
from core.engine.undoing import UndoRunner
from core.errors import InputError, NotFound, NotPossible
from core.model.actors import place
from core.model.ids import TaskKey
from core.model.states import FAILING, Asked, Decision, RunState, TaskState, UndoState
from core.store.tx import Tx
from providers.base import Server

UNDO_AS_TASK = {
    UndoState.NONE: TaskState.WAITING,
    UndoState.PENDING: TaskState.WAITING,
    UndoState.UNDOING: TaskState.WAITING,
    UndoState.UNDONE: TaskState.DONE,
    UndoState.FAILED: TaskState.FAILED,
    UndoState.IN_DOUBT: TaskState.IN_DOUBT,
}
"""How the scheduler of a rollback sees the undo of a task; what is not to be undone passes at once."""


class Run:
    """One run that this engine holds. At most one `execute` at a time."""

    def __init__(
        self,
        book: Book,
        snapshot: Snapshot,
        inputs: RunInputs,
        make_executor: Callable[[], Executor],
    ) -> None:
        self.book = book
        self.snapshot = snapshot
        self.inputs = inputs
        self._make_executor = make_executor
        self._executor: Executor | None = None
        self._graph: Graph = book.graph
        self._limits: Limits = snapshot.limits()
        self._flights: dict[int, Flight] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looks: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._scheduler: Scheduler | None = None
        self._backwards = False
        self._draining = False
        self._looking = False
        self._gone = ""
        self._failure: BaseException | None = None

    # ------------------------------------------------------------ asking

    @property
    def executing(self) -> bool:
        """True while `execute` is at work."""
        return self._scheduler is not None

    @property
    def rolling_back(self) -> bool:
        """True when the run is on its way back."""
        return (
            self.book.asked is Asked.ROLL_BACK
            or self.book.undo_scope is not None
            or any(record.undo in (UndoState.PENDING, UndoState.UNDOING) for record in self.book.tasks)
        )

    def in_doubt(self) -> list[int]:
        """Tasks whose outcome, or whose undo's outcome, nobody knows."""
        return [
            task
            for task, record in enumerate(self.book.tasks)
            if record.state is TaskState.IN_DOUBT or record.undo is UndoState.IN_DOUBT
        ]

    # ------------------------------------------------------------ the loop

    async def execute(self, *, looking: bool = False) -> None:
        """Carries the run on until it ended, waits for a person, is paused or drained. `looking` follows what an
        ended engine left in flight, to its end, and starts nothing; whoever asks the run to go on meanwhile is heard.

        Raises Fenced or StoreError where the store fails, InputError where a secret cannot be read; the run is
        then left as it is durable.
        """
        await self.inputs.secrets.prepare()
        self._executor = self._make_executor()
        self._looking, self._gone = looking, ""
        try:
            if not self.rolling_back:
                await self._forward()
            unchosen = self.book.undo_scope is not None and self._looking
            if self.rolling_back and not self._draining and not unchosen:
                if self.book.asked is not Asked.PAUSE:
                    await self._back()
                elif self.book.state is not RunState.PAUSED:
                    tx = Tx()
                    self.book.run_state(tx, RunState.PAUSED, why="no undo starts before it is resumed")
                    await self.book.commit(tx)
        finally:
            self._scheduler = None
            self._looking = False
            executor, self._executor = self._executor, None
            await self._abandon()
            await executor.close(over=not self.book.state.open)

    async def _forward(self) -> None:
        book = self.book
        # Known before anything is awaited: a decision that comes meanwhile must reach it.
        self._scheduler = scheduler = Scheduler(self._graph, self._limits, book.states(), halted=book.halted)
        await self._align_blocked(scheduler)
        await self._begin(scheduler, RunState.RUNNING)

        def ended(tx: Tx, task: int, state: TaskState) -> None:
            self._follow_up(tx, scheduler, task, scheduler.ended(task, state))
            # What may start now need not wait for the commit: its intent is committed behind this end, or
            # with it, and nothing is handed over before its intent is durable.
            self._wake.set()

        hands = HandOver(book, self.inputs, self._need_executor())
        runner = TaskRunner(hands, ended, starts=lambda: not self._looking, gone=self._credentials_gone)
        for task, record in enumerate(book.tasks):
            if record.state is TaskState.IN_DOUBT:
                self._adopt(scheduler, hands.flight(task), runner.find)
        await self._loop(scheduler, hands, runner.run, passing=lambda task: False)
        if self._draining or self.rolling_back:
            return
        tx = Tx()
        if book.asked is Asked.CANCEL:
            self.cancel_rest(tx)
        elif book.asked is Asked.PAUSE and scheduler.verdict() in (Verdict.BUSY, Verdict.IN_DOUBT):
            book.run_state(tx, RunState.PAUSED, why=self._gone or "no task starts before it is resumed")
        else:
            self._conclude(tx, scheduler)
        await book.commit(tx)

    def _credentials_gone(self, tx: Tx, why: str) -> None:
        """Holds the run: what a person must give again is missing, and no other server would do better without it."""
        if self.book.asked not in (Asked.PAUSE, Asked.CANCEL):
            self._gone = f"credentials gone: {why}"
            self.book.ask(tx, Asked.PAUSE, actor="engine", reason=self._gone)
            self._hold()

    def _conclude(self, tx: Tx, scheduler: Scheduler) -> None:
        book = self.book
        match scheduler.verdict():
            case Verdict.BUSY:  # the loop left it: only looked, or held by a pause that was taken back
                book.run_state(tx, RunState.PAUSED, why=INTERRUPTED if self._looking else "held")
            case Verdict.IN_DOUBT:
                count = len(scheduler.in_doubt)
                book.run_state(tx, RunState.WAITING, why=f"{_count(count, 'task')} in doubt")
            case Verdict.DONE:
                book.run_state(tx, RunState.DONE, why=self._failure_words(scheduler))
            case Verdict.FAILED:
                why = self._failure_words(scheduler)
                strategy = self.inputs.batch.strategy
                if scheduler.halted and strategy.on_failure == "rollback":
                    book.ask(tx, Asked.ROLL_BACK, actor="engine", reason=f"on_failure: rollback; {why}")
                else:
                    book.run_state(tx, RunState.FAILED, why=why)

    def _failure_words(self, scheduler: Scheduler) -> str:
        failed = sum(record.state is TaskState.FAILED for record in self.book.tasks)
        lost = sum(record.state is TaskState.UNREACHABLE for record in self.book.tasks)
        words = [f"{_count(failed, 'task')} failed"] if failed else []
        if lost:
            words.append(f"{_count(lost, 'task')} unreachable")
        if words and scheduler.verdict() is Verdict.DONE:
            words.append("within max_failures")
        return ", ".join(words)

    async def _back(self) -> None:
        book = self.book
        if book.undo_scope is not None or all(record.undo is UndoState.NONE for record in book.tasks):
            await self._choose_undos()
        scheduler = Scheduler(
            self._graph.reversed(),
            Limits(self._limits.parallel, self._limits.per_server, 0, pass_failures=True),
            [UNDO_AS_TASK[record.undo] for record in book.tasks],
        )
        await self._begin(scheduler, RunState.ROLLING_BACK)
        self._backwards = True
        hands = HandOver(book, self.inputs, self._need_executor())
        runner = UndoRunner(hands, gone=self._credentials_gone)

        async def carry(flight: Flight) -> TaskState:
            return UNDO_AS_TASK[await runner.run(flight)]

        async def find(flight: Flight) -> TaskState:
            return UNDO_AS_TASK[await runner.find(flight)]

        for task, record in enumerate(book.tasks):
            if record.undo is UndoState.IN_DOUBT:
                self._adopt(scheduler, hands.flight(task), find)
        try:
            await self._loop(
                scheduler, hands, carry, passing=lambda task: book.tasks[task].undo is UndoState.NONE
            )
        finally:
            self._backwards = False
        if self._draining:
            return
        undos = [record.undo for record in book.tasks]
        in_doubt, failed = undos.count(UndoState.IN_DOUBT), undos.count(UndoState.FAILED)
        left = undos.count(UndoState.PENDING)
        tx = Tx()
        if book.asked is Asked.PAUSE and scheduler.may_start():
            why = self._gone or f"{_count(left, 'undo')} left; no undo starts before it is resumed"
            book.run_state(tx, RunState.PAUSED, why=why)
        elif in_doubt:
            book.run_state(tx, RunState.WAITING, why=f"{_count(in_doubt, 'undo')} in doubt")
        elif self._looking and left:
            book.run_state(tx, RunState.PAUSED, why=INTERRUPTED)
        elif failed or left:
            why = f"{_count(failed, 'undo')} failed" + (f", {left} not tried behind them" if left else "")
            book.run_state(tx, RunState.ROLLBACK_FAILED, why=why)
        else:
            book.run_state(
                tx, RunState.ROLLED_BACK, why=f"{_count(undos.count(UndoState.UNDONE), 'task')} undone"
            )
        await book.commit(tx)

    async def _begin(self, scheduler: Scheduler, state: RunState) -> None:
        asked_to_hold = self.book.asked in (Asked.PAUSE, Asked.CANCEL)
        scheduler.held = self._draining or self._looking or asked_to_hold
        self._scheduler = scheduler
        if self.book.state is not state:
            tx = Tx()
            self.book.run_state(tx, state)
            await self.book.commit(tx)

    async def _loop(
        self,
        scheduler: Scheduler,
        hands: HandOver,
        carry: Callable[[Flight], Coroutine[Any, Any, TaskState]],
        passing: Callable[[int], bool],
    ) -> None:
        """Starts what may start until nothing runs and nothing more may start."""
        while True:
            for task in scheduler.take():
                if passing(task):
                    scheduler.ended(task, TaskState.SKIPPED)
                    self._wake.set()
                    continue
                self._launch(scheduler, hands.flight(task), carry)
            if self._failure is not None:
                raise self._failure
            if not self._flights and not self._wake.is_set():
                return
            await self._wake.wait()
            self._wake.clear()

    def _adopt(
        self,
        scheduler: Scheduler,
        flight: Flight,
        find: Callable[[Flight], Coroutine[Any, Any, TaskState]],
    ) -> None:
        """Looks for what an earlier engine handed over, whatever holds the run; a decision ends the look."""
        scheduler.adopt(flight.task)
        self._looks[flight.task] = self._launch(scheduler, flight, find)

    def _launch(
        self,
        scheduler: Scheduler,
        flight: Flight,
        carry: Callable[[Flight], Coroutine[Any, Any, TaskState]],
    ) -> asyncio.Task[None]:
        self._flights[flight.task] = flight
        job = asyncio.ensure_future(self._one(scheduler, flight, carry))
        self._tasks.add(job)
        job.add_done_callback(self._tasks.discard)
        return job

    async def _one(
        self,
        scheduler: Scheduler,
        flight: Flight,
        carry: Callable[[Flight], Coroutine[Any, Any, TaskState]],
    ) -> None:
        try:
            state = await carry(flight)
            if state is TaskState.WAITING:
                scheduler.again(flight.task)
            elif self._backwards:  # on the way forward the runner has told it, with the end's transaction
                scheduler.ended(flight.task, state)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failure = self._failure or error
        finally:
            if self._flights.get(flight.task) is flight:  # else it was decided and has started again
                del self._flights[flight.task]
                self._looks.pop(flight.task, None)
            self._wake.set()

    def _follow_up(self, tx: Tx, scheduler: Scheduler, task: int, blocked: Sequence[int]) -> None:
        """What the end of a task means for others and the run, in the transaction of that end."""
        key = self._graph.key(task)
        for index in blocked:
            self.book.move(
                tx, index, TaskState.BLOCKED, why=f"{key} ended {self.book.tasks[task].state.word}"
            )
        self.book.halt(tx, scheduler.halted)

    async def _align_blocked(self, scheduler: Scheduler) -> None:
        """Writes what the restored scheduler sees otherwise than the store: only blocked and waiting."""
        tx, changed = Tx(), False
        for task, (state, record) in enumerate(zip(scheduler.state, self.book.tasks, strict=True)):
            if state is not record.state and {state, record.state} <= {TaskState.BLOCKED, TaskState.WAITING}:
                self.book.move(
                    tx, task, state, why="a hard need failed" if state is TaskState.BLOCKED else ""
                )
                changed = True
        if changed:
            await self.book.commit(tx)

    def cancel_rest(self, tx: Tx) -> None:
        doubts = self.in_doubt()
        for task, record in enumerate(self.book.tasks):
            if record.state in (TaskState.WAITING, TaskState.BLOCKED):
                self.book.move(tx, task, TaskState.CANCELLED, why="the run was cancelled")
        if doubts:
            self.book.run_state(
                tx, RunState.WAITING, why=f"cancelled, {_count(len(doubts), 'task')} in doubt"
            )
        else:
            self.book.run_state(tx, RunState.CANCELLED, why="cancelled")

    async def _abandon(self) -> None:
        """Lets go of every flight (none is left unless the loop failed or the engine closes)."""
        jobs = list(self._tasks)
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        self._flights.clear()
        self._looks.clear()

    def _need_executor(self) -> Executor:
        if self._executor is None:
            raise RuntimeError("the run is not executing")
        return self._executor

    # ------------------------------------------------------------ what people ask

    async def pause(self, actor: str, reason: str) -> None:
        """Starts nothing more; attempts in flight end, tasks between attempts wait."""
        if not self.book.state.open or self.book.asked is Asked.CANCEL:
            raise NotPossible(f"run {self.book.number} is {self.book.state.word}: there is nothing to pause")
        tx = Tx()
        self.book.ask(tx, Asked.PAUSE, actor=actor, reason=reason)
        if not self.executing and self.book.state is not RunState.PAUSED:
            self.book.run_state(tx, RunState.PAUSED, why="no task starts before it is resumed", actor=actor)
        await self.book.commit(tx)
        self._hold()

    async def ask_to_run(self, actor: str) -> None:
        """Takes back a pause, or carries on an interrupted run. The caller then executes it."""
        if not self.book.state.open:
            hint = "open its failed tasks again with retry" if self.book.state is RunState.FAILED else ""
            raise NotPossible(
                f"run {self.book.number} is {self.book.state.word}: it cannot be resumed", hint=hint
            )
        if self.book.asked is Asked.PAUSE:
            back = self.rolling_back or any(record.undo is not UndoState.NONE for record in self.book.tasks)
            tx = Tx()
            self.book.ask(tx, Asked.ROLL_BACK if back else Asked.RUN, actor=actor)
            await self.book.commit(tx)
        self._looking = False
        if self._scheduler is not None:
            self._scheduler.held = False
            self._wake.set()

    async def cancel(self, actor: str, reason: str) -> None:
        """Stops what runs and ends the run."""
        if not self.book.state.open:
            raise NotPossible(f"run {self.book.number} is {self.book.state.word}: there is nothing to cancel")
        if self.rolling_back:
            raise NotPossible(
                f"run {self.book.number} is rolling back: a half-done rollback cannot be cancelled",
                hint="pause it instead",
            )
        tx = Tx()
        self.book.ask(tx, Asked.CANCEL, actor=actor, reason=reason)
        if not self.executing:
            self.cancel_rest(tx)
        await self.book.commit(tx)
        if self._scheduler is not None:
            self._scheduler.held = True
        for flight in list(self._flights.values()):
            flight.cancel()
        self._wake.set()

    async def retry(self, actor: str, keys: Sequence[TaskKey], accept_risk: bool) -> None:
        """Opens failed tasks again, and those that a cancel kept from starting. The caller then executes the run."""
        if self.executing:
            raise NotPossible(f"run {self.book.number} is running: retry when it has stopped")
        if self.rolling_back or any(record.undo is not UndoState.NONE for record in self.book.tasks):
            raise NotPossible(f"run {self.book.number} has been rolled back: start a new run instead")
        chosen = [self._index(key) for key in keys] or [
            task for task, record in enumerate(self.book.tasks) if record.state in FAILING
        ]
        refused = [
            f"{self._graph.key(task)} is {self.book.tasks[task].state.word}"
            for task in chosen
            if self.book.tasks[task].state not in FAILING
        ]
        if refused:
            raise NotPossible("only failed and unreachable tasks can be retried: " + ", ".join(refused))
        called_off = [
            task
            for task, record in enumerate(self.book.tasks)
            if record.state is TaskState.CANCELLED and self.book.asked is Asked.CANCEL
        ]
        if not chosen and not called_off:
            raise NotPossible(f"run {self.book.number} has no failed or unreachable task")
        risky = [str(self._graph.key(task)) for task in chosen if self.book.tasks[task].may_have_run]
        if risky and not accept_risk:
            raise NotPossible(
                f"{', '.join(risky[:5])}: the command may have run, and may still be running; a retry runs it again",
                hint="say so explicitly to accept that (--accept-risk)",
            )
        tx = Tx()
        for task in chosen:
            self._open_again(tx, task, actor, "retry")
        for task in called_off:
            self.book.move(tx, task, TaskState.WAITING, why="", actor=actor)
        self.book.halt(tx, False)
        self.book.ask(tx, Asked.RUN, actor=actor, reason="retry")
        self.book.run_state(tx, RunState.RUNNING, why="", actor=actor)
        tx.hold(self.book.number, self.servers())
        await self.book.commit(tx)

    async def decide(self, key: TaskKey, decision: Decision, actor: str, reason: str) -> None:
        """Settles a task in doubt, by what a person says."""
        task = self._index(key)
        record = self.book.tasks[task]
        if record.undo is UndoState.IN_DOUBT:
            to = {
                Decision.RETRY: UndoState.PENDING,
                Decision.DONE: UndoState.UNDONE,
                Decision.FAILED: UndoState.FAILED,
            }.get(decision)
            if to is None:
                raise NotPossible(
                    "an undo in doubt can be retried, or said to be done or failed; it cannot be skipped"
                )
            tx = Tx()
            tx.task(self.book.number, task, decision=decision.value, decided_by=actor)
            why = f"decided by {place(actor)}: {reason}"
            self.book.undo(tx, task, to, why=why, actor=actor, decision=decision.value, reason=reason)
            await self._decided(tx, task, UNDO_AS_TASK[to])
            return
        if record.state is not TaskState.IN_DOUBT:
            raise NotPossible(f"{key} is {record.state.word}: only a task in doubt can be decided")
        record.may_have_run = True
        told = {"decision": decision.value, "reason": reason, "may_have_run": True}
        tx = Tx()
        state = {
            Decision.RETRY: TaskState.WAITING,
            Decision.DONE: TaskState.DONE,
            Decision.FAILED: TaskState.FAILED,
            Decision.SKIP: TaskState.SKIPPED,
        }[decision]
        if decision is Decision.RETRY:
            record.budget = record.attempt + self.inputs.batch.steps[key.step].retries.attempts
            tx.task(self.book.number, task, attempts=record.budget)
        self.book.move(
            tx,
            task,
            state,
            why=f"decided by {place(actor)}: {reason}",
            actor=actor,
            data=told,
            may_have_run=True,
            decision=decision.value,
            decided_by=actor,
        )
        await self._decided(tx, task, state)

    async def _decided(self, tx: Tx, task: int, state: TaskState) -> None:
        look = self._looks.pop(task, None)
        if look is not None:
            look.cancel()
        scheduler = self._scheduler
        if scheduler is None and not self._still_in_doubt() and self.book.state is RunState.WAITING:
            if self.book.asked is Asked.CANCEL:
                self.cancel_rest(tx)
            else:
                self.book.run_state(
                    tx, RunState.PAUSED, why="nothing is in doubt any more; resume it to go on"
                )
        # The scheduler hears of it before it is durable: whatever it starts becomes durable after it, and
        # a loop that is about to end cannot miss it.
        if scheduler is not None:
            if state is TaskState.WAITING:
                scheduler.again(task)
            else:
                blocked = scheduler.ended(task, state)
                if not self._backwards:
                    self._follow_up(tx, scheduler, task, blocked)
            self._wake.set()
        await self.book.commit(tx)

    def _still_in_doubt(self) -> bool:
        return bool(self.in_doubt())

    async def ask_to_roll_back(
        self, actor: str, reason: str, steps: Sequence[str], servers: set[str] | None
    ) -> None:
        """Asks for the rollback. Tasks in flight end first; the caller then executes the run."""
        if self.book.state is RunState.ROLLING_BACK and self.executing:
            raise NotPossible(f"run {self.book.number} is rolling back already")
        if not self._flights and not any(self._may_undo(task) for task in range(self._graph.tasks)):
            raise NotPossible(
                f"run {self.book.number} has changed nothing that can still be undone",
                hint="only tasks whose command was handed over, in steps with an undo, are rolled back",
            )
        unknown = [step for step in steps if step not in self.inputs.batch.steps]
        if unknown:
            raise InputError(f"run {self.book.number} has no step {', '.join(unknown)}")
        scope = {
            "steps": list(steps),
            "servers": None if servers is None else sorted(servers),
            "actor": actor,
        }
        tx = Tx()
        self.book.ask(tx, Asked.ROLL_BACK, actor=actor, reason=reason)
        self.book.set_undo_scope(tx, scope)
        if not self.book.state.open:
            tx.hold(self.book.number, self.servers())
            self.book.run_state(tx, RunState.ROLLING_BACK, actor=actor)
        await self.book.commit(tx)
        self._hold()

    def _may_undo(self, task: int) -> bool:
        """True for a task of which an attempt was handed over and whose step can undo it."""
        record = self.book.tasks[task]
        step = self.inputs.batch.steps[self._graph.key(task).step]
        return record.handed_over and record.undo is not UndoState.UNDONE and step.undo is not None

    async def _choose_undos(self) -> None:
        """Makes durable what will be undone: every task of which an attempt was handed over.

        A person may have narrowed it to steps and servers; tasks in doubt are decided as failed.
        """
        book, tx = self.book, Tx()
        scope = book.undo_scope or {}
        steps, servers, actor = scope.get("steps") or (), scope.get("servers"), scope.get("actor", "engine")
        undo_failed = self.inputs.batch.strategy.undo_failed
        for task, record in enumerate(book.tasks):
            key = self._graph.key(task)
            if record.state is TaskState.IN_DOUBT:
                record.may_have_run = True
                book.move(
                    tx,
                    task,
                    TaskState.FAILED,
                    why="in doubt when the run was rolled back",
                    actor=actor,
                    data={"may_have_run": True},
                    may_have_run=True,
                )
            wanted = (not steps or key.step in steps) and (servers is None or key.server in servers)
            left_out = record.state is TaskState.FAILED and not undo_failed
            # An undo in doubt is a person's to decide: asking for the rollback again does not run it again.
            if record.undo is UndoState.IN_DOUBT:
                continue
            if wanted and not left_out and self._may_undo(task):
                book.undo(tx, task, UndoState.PENDING, actor=actor)
        if scope:
            book.set_undo_scope(tx, None)
        await book.commit(tx)

    # ------------------------------------------------------------ ending

    def drain(self) -> None:
        """Starts nothing more; `execute` returns when what is in flight has ended, the run resumable."""
        self._draining = True
        self._hold()

    def _hold(self) -> None:
        if self._scheduler is not None:
            self._scheduler.held = True
        for flight in list(self._flights.values()):
            flight.interrupt()
        self._wake.set()

    def move_servers(self, moved: Mapping[str, Server]) -> None:
        """Takes over servers that their provider says have moved."""
        self.snapshot = self.snapshot.with_servers({**self.snapshot.servers, **moved})
        self.inputs.servers.update(moved)

    def servers(self) -> list[str]:
        """The servers that the run holds while it is open (the engine itself is not one)."""
        return [name for name in self.snapshot.servers if name != "engine"]

    def _open_again(self, tx: Tx, task: int, actor: str, why: str) -> None:
        record = self.book.tasks[task]
        key = self._graph.key(task)
        record.budget = record.attempt + self.inputs.batch.steps[key.step].retries.attempts
        register = self.inputs.batch.steps[key.step].register_as
        if register is not None:
            self.inputs.contexts.forget(key.server, register.name)
        record.verify_exit = None
        self.book.move(tx, task, TaskState.WAITING, why=why, actor=actor, attempts=record.budget)

    def _index(self, key: TaskKey) -> int:
        task = self._graph.index(key)
        if task is None:
            raise NotFound(f"run {self.book.number} has no task {key}")
        return task


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
