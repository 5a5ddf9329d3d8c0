"""Follows a run to where it ends or needs somebody, and says so: progress, interrupts, summary, exit status.

Used by every command that starts a run or carries one on in this process, and by `runs watch`, which only reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cli import doubts
from cli.exits import Exit, status_of
from cli.interrupts import Interrupts
from cli.options import command
from cli.progress import ExecLines, JsonLines, OutputReader, Printer, ProgressLines
from cli.summary import tell_end, tell_next
from cli.terminal import say
from cli.words import plural
from core.errors import NotPossible
from core.model.ids import TaskKey
from core.model.states import Asked, InDoubtPolicy, RunState

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.views import RunInfo


@dataclass(slots=True)
class Following:
    """How a run is followed. With `exec_lines` what tasks print is the data: it goes to stdout; with `plain` it is
    sentences, for whoever has them read aloud.
    """

    as_json: bool = False
    output: bool = False
    policy: InDoubtPolicy = InDoubtPolicy.FAIL
    exec_lines: bool = False
    plain: bool = False
    decided: set[TaskKey] = field(default_factory=set)

    async def printer(self, engine: Engine, number: int) -> Printer:
        """The printer that was asked for."""
        pieces = OutputReader(engine, number) if self.output or self.exec_lines else None
        if self.as_json:
            return JsonLines(pieces)
        if self.plain:
            from cli.sentences import Sentences

            return Sentences({step.name: step.tasks for step in await engine.steps(number)}, pieces)
        width = max((len(step.name) for step in await engine.steps(number)), default=0)
        return ExecLines(pieces) if self.exec_lines else ProgressLines(pieces, width)


class _Pump:
    """Prints a run's events as they come, and to the last one when asked to finish."""

    def __init__(self, engine: Engine, number: int, after: int, printer: Printer) -> None:
        self._engine = engine
        self._number = number
        self._seen = after
        self._printer = printer
        self._task = asyncio.ensure_future(self._follow())

    async def _follow(self) -> None:
        async for event in self._engine.follow(self._seen, run=self._number):
            await self._printer.event(event)
            self._seen = event.seq

    async def stop(self) -> None:
        """Stops following."""
        self._task.cancel()
        done = await asyncio.gather(self._task, return_exceptions=True)
        for error in done:
            if isinstance(error, Exception):
                raise error

    async def finish(self) -> None:
        """Stops following and prints what the log holds beyond."""
        await self.stop()
        while page := await self._engine.events(self._seen, run=self._number):
            for event in page:
                await self._printer.event(event)
                self._seen = event.seq


async def act_and_follow(engine: Engine, act: Callable[[], Awaitable[RunInfo]], how: Following) -> Exit:
    """Does something that makes a run go on in this engine, follows it, and returns the exit status."""
    with Interrupts() as interrupts:
        after = (await engine.workspace()).last_seq
        info = await act()
        interrupts.heeded = True
        return await _follow(engine, info.number, after, how, interrupts)


async def _follow(engine: Engine, number: int, after: int, how: Following, interrupts: Interrupts) -> Exit:
    printer = await how.printer(engine, number)
    pump = _Pump(engine, number, after, printer)
    try:
        drained = await _until_still(engine, number, how, interrupts)
    except BaseException:
        await pump.stop()
        raise
    if drained is None:
        await pump.stop()
        if engine.elsewhere:
            say(f"stopped following: run {number} goes on in the background engine")
            say(f"follow it again: {command('runs', 'watch', str(number))}")
            say(f"pause it:        {command('runs', 'pause', str(number))}")
            say(f"cancel it:       {command('runs', 'cancel', str(number))}")
            return Exit.INTERRUPTED
        say(
            "stopped at once: commands in flight go on on their servers. "
            f"Find them and carry on with: {_resume(number)}"
        )
        return Exit.INTERRUPTED
    await pump.finish()
    info = await engine.run(number)
    interrupted = drained and info.state.open
    status = Exit.INTERRUPTED if interrupted else status_of(info)
    printer.result(info, status)
    if interrupted:
        left = sum(count for state, count in info.counts.items() if not state.ended)
        say(f"run {number} stopped with {plural(left, 'task')} to go. Carry on with: {_resume(number)}")
    else:
        await tell_end(engine, info, as_json=how.as_json, brief=how.exec_lines)
    return status


async def _until_still(engine: Engine, number: int, how: Following, interrupts: Interrupts) -> bool | None:
    """Waits until nothing of the run executes: True where it was drained, None where it was cut off."""
    while True:
        waiting = asyncio.ensure_future(_carry_on(engine, number, how))
        asked = asyncio.ensure_future(interrupts.first.wait())
        await asyncio.wait({waiting, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not interrupts.first.is_set():
            await waiting
            return False
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return None if engine.elsewhere else await _drain(engine, interrupts)


async def _drain(engine: Engine, interrupts: Interrupts) -> bool | None:
    say(
        f"{interrupts.name}: no further task starts; what is in flight is let end. "
        "Once more stops at once and leaves it to its servers."
    )
    draining = asyncio.ensure_future(engine.drain())
    insisted = asyncio.ensure_future(interrupts.second.wait())
    await asyncio.wait({draining, insisted}, return_when=asyncio.FIRST_COMPLETED)
    insisted.cancel()
    if draining.done():
        await draining
        return True
    draining.cancel()
    await asyncio.gather(draining, return_exceptions=True)
    return None


async def _carry_on(engine: Engine, number: int, how: Following) -> None:
    """Waits for the run, and decides by the policy whenever it waits for a person."""
    while True:
        info = await engine.wait(number)
        if info.state is not RunState.WAITING:
            return
        if not await doubts.decide_by_policy(engine, info, how.policy, how.decided):
            return
        info = await engine.run(number)
        if info.state is RunState.PAUSED and info.asked is not Asked.PAUSE:
            try:
                await engine.resume(number, actor=_actor())
            except NotPossible:
                # An engine that was carrying it on goes on by itself, and may be through with it by now.
                if (await engine.run(number)).state is RunState.PAUSED:
                    raise


async def watch(engine: Engine, number: int, after: int, how: Following) -> Exit:
    """Follows a run that another process may execute, until it ended or nobody carries it on."""
    printer = await how.printer(engine, number)
    pump = _Pump(engine, number, after, printer)
    try:
        info = await engine.wait(number)
    except BaseException:
        await pump.stop()
        raise
    await pump.finish()
    info = await engine.run(number)
    status = status_of(info)
    printer.result(info, status)
    if info.interrupted:
        say(f"run {number} is interrupted: no engine executes it. Carry on with: {_resume(number)}")
    elif how.plain:
        await tell_next(engine, info)
    else:
        await tell_end(engine, info, as_json=how.as_json, brief=how.exec_lines)
    return status


def _resume(number: int) -> str:
    return command("runs", "resume", str(number))


def _actor() -> str:
    from cli.actor import actor

    return actor()
