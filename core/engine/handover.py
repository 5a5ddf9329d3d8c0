"""Hands the commands of tasks to the executor and brings their ends back, over lost connections too.

One hand-over serves one run. A command that was handed over and whose server is lost keeps running for
`reconnect`: its server is asked again until it answers, then its record says what became of it. Only what
no evidence settles comes back in doubt.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.batch.model import Batch
from core.engine.blobs import Blobs, FileRef
from core.engine.book import Book
from core.engine.contexts import Contexts
from core.engine.executor import (
    NO_TRACE,
    Answer,
    Command,
    Ended,
    Executor,
    Found,
    InDoubt,
    NotStarted,
    ServerFacts,
    Trace,
    Unreachable,
    Work,
)
from core.engine.flight import Flight
from core.engine.recorder import OutputRecorder
from core.engine.result import Result, hinted, of_end, of_stop
from core.model import events, notes
from core.model.ids import AttemptRef
from core.model.states import Asked, Phase, Purpose, TaskState
from core.secrets.sealed import Sealed
from core.secrets.use import RunSecrets
from core.store.tx import Tx
from providers.base import Server

RECONNECT_FIRST_S = 0.25
RECONNECT_MOST_S = 15.0


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What every task of a run is made from."""

    batch: Batch
    servers: dict[str, Server]
    contexts: Contexts
    files: dict[str, FileRef]
    blobs: Blobs
    secrets: RunSecrets


