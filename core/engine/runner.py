"""One task from its start to its durable end: when → check → run → verify, with retries between.

Invariants:

- the intent is durable before anything is handed over, the exit status before `verify`, the outcome
  before `run` returns;
- automatic retries act on certain failures only;
- "unreachable" says that no intent was ever handed over;
- a failing template or a missing file fails the task before its intent.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import signal as signals
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from core.batch.model import Batch, Retries, Step
from core.engine import work as works
from core.engine.blobs import Blobs, FileRef
from core.engine.book import Book
from core.engine.contexts import Contexts
from core.engine.executor import (
    Ended,
    Executor,
    InDoubt,
    NotStarted,
    ServerFacts,
    Stopped,
    Unreachable,
    Work,
)
from core.engine.flight import Flight, Interrupted, StopReason, stop_words
from core.engine.recorder import OutputRecorder
from core.errors import InputError
from core.model import events
from core.model.ids import AttemptRef
from core.model.states import Phase, Purpose, TaskState, UndoState
from core.store.tx import Tx
from core.template import TemplateFault
from providers.base import Server

CHECK_CONNECTIONS = 3
CANNOT_RUN = (126, 127)


@dataclass(frozen=True, slots=True)
class Result:
    """How one command of a task ended. `outcome` is what the attempt's row says.

    `certain` is False only for "in doubt"; `ok` means that the task may go on.
    """

    outcome: str
    why: str = ""
    exit_status: int | None = None
    signal: str = ""
    evidence: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    @property
    def in_doubt(self) -> bool:
        return self.outcome == "in doubt"


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What every task of a run is made from."""

    batch: Batch
    servers: dict[str, Server]
    contexts: Contexts
    files: dict[str, FileRef]
    blobs: Blobs


