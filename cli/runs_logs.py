"""`windlass runs logs`: what tasks printed, cleaned for a terminal, or as the exact bytes that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.complete import complete_runs, complete_servers, complete_steps
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import json_option, workspace_option
from cli.terminal import clean, emit, note, out, out_bytes, say
from cli.words import size

if TYPE_CHECKING:
    from core.display import LineSplitter
    from core.engine.api import Engine
    from core.model.gaps import Gap, GapFinder
    from core.model.ids import TaskKey
    from core.model.states import Purpose, Stream
    from core.model.views import OutputChunk, OutputPage, OutputSummary, RunInfo, TaskInfo


@click.command()
@click.argument("words", metavar="[RUN] [TASK]", nargs=-1, shell_complete=complete_runs)
@click.option("--step", default="", shell_complete=complete_steps, help="Only this step.")
@click.option("--server", default="", shell_complete=complete_servers, help="Only this server.")
@click.option("--attempt", type=click.IntRange(1), help="Only this attempt; default all.")
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this stream.")
@click.option(
    "--purpose",
    type=click.Choice(["run", "check", "verify", "undo"]),
    help="Only what this command of the step printed.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on until the run ends or nobody carries it on.")
@click.option("--raw", is_flag=True, help="The stored bytes as they came, without names; mind your terminal.")
@json_option
@workspace_option
def logs(
    words: Sequence[str],
    step: str,
    server: str,
    attempt: int | None,
    stream: str | None,
    purpose: str | None,
    follow: bool,
    raw: bool,
    as_json: bool,
) -> Exit:
    """Print what tasks printed.

    Every line is told with its task, unless there is one task only. Control characters are made visible; --raw
    gives the exact bytes. TASK is STEP@SERVER.
    """
    from core.model.states import Purpose, Stream

    wanted = Wanted(
        step, server, attempt, Stream(stream) if stream else None, Purpose(purpose) if purpose else None
    )
    return perform(_logs(words, wanted, follow=follow, raw=raw, as_json=as_json))


class Wanted:
    """Which output is asked for."""

    def __init__(
        self, step: str, server: str, attempt: int | None, stream: Stream | None, purpose: Purpose | None
    ) -> None:
        self.step = step
        self.server = server
        self.attempt = attempt
        self.stream = stream
        self.purpose = purpose

    def has(self, task: TaskInfo) -> bool:
        """Whether a task is among those asked for."""
        return self.step in ("", task.step) and self.server in ("", task.server)


async def _logs(words: Sequence[str], wanted: Wanted, *, follow: bool, raw: bool, as_json: bool) -> Exit:
    from cli.choose import pick, split, task_key
    from cli.doubts import every_task
    from core.errors import InputError

    number, rest = split(words)
    if len(rest) > 1:
        raise InputError(f"one task at a time: {' '.join(rest)}")
    if rest:
        key = task_key(rest[0])
        wanted.step, wanted.server = key.step, key.server
    async with reader() as engine:
        run = await pick(engine, number)
        tasks = [task for task in await every_task(engine, run.number) if wanted.has(task)]
        if not tasks:
            await _refuse(engine, run, wanted)
        paper = Paper(run.number, raw=raw, as_json=as_json, named=len(tasks) > 1)
        cursors = await _print_all(engine, run, tasks, wanted, paper)
        if follow:
            await _follow(engine, run, tasks, cursors, wanted, paper)
        if not (paper.printed or raw or as_json):
            note("nothing was printed")
    return Exit.OK


async def _refuse(engine: Engine, run: RunInfo, wanted: Wanted) -> None:
    from core.errors import InputError

    steps = [step.name for step in await engine.steps(run.number)]
    if wanted.step and wanted.step not in steps:
        raise InputError(f"run {run.number} has no step '{wanted.step}'", hint=f"it has: {', '.join(steps)}")
    where = f"{wanted.step or 'any step'} on {wanted.server}"
    raise InputError(
        f"run {run.number} has no task of {where}",
        hint=f"`windlass runs show {run.number} --tasks` lists them",
    )


async def _print_all(
    engine: Engine, run: RunInfo, tasks: Sequence[TaskInfo], wanted: Wanted, paper: Paper
) -> dict[TaskKey, int]:
    cursors: dict[TaskKey, int] = {}
    for task in tasks:
        if task.attempt or task.attempts:
            cursors[task.key], page = await _print_new(engine, run.number, task.key, 0, wanted, paper)
            paper.end_task(task.key, page)
    return cursors


async def _print_new(
    engine: Engine, number: int, key: TaskKey, after: int, wanted: Wanted, paper: Paper
) -> tuple[int, OutputPage]:
    while True:
        page = await engine.output(
            number, key, purpose=wanted.purpose, attempt=wanted.attempt, stream=wanted.stream, after=after
        )
        for chunk in page.chunks:
            paper.chunk(key, chunk, page.summaries)
        after = max(after, page.cursor)
        if not (page.more and page.chunks):
            return after, page


async def _follow(
    engine: Engine,
    run: RunInfo,
    tasks: Sequence[TaskInfo],
    cursors: dict[TaskKey, int],
    wanted: Wanted,
    paper: Paper,
) -> None:
    """Prints what comes until nobody carries the run on."""
    import asyncio

    from core.model.events import TASK_OUTPUT
    from core.model.ids import TaskKey

    known = {task.key for task in tasks}

    async def pump() -> None:
        async for event in engine.follow(run.last_seq, run=run.number):
            key = TaskKey(event.step or "", event.server or "")
            if event.type == TASK_OUTPUT and key in known:
                cursors[key], _ = await _print_new(
                    engine, run.number, key, cursors.get(key, 0), wanted, paper
                )

    pumping = asyncio.ensure_future(pump())
    ending = asyncio.ensure_future(engine.wait(run.number))
    try:
        await asyncio.wait({pumping, ending}, return_when=asyncio.FIRST_COMPLETED)
        if pumping.done():
            await pumping
        await ending
    finally:
        pumping.cancel()
        ending.cancel()
        await asyncio.gather(pumping, ending, return_exceptions=True)
    for key in known:
        _, page = await _print_new(engine, run.number, key, cursors.get(key, 0), wanted, paper)
        paper.end_task(key, page)


class Paper:
    """Prints pieces of output: as JSON, as raw bytes, or as cleaned lines with the task's name before them."""

    def __init__(self, number: int, *, raw: bool, as_json: bool, named: bool) -> None:
        self._number = number
        self._raw = raw
        self._as_json = as_json
        self._named = named
        self._splitters: dict[tuple[TaskKey, str, int, str], LineSplitter] = {}
        self._gaps: dict[TaskKey, GapFinder] = {}
        self._told: set[tuple[TaskKey, str, int, str]] = set()
        self.printed = False

    def chunk(self, key: TaskKey, chunk: OutputChunk, summaries: Sequence[OutputSummary]) -> None:
        """Prints one piece, and before it what is missing there."""
        from core.display import LineSplitter
        from core.model.gaps import GapFinder

        self.printed = True
        gap = self._gaps.setdefault(key, GapFinder()).before(chunk, summaries)
        if gap is not None:
            self._gap(key, gap)
        if self._as_json:
            emit(jsonforms.output(self._number, str(key), chunk))
        elif self._raw:
            out_bytes(chunk.data)
        else:
            name = (key, chunk.purpose.value, chunk.attempt, chunk.stream.value)
            for line in self._splitters.setdefault(name, LineSplitter()).feed(chunk.data):
                self._line(key, line)

    def end_task(self, key: TaskKey, page: OutputPage) -> None:
        """Prints what a task left without a line end, and tells what was not kept."""
        for name in [name for name in self._splitters if name[0] == key]:
            for line in self._splitters.pop(name).finish():
                self._line(key, line)
        for summary in page.summaries:
            seen = (key, summary.purpose.value, summary.attempt, summary.stream.value)
            if summary.dropped_bytes and seen not in self._told:
                self._told.add(seen)
                say(
                    f"{clean(str(key))}: of {summary.total_bytes} bytes on {summary.stream.value} the middle "
                    f"{summary.dropped_bytes} were not kept (sha256 chain {summary.dropped_hash[:16]})"
                )

    def _gap(self, key: TaskKey, gap: Gap) -> None:
        if self._as_json:
            emit(jsonforms.gap(self._number, str(key), gap))
            return
        splitter = self._splitters.pop((key, gap.purpose.value, gap.attempt, gap.stream.value), None)
        for line in splitter.finish() if splitter is not None else ():
            self._line(key, line)
        for told in gap.sentences(size):
            say(f"{clean(str(key))}: {told}")

    def _line(self, key: TaskKey, line: str) -> None:
        out(f"{clean(str(key))} | {line}" if self._named else line)
