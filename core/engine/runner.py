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
import random
from collections.abc import Callable
from typing import Any

from core.batch.model import Guard, Step
from core.engine import work as works
from core.engine.executor import Trace, Unreachable, Work
from core.engine.flight import STOP_GRACE_S, Flight, Interrupted, StopReason, stop_words
from core.engine.handover import HandOver
from core.engine.recorder import REGISTERED_BYTES, OutputRecorder
from core.engine.result import Result, back_off, exit_words, flat, seconds, work_digest
from core.errors import InputError
from core.model import events
from core.model.ids import AttemptRef
from core.model.states import Phase, Purpose, TaskState
from core.store.evidence import find_attempt, other_handed_over, output_ends, output_head
from core.store.tx import Tx
from core.template import TemplateFault

CHECK_CONNECTIONS = 5
CANNOT_RUN = (126, 127)
AGAIN_AT_MOST = 3
"""How often in a row an attempt that never started may be made again at once."""


class TaskRunner:
    """Runs the tasks of one run, each in its own coroutine."""

    def __init__(
        self,
        hands: HandOver,
        ended: Callable[[Tx, int, TaskState], None] = lambda tx, task, state: None,
        starts: Callable[[], bool] = lambda: True,
        gone: Callable[[Tx, str], None] = lambda tx, why: None,
    ) -> None:
        """`ended` is called with the transaction of each end, before it is committed: what follows for
        other tasks and the run becomes durable with it. Where `starts` says no, what was found to have ended badly is
        not tried again yet. `gone` is called so where a task waits again for credentials.
        """
        self._hands = hands
        self._book = hands.book
        self._inputs = hands.inputs
        self._ended = ended
        self._starts = starts
        self._gone = gone
        self._random = random.Random()

    # ------------------------------------------------------------ forward

    async def run(self, flight: Flight) -> TaskState:
        """Runs a task until its state is durable: an end, in doubt, or waiting again (interrupted)."""
        try:
            return await self._run(flight)
        except (TemplateFault, InputError) as error:
            return await self._end(flight, TaskState.FAILED, why=flat(str(error)))
        except Interrupted:
            why = "the command ended well and was not verified"
            if self._book.tasks[flight.task].verify_exit is None:
                why = self._book.last_reason.get(flight.task, "the attempt before failed")
            why += "; then the server was lost"
            if flight.cancelled:
                return await self._end(flight, TaskState.FAILED, why=why)
            return await self._give_back(flight, why, Tx())
        except Unreachable as error:
            why = flat(f"{error.why}. {error.hint}" if error.hint else error.why)
            if flight.cancelled:
                return await self._end(flight, TaskState.CANCELLED, why=why)
            if error.gone:
                tx = Tx()
                self._gone(tx, why)
                return await self._give_back(flight, f"credentials gone: {why}", tx)
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
            await self._hands.open_again(flight)
            result = await self._verify(flight, step, Result("ok", exit_status=record.verify_exit))
            ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.RUN, record.attempt)
            recorder = await self._recorder_of(flight, step, ref)
            ended = await self._finish_or_none(flight, step, result, recorder)
            return ended or await self._attempts(flight, step)
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
        if record.may_have_run and record.attempt:
            await self._end_earlier(flight, step)
        while True:
            if step.wait is None:
                started = record.handed_over and flight.handed  # a started task waits for its server
                await (self._hands.open_again(flight) if started else self._hands.open(flight))
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
            if flight.interrupted.is_set():
                return await self._give_back(flight, "interrupted before it started", Tx())
            result, recorder, tx = await self._attempt(flight, step, number)
            if result.ok and step.verify is not None:
                await self._book.commit(tx)
                tx = Tx()
                result = await self._verify(flight, step, result)
            ended = await self._finish_or_none(flight, step, result, recorder, tx=tx)
            if ended is not None:
                return ended

    async def _end_earlier(self, flight: Flight, step: Step) -> None:
        """Makes sure that an attempt in doubt does not run beside the next one, or tells that it may."""
        task, key = flight.task, self._book.graph.key(flight.task)
        number = self._book.tasks[task].attempt
        intent = await find_attempt(self._book.reader, self._book.number, task, Purpose.RUN, number)
        if intent is None or intent.outcome != "in doubt":
            return
        ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.RUN, number)
        work = self._main_work(step, ref)
        await self._hands.open(flight)
        answer = await self._hands.executor.stop(
            flight.server, ref, STOP_GRACE_S, work, Trace(intent.boot_id, intent.folder)
        )
        tx = Tx()
        told = {"phase": Phase.RUN.value, "why": f"attempt {number} in doubt: stop {stop_words(answer)}"}
        self._book.tell(tx, events.TASK_PHASE, task, told)
        self._book.post(tx)

    def _main_work(self, step: Step, ref: AttemptRef) -> Work:
        inputs = self._inputs
        context = inputs.contexts.of(ref.step, ref.server, ref.attempt)
        return works.main_work(inputs.batch, step, context, ref, inputs.files, inputs.blobs)

    async def _attempt(self, flight: Flight, step: Step, number: int) -> tuple[Result, OutputRecorder, Tx]:
        """One attempt. Its end is in the transaction returned, which the caller commits together with
        what follows for the task: an attempt that ended never stands alone.
        """
        task, key = flight.task, self._book.graph.key(flight.task)
        ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.RUN, number)
        work = self._main_work(step, ref)
        trace = self._hands.trace(key.server, work)
        tx = Tx()
        record = self._book.tasks[task]
        handed_before = record.handed_over
        if record.state is TaskState.RUNNING:
            self._book.phase(tx, task, Phase.RUN)
            tx.task(self._book.number, task, why="")  # what the attempt before ended with stays with that
        else:
            record.attempt = number
            self._book.move(tx, task, TaskState.RUNNING, phase=Phase.RUN)
        self._book.intent(tx, task, ref, work_digest(work), trace)
        await self._book.commit(tx)
        recorder = self._hands.recorder(task, ref, keep_stdout=step.register_as is not None)
        timeout_s = works.timeout_of(step)
        if flight.interrupted.is_set() and not flight.cancelled:
            # While it was committed: the disk is full, or the engine ends. Nothing was handed over.
            result = Result("not started", why="interrupted before it was handed over")
        elif step.wait is not None:
            result = await self._wait(flight, step, ref, work, recorder, timeout_s)
        else:
            result = await self._hands.run(flight, ref, work, recorder, timeout_s, step.ok_exit, trace)
        if result.outcome == "not started":
            record.handed_over = handed_before
        return result, recorder, self._attempt_end(flight, step, ref, result, recorder)

    def _attempt_end(
        self,
        flight: Flight,
        step: Step,
        ref: AttemptRef,
        result: Result,
        recorder: OutputRecorder,
        tx: Tx | None = None,
    ) -> Tx:
        """The transaction that says how an attempt ended, with the output that came before it."""
        task, record = flight.task, self._book.tasks[flight.task]
        tx = tx or Tx()
        recorder.finish(tx)
        self._hands.attempt_ended(tx, task, ref, result)
        tx.task(
            self._book.number,
            task,
            evidence=result.evidence,
            exit_status=result.exit_status,
            signal=result.signal,
        )
        if result.ok and step.verify is not None:
            record.verify_exit = result.exit_status
            self._book.phase(tx, task, Phase.VERIFY, exit=result.exit_status, **_told_of(result))
        return tx

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
                await self._hands.open(flight)
                reached = True
                result = await self._hands.run(flight, ref, work, recorder, left_s)
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
        return Result("timed out", why=f"not so after {seconds(timeout_s)}: {last}")

    # ------------------------------------------------------------ finding what an earlier engine started

    async def find(self, flight: Flight) -> TaskState:
        """Looks for the attempt of a task in doubt: what evidence settles is settled, what runs is followed.

        Returns "waiting" where it certainly never ran, and "in doubt" where nothing can be told.
        """
        task, record = flight.task, self._book.tasks[flight.task]
        key = self._book.graph.key(task)
        step = self._inputs.batch.steps[key.step]
        ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.RUN, record.attempt)
        intent = await find_attempt(self._book.reader, self._book.number, task, Purpose.RUN, record.attempt)
        if intent is None:
            return await self._still_in_doubt(flight, "its intent is not stored")
        recorder = await self._recorder_of(flight, step, ref)

        def found() -> None:
            tx = Tx()
            why = f"found running on {key.server}, and followed again"
            tx.attempt_goes_on(self._book.number, task, ref.purpose, ref.attempt)
            # Told, and not kept: it runs as any other does, and its last line says more.
            self._book.move(tx, task, TaskState.RUNNING, phase=Phase.RUN, data={"why": why})
            self._book.post(tx)

        try:
            work = self._main_work(step, ref)
            await self._hands.open(flight)
            timeout_s, trace = works.timeout_of(step), Trace(intent.boot_id, intent.folder)
            result, over = await self._hands.find(
                flight, ref, work, recorder, timeout_s, step.ok_exit, trace, found
            )
        except Unreachable as error:
            return await self._still_in_doubt(flight, f"not probed: {error.why}")
        except (TemplateFault, InputError) as error:
            return await self._still_in_doubt(flight, f"not probed: {error}")
        if result.in_doubt:
            return await self._ask_check(flight, step, ref, result, recorder, over)
        if result.outcome == "not started":
            return await self._void(flight, ref, result, recorder)
        tx = Tx()
        if record.state is not TaskState.RUNNING:
            # Ahead of the attempt's end, which may set the phase to verify: that is what must stay.
            evidence = {"evidence": result.evidence}
            self._book.move(
                tx, task, TaskState.RUNNING, phase=Phase.RUN, why="its end was found", data=evidence
            )
        self._attempt_end(flight, step, ref, result, recorder, tx)
        if not self._starts():
            flight.interrupt()
        if result.ok and step.verify is not None:
            await self._book.commit(tx)
            return await self.run(flight)
        ended = await self._finish_or_none(flight, step, result, recorder, tx=tx)
        return ended if ended is not None else await self.run(flight)

    async def _recorder_of(self, flight: Flight, step: Step, ref: AttemptRef) -> OutputRecorder:
        """A recorder that goes on where what is stored of an attempt ends."""
        where = (self._book.reader, self._book.number, flight.task, ref.purpose, ref.attempt)
        recorder = self._hands.recorder(flight.task, ref, keep_stdout=step.register_as is not None)
        head = await output_head(*where, REGISTERED_BYTES) if step.register_as is not None else b""
        recorder.go_on(await output_ends(*where), head)
        return recorder

    async def _void(
        self, flight: Flight, ref: AttemptRef, result: Result, recorder: OutputRecorder
    ) -> TaskState:
        """The attempt never ran and never will: the task waits as before it."""
        task, record = flight.task, self._book.tasks[flight.task]
        record.handed_over = await other_handed_over(self._book.reader, self._book.number, task, ref.attempt)
        tx = Tx()
        recorder.finish(tx)
        self._hands.attempt_ended(tx, task, ref, result)
        return await self._give_back(flight, f"found not done: {result.why}", tx)

    async def _ask_check(
        self,
        flight: Flight,
        step: Step,
        ref: AttemptRef,
        result: Result,
        recorder: OutputRecorder,
        over: bool,
    ) -> TaskState:
        """The step's check as evidence. It decides only where nothing of the command runs any more."""
        if step.check is None:
            return await self._still_in_doubt(flight, result.evidence, recorder)
        said = await self._guard_once(flight, step, step.check, Purpose.CHECK, ref.attempt)
        if said.outcome not in ("ok", "failed") or said.signal or said.exit_status in CANNOT_RUN:
            told = f"{result.evidence}; check gave no answer: {said.why or said.evidence}"
            return await self._still_in_doubt(flight, told, recorder)
        words = "in place" if said.ok else "something to do"
        told = f"{result.evidence}; check says {words} ({exit_words(said.exit_status or 0)})"
        if not over:
            told += ", but the command may still run"
            return await self._still_in_doubt(flight, told, recorder)
        if said.ok:
            done = Result("ok", "found done by its check", result.exit_status, evidence="check")
            tx = self._attempt_end(flight, step, ref, done, recorder)
            return await self._end(flight, TaskState.DONE, why=told, result=done, step=step, tx=tx)
        tx = Tx()
        recorder.finish(tx)
        self._hands.attempt_ended(tx, flight.task, ref, Result("interrupted", told))
        return await self._give_back(flight, told, tx)

    async def _still_in_doubt(
        self, flight: Flight, evidence: str, recorder: OutputRecorder | None = None
    ) -> TaskState:
        task, record = flight.task, self._book.tasks[flight.task]
        tx = Tx()
        if recorder is not None:
            recorder.finish(tx)
        if record.state is TaskState.IN_DOUBT:
            tx.task(self._book.number, task, evidence=evidence)
            told = {"from": record.state.value, "to": record.state.value, "evidence": evidence}
            self._book.tell(tx, events.TASK_STATE, task, told)
        else:
            why = "nobody knows how it ended"
            key = self._book.graph.key(task)
            ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.RUN, record.attempt)
            self._hands.attempt_ended(tx, task, ref, Result("in doubt", why, evidence=evidence))
            self._book.move(
                tx, task, TaskState.IN_DOUBT, why=why, data={"evidence": evidence}, evidence=evidence
            )
        self._ended(tx, task, TaskState.IN_DOUBT)
        await self._book.commit(tx)
        return TaskState.IN_DOUBT

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
        tx = Tx()
        phase = Phase.CHECK if purpose is Purpose.CHECK else Phase.VERIFY
        if self._book.tasks[flight.task].state is not TaskState.RUNNING:
            self._book.move(tx, flight.task, TaskState.RUNNING, phase=phase)
        else:
            self._book.phase(tx, flight.task, phase)
        self._book.post(tx)
        lost = ""
        for _ in range(CHECK_CONNECTIONS):
            result = await self._guard_once(flight, step, guard, purpose, number)
            if result.outcome not in ("in doubt", "not started") or flight.stop_reason is not None:
                return result
            lost = result.evidence or result.why
            if purpose is Purpose.VERIFY:
                await self._hands.open_again(flight)
            else:
                await self._hands.open(flight)
        raise Unreachable(f"the connection was lost {CHECK_CONNECTIONS} times during {purpose}: {lost}")

    async def _guard_once(
        self, flight: Flight, step: Step, guard: Guard, purpose: Purpose, number: int
    ) -> Result:
        key = self._book.graph.key(flight.task)
        ref = AttemptRef(self._book.run_id, key.step, key.server, purpose, number)
        context = self._inputs.contexts.of(key.step, key.server, number)
        work = works.command(self._inputs.batch, step, guard.run, context, ref, repeats=True)
        recorder = self._hands.recorder(flight.task, ref)
        result = await self._hands.run(
            flight, ref, work, recorder, guard.timeout_s or works.DEFAULT_GUARD_TIMEOUT_S
        )
        recorder.end()
        return result

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
            flight.in_vain += 1
            if result.again and flight.in_vain < AGAIN_AT_MOST and not flight.interrupted.is_set():
                self._book.post(tx)
                return None
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
            **_told_of(result),
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
        unverified = self._book.tasks[flight.task].verify_exit is not None
        phase = Phase.VERIFY if unverified else None
        self._book.move(tx, flight.task, TaskState.WAITING, phase=phase, why=why)
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
            data.update(_told_of(result))
            if result.evidence:
                columns["evidence"] = result.evidence
        if exit_status is not None:
            data["exit"] = columns["exit_status"] = exit_status
        if step is not None and step.register_as is not None:
            self._register(tx, flight, step, state, exit_status, recorder)
        self._book.move(tx, flight.task, state, why=why, data=data, **columns)
        self._ended(tx, flight.task, state)
        await self._book.commit(tx)
        if state is not TaskState.IN_DOUBT:
            await self._hands.forget(flight)
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


def _told_of(result: Result) -> dict[str, str]:
    """What the event that ends an attempt says beside its exit status."""
    told = {"signal": result.signal, "evidence": result.evidence}
    return {name: text for name, text in told.items() if text}