class TaskRunner:
    """Runs the tasks of one run, each in its own coroutine."""

    def __init__(
        self,
        book: Book,
        inputs: RunInputs,
        executor: Executor,
        ended: Callable[[Tx, int, TaskState], None] = lambda tx, task, state: None,
    ) -> None:
        """`ended` is called with the transaction of each end, before it is committed: what follows for
        other tasks and the run becomes durable with it.
        """
        self._book = book
        self._ended = ended
        self._inputs = inputs
        self._executor = executor
        self._facts: dict[str, ServerFacts] = {}
        self._random = random.Random()

    def flight(self, task: int) -> Flight:
        """A flight for one task."""
        key = self._book.graph.key(task)
        return Flight(task, self._inputs.servers[key.server], self._executor)

    # ------------------------------------------------------------ forward

    async def run(self, flight: Flight) -> TaskState:
        """Runs a task until its state is durable: an end, in doubt, or waiting again (interrupted)."""
        try:
            return await self._run(flight)
        except (TemplateFault, InputError) as error:
            return await self._end(flight, TaskState.FAILED, why=_flat(str(error)))
        except Unreachable as error:
            why = _flat(f"{error.why}. {error.hint}" if error.hint else error.why)
            if flight.cancelled:
                return await self._end(flight, TaskState.CANCELLED, why=why)
            record = self._book.tasks[flight.task]
            if record.verify_exit is not None:
                reason = f"the command ended well ({exit_words(record.verify_exit)}) and was not verified"
                return await self._end(
                    flight, TaskState.FAILED, why=f"{reason}; then the server was lost: {why}"
                )
            if record.handed_over:
                reason = self._book.last_reason.get(flight.task, "the attempt before failed")
                return await self._end(
                    flight, TaskState.FAILED, why=f"{reason}; then the server was lost: {why}"
                )
            return await self._end(flight, TaskState.UNREACHABLE, why=why)

    async def _run(self, flight: Flight) -> TaskState:
        task, record = flight.task, self._book.tasks[flight.task]
        key = self._book.graph.key(task)
        step = self._inputs.batch.steps[key.step]
        if record.verify_exit is not None:
            await self._open(flight)
            result = await self._verify(flight, step, Result("ok", exit_status=record.verify_exit))
            return await self._finish_or_none(flight, step, result) or await self._attempts(flight, step)
        if step.when is not None and not record.when_holds:
            if not works.condition_holds(step, self._inputs.contexts.of(key.step, key.server)):
                return await self._end(flight, TaskState.SKIPPED, why=f"when is false: {step.when}")
            record.when_holds = True
            tx = Tx()
            tx.task(self._book.number, task, when_holds=1)
            self._book.post(tx)
        return await self._attempts(flight, step)

    async def _attempts(self, flight: Flight, step: Step) -> TaskState:
        record = self._book.tasks[flight.task]
        while True:
            if step.wait is None:
                await self._open(flight)
            number = record.attempt + 1
            if step.check is not None:
                found = await self._check(flight, step, number)
                if flight.cancelled:
                    return await self._end(flight, TaskState.CANCELLED, why="cancelled during its check")
                if found.ok:
                    return await self._end(
                        flight, TaskState.IN_PLACE, why="check: nothing to do", exit_status=found.exit_status
                    )
                if found.outcome != "to do":
                    ended = await self._finish_or_none(flight, step, found, counts_as=number)
                    if ended is not None:
                        return ended
                    continue
            if flight.cancelled:
                return await self._end(flight, TaskState.CANCELLED, why="cancelled before it started")
            result, recorder, tx = await self._attempt(flight, step, number)
            if result.ok and step.verify is not None:
                await self._book.commit(tx)
                tx = Tx()
                result = await self._verify(flight, step, result)
            ended = await self._finish_or_none(flight, step, result, recorder, tx=tx)
            if ended is not None:
                return ended

    async def _attempt(self, flight: Flight, step: Step, number: int) -> tuple[Result, OutputRecorder, Tx]:
        """One attempt. Its end is in the transaction returned, which the caller commits together with
        what follows for the task: an attempt that ended never stands alone.
        """
        task, key = flight.task, self._book.graph.key(flight.task)
        ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.RUN, number)
        context = self._inputs.contexts.of(key.step, key.server, number)
        work = works.main_work(self._inputs.batch, step, context, ref, self._inputs.files, self._inputs.blobs)
        facts = self._facts.get(key.server)
        tx = Tx()
        record = self._book.tasks[task]
        handed_before = record.handed_over
        if record.state is TaskState.RUNNING:
            self._book.phase(tx, task, Phase.RUN)
        else:
            record.attempt = number
            self._book.move(tx, task, TaskState.RUNNING, phase=Phase.RUN)
        self._book.intent(tx, task, ref, work_digest(work), facts.boot_id if facts else "")
        await self._book.commit(tx)
        recorder = self._recorder(task, ref, keep_stdout=step.register_as is not None)
        timeout_s = works.timeout_of(step)
        if step.wait is not None:
            result = await self._wait(flight, step, ref, work, recorder, timeout_s)
        else:
            result = await self._hand_over(flight, ref, work, recorder, timeout_s, step.ok_exit)
        tx = Tx()
        last_line = recorder.finish(tx)
        columns: dict[str, Any] = {"exit_status": result.exit_status, "signal": result.signal}
        if last_line is not None:
            columns["last_line"] = last_line
        self._attempt_ended(tx, task, ref, result)
        if result.outcome == "not started":
            record.handed_over = handed_before
        tx.task(self._book.number, task, evidence=result.evidence, **columns)
        if result.ok and step.verify is not None:
            record.verify_exit = result.exit_status
            self._book.phase(tx, task, Phase.VERIFY)
        return result, recorder, tx

    async def _hand_over(
        self,
        flight: Flight,
        ref: AttemptRef,
        work: Work,
        recorder: OutputRecorder,
        timeout_s: float | None,
        ok_exit: tuple[int, ...] = (0,),
    ) -> Result:
        answer = await flight.hand_over(ref, work, recorder, timeout_s)
        if flight.stop_reason is not None:
            return _hinted(_stopped(flight, answer, timeout_s), recorder)
        if isinstance(answer, InDoubt) and ref.purpose in (Purpose.RUN, Purpose.UNDO):
            answer = await self._look_again(flight, ref, work, recorder, answer)
        match answer:
            case Ended():
                return _hinted(_ended(answer, ok_exit), recorder)
            case NotStarted(why):
                return Result("not started", why=why)
            case InDoubt(evidence):
                return Result("in doubt", why="nobody knows whether it ran", evidence=evidence)
            case None:
                return Result("in doubt", why="its end was not told")

    async def _look_again(
        self, flight: Flight, ref: AttemptRef, work: Work, recorder: OutputRecorder, doubt: InDoubt
    ) -> Ended | NotStarted | InDoubt:
        """Asks the server for evidence once more, over a new session."""
        try:
            await self._executor.open(flight.server)
            return await self._executor.attach(flight.server, ref, work, {}, recorder)
        except Unreachable as error:
            return InDoubt(f"{doubt.evidence}; {error.why}")

    async def _wait(
        self,
        flight: Flight,
        step: Step,
        ref: AttemptRef,
        work: Work,
        recorder: OutputRecorder,
        timeout_s: float | None,
    ) -> Result:
        """Probes until it succeeds, the time is up or the run is cancelled; it changes nothing."""
        loop_time = asyncio.get_running_loop().time
        ends_at = loop_time() + (timeout_s or works.DEFAULT_WAIT_TIMEOUT_S)
        every_s = step.wait.every_s if step.wait else 1.0
        last, reached = "it was not probed", False
        while not flight.cancelled:
            left_s = ends_at - loop_time()
            if left_s <= 0:
                break
            try:
                await self._open(flight)
                reached = True
                result = await self._hand_over(flight, ref, work, recorder, left_s)
                if result.ok:
                    return result
                if flight.stop_reason is None:
                    last = result.why or result.evidence
            except Unreachable as error:
                last = error.why
            try:
                await flight.pause(max(0.0, min(every_s, ends_at - loop_time())))
            except Interrupted:
                break
        if flight.cancelled:
            return Result("stopped", why=StopReason.CANCEL.value)
        if flight.interrupted.is_set():
            return Result("not started", why="interrupted while waiting; it will be probed again")
        if not reached:
            raise Unreachable(last)
        return Result("timed out", why=f"not so after {_seconds(timeout_s)}: {last}")

    # ------------------------------------------------------------ guards

    async def _check(self, flight: Flight, step: Step, number: int) -> Result:
        """ "ok": in place; "to do"; anything else is a failure of the check."""
        if step.check is None:
            return Result("to do")
        result = await self._guard(flight, step, Purpose.CHECK, number)
        if result.outcome == "failed":
            if result.signal:
                return Result("failed", why=f"check was ended by SIG{result.signal}", signal=result.signal)
            if result.exit_status in CANNOT_RUN:
                return Result(
                    "failed",
                    why=f"check could not be run: exit {result.exit_status}",
                    exit_status=result.exit_status,
                )
            return Result("to do", exit_status=result.exit_status)
        if result.outcome in ("timed out", "in doubt"):
            # A check changes nothing: whether it still runs or not, the task itself is not in doubt.
            return Result("failed", why=f"check {result.why}", evidence=result.evidence)
        return result

    async def _verify(self, flight: Flight, step: Step, before: Result) -> Result:
        if step.verify is None:
            return before
        result = await self._guard(flight, step, Purpose.VERIFY, self._book.tasks[flight.task].attempt)
        self._book.tasks[flight.task].verify_exit = None
        if result.ok:
            return before
        return Result("failed", why=f"verify: {result.why}", exit_status=before.exit_status)

    async def _guard(self, flight: Flight, step: Step, purpose: Purpose, number: int) -> Result:
        """Runs `check` or `verify`: without an intent, and again where the connection was lost."""
        guard = step.check if purpose is Purpose.CHECK else step.verify
        if guard is None:
            return Result("ok")
        key = self._book.graph.key(flight.task)
        ref = AttemptRef(self._book.run_id, key.step, key.server, purpose, number)
        context = self._inputs.contexts.of(key.step, key.server, number)
        work = works.command(self._inputs.batch, step, guard.run, context, ref)
        tx = Tx()
        phase = Phase.CHECK if purpose is Purpose.CHECK else Phase.VERIFY
        if self._book.tasks[flight.task].state is not TaskState.RUNNING:
            self._book.move(tx, flight.task, TaskState.RUNNING, phase=phase)
        else:
            self._book.phase(tx, flight.task, phase)
        self._book.post(tx)
        timeout_s = guard.timeout_s or works.DEFAULT_GUARD_TIMEOUT_S
        lost = ""
        for _ in range(CHECK_CONNECTIONS):
            recorder = self._recorder(flight.task, ref)
            result = await self._hand_over(flight, ref, work, recorder, timeout_s)
            recorder.flush()
            if result.outcome not in ("in doubt", "not started") or flight.stop_reason is not None:
                return result
            lost = result.evidence or result.why
            await self._open(flight)
        raise Unreachable(f"the connection was lost {CHECK_CONNECTIONS} times during {purpose}: {lost}")

    # ------------------------------------------------------------ ends

    async def _finish_or_none(
        self,
        flight: Flight,
        step: Step,
        result: Result,
        recorder: OutputRecorder | None = None,
        *,
        tx: Tx | None = None,
        counts_as: int | None = None,
    ) -> TaskState | None:
        """Ends the task by its last result, or waits for the next attempt and returns None.

        `tx` holds what becomes durable with it, the attempt's own end for one.
        """
        task, record = flight.task, self._book.tasks[flight.task]
        tx = tx or Tx()
        if counts_as is not None:
            record.attempt = counts_as
        if result.ok:
            return await self._end(flight, TaskState.DONE, result=result, step=step, recorder=recorder, tx=tx)
        if result.in_doubt:
            return await self._end(flight, TaskState.IN_DOUBT, why=result.why, result=result, tx=tx)
        if result.outcome == "not started":
            if flight.interrupted.is_set() and not flight.cancelled:
                return await self._give_back(flight, result.why, tx)
            self._book.post(tx)
            raise Unreachable(result.why)
        self._book.last_reason[task] = result.why
        if flight.cancelled or record.attempt >= record.budget:
            return await self._end(
                flight, TaskState.FAILED, why=result.why, result=result, step=step, recorder=recorder, tx=tx
            )
        delay_s = back_off(step.retries, record.attempt, self._random)
        told = {
            "purpose": Purpose.RUN.value,
            "state": "failed",
            "why": result.why,
            "exit": result.exit_status,
        }
        self._book.tell(tx, events.TASK_ATTEMPT, task, told)
        tx.task(self._book.number, task, why=result.why, attempt=record.attempt)
        self._book.phase(tx, task, Phase.BACKOFF, delay_s=round(delay_s, 3), why=result.why)
        self._book.post(tx)
        try:
            await flight.pause(delay_s)
        except Interrupted:
            if flight.cancelled:
                return await self._end(flight, TaskState.FAILED, why=result.why, result=result)
            why = f"attempt {record.attempt} of {record.budget}: {result.why}"
            return await self._give_back(flight, why, Tx())
        return None

    async def _give_back(self, flight: Flight, why: str, tx: Tx) -> TaskState:
        """Lets the task wait again: it goes on with its next attempt when the run does."""
        self._book.move(tx, flight.task, TaskState.WAITING, why=why)
        await self._book.commit(tx)
        return TaskState.WAITING

    async def _end(
        self,
        flight: Flight,
        state: TaskState,
        *,
        why: str = "",
        result: Result | None = None,
        step: Step | None = None,
        recorder: OutputRecorder | None = None,
        exit_status: int | None = None,
        tx: Tx | None = None,
    ) -> TaskState:
        tx = tx or Tx()
        data: dict[str, Any] = {}
        columns: dict[str, Any] = {}
        if result is not None:
            exit_status = result.exit_status
            if result.signal:
                data["signal"] = result.signal
            if result.evidence:
                data["evidence"] = columns["evidence"] = result.evidence
        if exit_status is not None:
            data["exit"] = columns["exit_status"] = exit_status
        if step is not None and step.register_as is not None:
            self._register(tx, flight, step, state, exit_status, recorder)
        self._book.move(tx, flight.task, state, why=why, data=data, **columns)
        self._ended(tx, flight.task, state)
        await self._book.commit(tx)
        return state

    def _register(
        self,
        tx: Tx,
        flight: Flight,
        step: Step,
        state: TaskState,
        exit_status: int | None,
        recorder: OutputRecorder | None,
    ) -> None:
        if step.register_as is None:
            return
        value: dict[str, Any] = {"state": state.value, "exit": exit_status}
        if recorder is not None and not recorder.stdout_truncated:
            value["output"] = bytes(recorder.stdout).decode("utf-8", "replace").rstrip("\n")
        tx.registered(
            self._book.number, flight.task, step.register_as.name, value, step.register_as.sensitive
        )
        self._inputs.contexts.register(flight.server.name, step.register_as.name, value)

    # ------------------------------------------------------------ undo

    async def undo(self, flight: Flight) -> UndoState:
        """Undoes one task until its undo is durably undone, failed, in doubt, or pending again."""
        task, record = flight.task, self._book.tasks[flight.task]
        key = self._book.graph.key(task)
        step = self._inputs.batch.steps[key.step]
        undo = step.undo
        if undo is None:
            return await self._undo_end(flight, UndoState.NONE, "the step has no undo")
        retries = undo.retries or step.retries
        first = record.undo_attempt
        while True:
            try:
                await self._open(flight)
            except Unreachable as error:
                return await self._undo_end(flight, UndoState.FAILED, f"server unreachable: {error.why}")
            number = record.undo_attempt + 1
            ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.UNDO, number)
            context = self._inputs.contexts.of(key.step, key.server, number)
            try:
                work = works.command(self._inputs.batch, step, undo.run, context, ref)
            except TemplateFault as error:
                return await self._undo_end(flight, UndoState.FAILED, _flat(str(error)))
            tx = Tx()
            if record.undo is not UndoState.UNDOING:
                self._book.undo(tx, task, UndoState.UNDOING)
            facts = self._facts.get(key.server)
            self._book.intent(tx, task, ref, work_digest(work), facts.boot_id if facts else "")
            await self._book.commit(tx)
            recorder = self._recorder(task, ref)
            result = await self._hand_over(flight, ref, work, recorder, undo.timeout_s)
            tx = Tx()
            recorder.finish(tx)
            self._attempt_ended(tx, task, ref, result)
            if result.ok:
                return await self._undo_end(flight, UndoState.UNDONE, "", tx)
            if result.in_doubt:
                return await self._undo_end(flight, UndoState.IN_DOUBT, result.evidence or result.why, tx)
            if flight.cancelled or record.undo_attempt - first >= retries.attempts:
                return await self._undo_end(flight, UndoState.FAILED, result.why, tx)
            self._book.post(tx)
            try:
                await flight.pause(back_off(retries, record.undo_attempt - first, self._random))
            except Interrupted:
                return await self._undo_end(flight, UndoState.PENDING, result.why)

    async def _undo_end(self, flight: Flight, state: UndoState, why: str, tx: Tx | None = None) -> UndoState:
        tx = tx or Tx()
        self._book.undo(tx, flight.task, state, why=why)
        await self._book.commit(tx)
        return state

    # ------------------------------------------------------------ shared

    async def _open(self, flight: Flight) -> None:
        """A session with the task's server; the first one of a server shows as the phase "connect"."""
        name, record = flight.server.name, self._book.tasks[flight.task]
        if name not in self._facts and record.state is TaskState.WAITING:
            tx = Tx()
            self._book.move(tx, flight.task, TaskState.RUNNING, phase=Phase.CONNECT)
            self._book.post(tx)
        facts = await flight.open()
        known = self._facts.get(name)
        if known is None or known != facts:
            self._facts[name] = facts
            if facts.notes:
                tx = Tx()
                tx.event(
                    events.SERVER_NOTE,
                    run=self._book.number,
                    server=name,
                    data={"what": "session", "message": "; ".join(facts.notes)},
                )
                self._book.post(tx)

    def _recorder(self, task: int, ref: AttemptRef, *, keep_stdout: bool = False) -> OutputRecorder:
        return OutputRecorder(
            run=self._book.number,
            task=task,
            step=ref.step,
            server=ref.server,
            purpose=ref.purpose,
            attempt=ref.attempt,
            post=self._book.post,
            room=self._book.room,
            keep_stdout=keep_stdout,
        )

    def _attempt_ended(self, tx: Tx, task: int, ref: AttemptRef, result: Result) -> None:
        tx.attempt_ended(
            self._book.number,
            task,
            ref.purpose,
            ref.attempt,
            outcome=result.outcome,
            exit_status=result.exit_status,
            signal=result.signal,
            why=result.why,
            evidence=result.evidence,
        )


