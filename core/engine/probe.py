"""Looks for evidence about tasks in doubt, without changing anything on a server.

An upload is settled by the digest of its target. For a command whose end is not known its `check`,
where it has one, is run and its answer stored as evidence: it decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.engine import work as works
from core.engine.executor import Ended, Executor, NotStarted, Unreachable
from core.engine.run import Run
from core.engine.runner import exit_words
from core.errors import InputError
from core.model import events
from core.model.ids import AttemptRef
from core.model.states import Purpose, Stream, TaskState
from core.store.tx import Tx
from core.template import TemplateFault

PROBES_AT_ONCE = 20
CHECK_TIMEOUT_S = 60.0


async def probe(run: Run, make_executor: Callable[[], Executor]) -> None:
    """Probes every task in doubt; what evidence settles is settled durably."""
    executor = make_executor()
    gate = asyncio.Semaphore(PROBES_AT_ONCE)

    async def one(task: int) -> None:
        async with gate:
            await _probe_task(run, executor, task)

    try:
        await asyncio.gather(
            *(one(task) for task in run.in_doubt() if run.book.tasks[task].state is TaskState.IN_DOUBT)
        )
    finally:
        await executor.close()


async def _probe_task(run: Run, executor: Executor, task: int) -> None:
    book, inputs = run.book, run.inputs
    key = book.graph.key(task)
    step = inputs.batch.steps[key.step]
    server = inputs.servers[key.server]
    attempt = book.tasks[task].attempt
    ref = AttemptRef(book.run_id, key.step, key.server, Purpose.RUN, attempt)
    context = inputs.contexts.of(key.step, key.server, attempt)
    tx = Tx()
    try:
        work = works.main_work(inputs.batch, step, context, ref, inputs.files, inputs.blobs)
        await executor.open(server)
        answer = await executor.attach(server, ref, work, {}, _ignore)
    except Unreachable as error:
        _tell(run, tx, task, f"not probed: {error.why}")
    except (TemplateFault, InputError) as error:
        _tell(run, tx, task, f"not probed: {error}")
    else:
        if book.tasks[task].state is not TaskState.IN_DOUBT:
            return  # a person has decided it meanwhile
        match answer:
            case Ended(0, _, _, evidence):
                book.move(
                    tx, task, TaskState.DONE, why="found done", data={"evidence": evidence}, evidence=evidence
                )
            case NotStarted(why):
                book.move(tx, task, TaskState.WAITING, why=f"found not done: {why}")
            case _:
                evidence = answer.why if isinstance(answer, Ended) else answer.evidence
                if step.check is not None:
                    evidence += "; " + await _check(run, executor, task, attempt)
                _tell(run, tx, task, evidence)
    await book.commit(tx)


async def _check(run: Run, executor: Executor, task: int, attempt: int) -> str:
    """What the step's `check` says now, in words."""
    key = run.book.graph.key(task)
    step = run.inputs.batch.steps[key.step]
    if step.check is None:
        return "it has no check"
    ref = AttemptRef(run.book.run_id, key.step, key.server, Purpose.CHECK, attempt)
    context = run.inputs.contexts.of(key.step, key.server, attempt)
    try:
        work = works.command(run.inputs.batch, step, step.check.run, context, ref)
        async with asyncio.timeout(step.check.timeout_s or CHECK_TIMEOUT_S):
            answer = await executor.start(run.inputs.servers[key.server], ref, work, _ignore)
    except TimeoutError:
        return "check timed out"
    except (TemplateFault, InputError) as error:
        return f"check could not be run: {error}"
    if isinstance(answer, Ended):
        says = "in place" if answer.exit_status == 0 else "something to do"
        return f"check says {says} ({exit_words(answer.exit_status, answer.signal)}), but the command may still run"
    return "check gave no answer"


def _tell(run: Run, tx: Tx, task: int, evidence: str) -> None:
    if run.book.tasks[task].state is not TaskState.IN_DOUBT:
        return  # a person has decided it meanwhile
    tx.task(run.book.number, task, evidence=evidence)
    run.book.tell(tx, events.TASK_STATE, task, {"from": "in_doubt", "to": "in_doubt", "evidence": evidence})


def _ignore(stream: Stream, start: int, data: bytes) -> None:
    """Output of a probe is not kept."""
