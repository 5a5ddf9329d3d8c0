"""Undoes one task until its undo is durably undone, failed, in doubt, or pending again.

An undo is an attempt like any other: its intent is durable before it is handed over, and one that an
earlier engine handed over is looked for, never run again blindly.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from core.engine import work as works
from core.engine.executor import Trace, Unreachable
from core.engine.flight import Flight, Interrupted
from core.engine.handover import HandOver
from core.engine.result import back_off, flat, work_digest
from core.model.ids import AttemptRef
from core.model.states import Purpose, UndoState
from core.store.evidence import find_attempt, output_ends
from core.store.tx import Tx
from core.template import TemplateFault


class UndoRunner:
    """Runs the undos of one run, each in its own coroutine."""

    def __init__(self, hands: HandOver, gone: Callable[[Tx, str], None] = lambda tx, why: None) -> None:
        """`gone` is called with the transaction in which an undo waits again for credentials."""
        self._gone = gone
        self._hands = hands
        self._book = hands.book
        self._inputs = hands.inputs
        self._random = random.Random()

    async def run(self, flight: Flight) -> UndoState:
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
                await self._hands.open(flight)
            except Unreachable as error:
                if error.gone and not flight.cancelled:
                    tx = Tx()
                    self._gone(tx, error.why)
                    return await self._undo_end(
                        flight, UndoState.PENDING, f"credentials gone: {error.why}", tx
                    )
                return await self._undo_end(flight, UndoState.FAILED, f"server unreachable: {error.why}")
            if flight.interrupted.is_set():
                return await self._undo_end(flight, UndoState.PENDING, "interrupted before it started")
            number = record.undo_attempt + 1
            ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.UNDO, number)
            context = self._inputs.contexts.of(key.step, key.server, number)
            try:
                work = works.command(self._inputs.batch, step, undo.run, context, ref)
            except TemplateFault as error:
                return await self._undo_end(flight, UndoState.FAILED, flat(str(error)))
            tx = Tx()
            if record.undo is not UndoState.UNDOING:
                self._book.undo(tx, task, UndoState.UNDOING)
            trace = self._hands.trace(key.server, work)
            self._book.intent(tx, task, ref, work_digest(work), trace)
            await self._book.commit(tx)
            recorder = self._hands.recorder(task, ref)
            result = await self._hands.run(flight, ref, work, recorder, undo.timeout_s, trace=trace)
            tx = Tx()
            recorder.finish(tx)
            self._hands.attempt_ended(tx, task, ref, result)
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
        if state is not UndoState.IN_DOUBT:
            await self._hands.forget(flight)
        return state

    async def find(self, flight: Flight) -> UndoState:
        """Looks for the undo of a task whose undo is in doubt, and follows it where it runs."""
        task, record = flight.task, self._book.tasks[flight.task]
        key = self._book.graph.key(task)
        step = self._inputs.batch.steps[key.step]
        if step.undo is None:
            return await self._undo_end(flight, UndoState.IN_DOUBT, "the step has no undo")
        ref = AttemptRef(self._book.run_id, key.step, key.server, Purpose.UNDO, record.undo_attempt)
        where = (self._book.reader, self._book.number, task, Purpose.UNDO, record.undo_attempt)
        intent = await find_attempt(*where)
        if intent is None:
            return await self._undo_end(flight, UndoState.IN_DOUBT, "its intent is not stored")
        context = self._inputs.contexts.of(key.step, key.server, record.undo_attempt)
        recorder = self._hands.recorder(task, ref)
        recorder.go_on(await output_ends(*where), b"")

        def found() -> None:
            tx = Tx()
            tx.attempt_goes_on(self._book.number, task, ref.purpose, ref.attempt)
            self._book.undo(tx, task, UndoState.UNDOING, why=f"found running on {key.server}")
            self._book.post(tx)

        try:
            work = works.command(self._inputs.batch, step, step.undo.run, context, ref)
            await self._hands.open(flight)
            trace = Trace(intent.boot_id, intent.folder)
            result, _ = await self._hands.find(
                flight, ref, work, recorder, step.undo.timeout_s, (0,), trace, found
            )
        except Unreachable as error:
            return await self._undo_end(flight, UndoState.IN_DOUBT, f"not probed: {error.why}")
        except TemplateFault as error:
            return await self._undo_end(flight, UndoState.IN_DOUBT, flat(f"not probed: {error}"))
        tx = Tx()
        recorder.finish(tx)
        if result.in_doubt:
            return await self._undo_end(flight, UndoState.IN_DOUBT, result.evidence or result.why, tx)
        self._hands.attempt_ended(tx, task, ref, result)
        if result.outcome == "not started":
            return await self._undo_end(flight, UndoState.PENDING, result.why, tx)
        if result.ok:
            return await self._undo_end(flight, UndoState.UNDONE, "", tx)
        retries = step.undo.retries or step.retries
        if record.undo_attempt < retries.attempts and not flight.interrupted.is_set():
            return await self._undo_end(flight, UndoState.PENDING, result.why, tx)
        return await self._undo_end(flight, UndoState.FAILED, result.why, tx)