def back_off(retries: Retries, attempt: int, source: random.Random) -> float:
    """Seconds before the attempt after number `attempt`: exponential, capped, with jitter around it."""
    delay_s = min(retries.delay_s * retries.backoff ** (attempt - 1), retries.max_delay_s)
    return max(0.0, delay_s * (1 + source.uniform(-retries.jitter, retries.jitter)))


def work_digest(work: Work) -> str:
    """sha256 of the rendered work, stored with the intent."""
    return hashlib.sha256(repr(work).encode()).hexdigest()


def exit_words(status: int, signal: str = "") -> str:
    """An exit status for a person: "exit 3", "exit 143 (SIGTERM, or exit 143)"."""
    if signal:
        return f"ended by SIG{signal}"
    if status > 128:
        try:
            return f"exit {status} ({signals.Signals(status - 128).name}, or exit {status})"
        except ValueError:
            pass
    return f"exit {status}"


def _ended(answer: Ended, ok_exit: tuple[int, ...]) -> Result:
    if answer.exit_status in ok_exit and not answer.signal:
        return Result("ok", answer.why, answer.exit_status, "", answer.evidence)
    why = answer.why or exit_words(answer.exit_status, answer.signal)
    return Result("failed", why, answer.exit_status, answer.signal, answer.evidence)