class HandOver:
    """The way from a task's command to its end."""

    def __init__(self, book: Book, inputs: RunInputs, executor: Executor) -> None:
        self.book = book
        self.inputs = inputs
        self.executor = executor
        self._facts: dict[str, ServerFacts] = {}
        self._random = random.Random()

    def flight(self, task: int) -> Flight:
        """A flight for one task."""
        key = self.book.graph.key(task)
        return Flight(task, self.inputs.servers[key.server], self.executor)

    async def open(self, flight: Flight) -> ServerFacts:
        """A session with the task's server; the first one of a server shows as the phase "connect".

        Raises Unreachable.
        """
        name, record = flight.server.name, self.book.tasks[flight.task]
        if name not in self._facts and record.state is TaskState.WAITING:
            tx = Tx()
            # What waits for its verification says so as long as it does: the next engine must know.
            verified_later = record.verify_exit is not None
            phase = Phase.VERIFY if verified_later else Phase.CONNECT
            self.book.move(tx, flight.task, TaskState.RUNNING, phase=phase)
            self.book.post(tx)
        facts = await flight.open()
        known = self._facts.get(name)
        if known is None or known != facts:
            self._facts[name] = facts
            tx = Tx()
            tx.server_facts(name, supervised=bool(facts.folder), notes=facts.notes)
            if facts.notes and (known is None or known.notes != facts.notes):
                tx.event(
                    events.SERVER_NOTE,
                    run=self.book.number,
                    server=name,
                    data={"what": "session", "message": "; ".join(facts.notes)},
                )
            self.book.post(tx)
        return facts

    async def open_again(self, flight: Flight) -> ServerFacts:
        """A session for a task whose command has run: a lost server is waited for, as long as `reconnect` says.

        Raises Unreachable, and Interrupted when the flight is woken.
        """
        clock = asyncio.get_running_loop().time
        ends_at = clock() + self.inputs.batch.strategy.reconnect_s
        pause_s, told = RECONNECT_FIRST_S, False
        while True:
            try:
                facts = await self.open(flight)
                self._tell_back(flight, told)
                return facts
            except Unreachable as error:
                if clock() >= ends_at or flight.cancelled:
                    raise
                if not told:
                    told = True
                    self._tell(flight, f"its server is lost, its command has ended there; {error.why}")
            await flight.pause(min(pause_s * self._random.uniform(0.5, 1.0), max(0.0, ends_at - clock())))
            pause_s = min(pause_s * 2, RECONNECT_MOST_S)

    def trace(self, server: str, work: Work) -> Trace:
        """Where the evidence of an attempt will be that is about to be handed over."""
        facts = self._facts.get(server)
        if facts is None:
            return NO_TRACE
        recorded = isinstance(work, Command) and work.supervise and not work.repeats
        return Trace(facts.boot_id, facts.folder if recorded else "")

    def recorder(self, task: int, ref: AttemptRef, *, keep_stdout: bool = False) -> OutputRecorder:
        """Takes the output of one attempt."""
        return OutputRecorder(
            run=self.book.number,
            task=task,
            step=ref.step,
            server=ref.server,
            purpose=ref.purpose,
            attempt=ref.attempt,
            post=self.book.post,
            room=self.book.room,
            keep_stdout=keep_stdout,
            forms=self.inputs.secrets.forms,
        )

    async def run(
        self,
        flight: Flight,
        ref: AttemptRef,
        work: Work,
        recorder: OutputRecorder,
        timeout_s: float | None,
        ok_exit: tuple[int, ...] = (0,),
        trace: Trace = NO_TRACE,
    ) -> Result:
        """Hands work over and follows it to its end."""
        flight.handed.append(ref)
        follows = ref.purpose in (Purpose.RUN, Purpose.UNDO) and not (
            isinstance(work, Command) and work.repeats
        )

        async def following() -> Answer:
            answer = await self.executor.start(flight.server, ref, self._clear(work), recorder, trace)
            if not isinstance(answer, InDoubt) or not follows or flight.stop_reason is not None:
                return answer
            return await self._ask_until_known(flight, ref, work, recorder, trace, answer, None)

        answer = await flight.hand_over(ref, following(), timeout_s)
        return hinted(self._result(flight, answer, timeout_s, ok_exit), recorder)

    def _clear(self, work: Work) -> Work:
        """The work with the values of its secrets, for the executor alone."""
        if isinstance(work, Command) and any(isinstance(text, Sealed) for text in work.env.values()):
            return replace(work, env=self.inputs.secrets.clear(work.env))
        return work

    async def find(
        self,
        flight: Flight,
        ref: AttemptRef,
        work: Work,
        recorder: OutputRecorder,
        timeout_s: float | None,
        ok_exit: tuple[int, ...],
        trace: Trace,
        on_found: Callable[[], None],
    ) -> tuple[Result, bool]:
        """Looks for an attempt that an earlier engine handed over, and follows it where it runs.

        Also tells whether it is certain that nothing of it runs any more. Raises Unreachable.
        """
        flight.handed.append(ref)
        over = False

        def found(elapsed_s: float | None) -> None:
            on_found()
            if self.book.asked is Asked.CANCEL:
                flight.cancelled = True
            flight.found(elapsed_s, timeout_s)

        async def following() -> Answer:
            nonlocal over
            answer = await self.executor.attach(
                flight.server, ref, work, recorder.offsets, recorder, trace, found
            )
            if isinstance(answer, InDoubt) and answer.lost and flight.stop_reason is None:
                answer = await self._ask_until_known(flight, ref, work, recorder, trace, answer, found)
            over = isinstance(answer, InDoubt) and answer.over
            return answer

        answer = await flight.follow_again(ref, following())
        return hinted(self._result(flight, answer, timeout_s, ok_exit), recorder), over

    async def _ask_until_known(
        self,
        flight: Flight,
        ref: AttemptRef,
        work: Work,
        recorder: OutputRecorder,
        trace: Trace,
        doubt: InDoubt,
        found: Found | None,
    ) -> Ended | NotStarted | InDoubt:
        """Asks the server what became of it, until it tells or `reconnect` is over."""
        clock = asyncio.get_running_loop().time
        waits = bool(trace.folder) or not isinstance(work, Command)
        ends_at = clock() + (self.inputs.batch.strategy.reconnect_s if waits else 0.0)
        pause_s, told = RECONNECT_FIRST_S, False
        while True:
            try:
                await self.executor.open(flight.server)
                answer = await self.executor.attach(
                    flight.server, ref, work, recorder.offsets, recorder, trace, found
                )
                if not isinstance(answer, InDoubt) or not answer.lost:
                    self._tell_back(flight, told)
                    # Its server is back: what certainly never ran there may be handed over again at once.
                    return replace(answer, again=True) if isinstance(answer, NotStarted) else answer
                doubt = answer
            except Unreachable as error:
                doubt = InDoubt(f"{doubt.evidence.partition('; ')[0]}; {error.why}", lost=True)
            if clock() >= ends_at or flight.stop_reason is not None:
                return doubt
            if not told:
                told = True
                self._tell(flight, f"{notes.SERVER_LOST}, the command goes on there; {doubt.evidence}")
            await asyncio.sleep(min(pause_s * self._random.uniform(0.5, 1.0), max(0.0, ends_at - clock())))
            pause_s = min(pause_s * 2, RECONNECT_MOST_S)

    def _tell_back(self, flight: Flight, told: bool) -> None:
        if told:
            self._tell(flight, "")

    def _tell(self, flight: Flight, why: str) -> None:
        """Says of a running task why it is not heard of, "" when it is again."""
        tx, why = Tx(), self.inputs.secrets.forms.redact_text(why)
        tx.task(self.book.number, flight.task, why=why)
        phase = Phase.RUN if self.book.tasks[flight.task].verify_exit is None else Phase.VERIFY
        told = {"phase": phase.value, "why": why or notes.SERVER_BACK}
        self.book.tell(tx, events.TASK_PHASE, flight.task, told)
        self.book.post(tx)

    def _result(
        self, flight: Flight, answer: Answer | None, timeout_s: float | None, ok_exit: tuple[int, ...]
    ) -> Result:
        """How the answer counts; what its words quote of the server is redacted."""
        result, redact = (
            self._judged(flight, answer, timeout_s, ok_exit),
            self.inputs.secrets.forms.redact_text,
        )
        return replace(result, why=redact(result.why), evidence=redact(result.evidence))

    def _judged(
        self, flight: Flight, answer: Answer | None, timeout_s: float | None, ok_exit: tuple[int, ...]
    ) -> Result:
        if flight.stop_reason is not None:
            return of_stop(flight, answer, timeout_s)
        match answer:
            case Ended():
                return of_end(answer, ok_exit)
            case NotStarted(why, again):
                return Result("not started", why=why, again=again)
            case InDoubt(evidence):
                return Result("in doubt", why="nobody knows whether it ran", evidence=evidence)
            case None:
                return Result("in doubt", why="its end was not told")

    def attempt_ended(self, tx: Tx, task: int, ref: AttemptRef, result: Result) -> None:
        """Records how an attempt ended."""
        tx.attempt_ended(
            self.book.number,
            task,
            ref.purpose,
            ref.attempt,
            outcome=result.outcome,
            exit_status=result.exit_status,
            signal=result.signal,
            why=result.why,
            evidence=result.evidence,
        )

    async def forget(self, flight: Flight) -> None:
        """The task's end is durable: what its attempts left on the server may go."""
        for ref in flight.handed:
            await self.executor.forget(flight.server, ref)
        flight.handed.clear()