def _hinted(result: Result, recorder: OutputRecorder) -> Result:
    """Adds what to do instead, where the command ended at a prompt."""
    hint = ""
    if result.outcome == "failed":
        hint = recorder.hint(result.exit_status)
    elif result.outcome == "timed out":
        hint = recorder.hint(None)
    return replace(result, why=f"{result.why}; {hint}") if hint else result


def _stopped(flight: Flight, answer: object, timeout_s: float | None) -> Result:
    reason = flight.stop_reason or StopReason.CANCEL
    told = reason.value if reason is StopReason.CANCEL else f"{reason.value} after {_seconds(timeout_s)}"
    exit_status = answer.exit_status if isinstance(answer, Ended) else None
    signal = answer.signal if isinstance(answer, Ended) else ""
    if isinstance(flight.stop_answer, Stopped) or isinstance(answer, Ended | NotStarted):
        outcome = "stopped" if reason is StopReason.CANCEL else "timed out"
        return Result(outcome, told, exit_status, signal, f"stop {stop_words(flight.stop_answer)}")
    return Result(
        "in doubt", f"{told}, stop unconfirmed", exit_status, signal, stop_words(flight.stop_answer)
    )


def _seconds(value: float | None) -> str:
    return f"{value:g} s" if value is not None else "its time"


def _flat(text: str) -> str:
    return " ".join(text.split())
