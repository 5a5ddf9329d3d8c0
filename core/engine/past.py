"""A run as it stood: what a face reads of a run (`RunReader`), told from its events up to one of them.

Reading a past costs one pass over the run's events. Kept of each are 17 bytes (number, time, how much it matters); and
at most `CHECKPOINTS` states of the fold to go on from, `PAGES_KEPT` pages of events, and the newest `OUTPUT_BYTES` of
the output of `OUTPUTS_KEPT` tasks. So memory grows by 17 bytes an event, and with the tasks of the run.

Output is cut where its events say that it had come to. What no event and no row tells is not guessed.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.engine.api import Engine
from core.engine.recorder import last_line
from core.errors import NotFound
from core.model.events import TASK_OUTPUT, Event
from core.model.ids import TaskKey
from core.model.replay import Budgets, Fold, Mark, Moment, Source, State, moment_of
from core.model.states import Purpose, Stream, TaskState, UndoState
from core.model.views import (
    AttemptInfo,
    Explanation,
    OutputChunk,
    OutputPage,
    OutputSummary,
    RunInfo,
    StepInfo,
    TaskInfo,
)

PAGE = 500
"""Events in one page, and at least between two checkpoints."""
PAGES_KEPT = 8
CHECKPOINTS = 128
"""Beyond so many every other one is let go, and they are made half as often."""
CHECKPOINT_TASKS = 4_000_000
"""All checkpoints together refer to at most so many tasks (8 bytes each): of very large runs fewer are kept."""
TASKS_PAGE = 1000
OUTPUT_BYTES = 4 * 1024 * 1024
OUTPUTS_KEPT = 8
LINES_READ = 24
"""Of so many tasks on one page that had printed something, and more since, the last line is looked up."""
ACTS_LOOKED_AT = 2000

NOT_KEPT = "the past is shown: why a task stands where it stands is told of the present only"


class Past:
    """One run, as it stood after the event at `position` (1 is the first). Made by `Past.read`.

    It stands still while others read: `go` and `catch_up` must not run beside another method.
    """

    def __init__(
        self, engine: Engine, run: RunInfo, steps: Sequence[StepInfo], tasks: Sequence[TaskInfo]
    ) -> None:
        """The views as they are now; `read` makes sure that they are of one moment."""
        self.number = run.number
        self._engine = engine
        self._seen_at = run.last_seq
        self._seen_lines: dict[TaskKey, str] | None = {task.key: task.last_line for task in tasks}
        self._lines: dict[TaskKey, tuple[Mapping[Source, Mark], str]] = {}
        self._budgets = Budgets(tasks, run.last_seq)
        self._head = Fold(run, steps, tasks, self._budgets)
        self._fold = Fold(run, steps, tasks, self._budgets)
        self._tasks = len(tasks)
        self._seqs = array("q")
        self._times = array("d")
        self._moments = bytearray()
        self._spacing = PAGE
        self._checkpoints: dict[int, State] = {0: self._head.state()}
        self._pages: OrderedDict[int, Sequence[Event]] = OrderedDict()
        self._outputs: OrderedDict[TaskKey, _Output] = OrderedDict()
        self.position = 0
        self.event: Event | None = None

    @classmethod
    async def read(
        cls, engine: Engine, run: int, *, told: Callable[[int], None] = lambda count: None
    ) -> Past:
        """Reads a run and its events, and stands at the newest; `told` hears how many were read so far.

        Raises what the engine raises: NotFound where there is no such run.
        """
        info = await engine.run(run)
        steps = await engine.steps(run)
        tasks: list[TaskInfo] = []
        while page := await engine.tasks(run, after=tasks[-1].index if tasks else -1, limit=TASKS_PAGE):
            tasks += page
            if len(page) < TASKS_PAGE:
                break
        past = cls(engine, info, steps, tasks)
        await past.catch_up(told)
        await past.go(past.count)
        return past

    # ------------------------------------------------------------ where it stands

    @property
    def count(self) -> int:
        """How many events are known."""
        return len(self._seqs)

    @property
    def now(self) -> float:
        """The wall time of the event at which it stands; 0.0 where there is none."""
        return self.event.time if self.event is not None else 0.0

    def time_of(self, position: int) -> float:
        """The wall time of the event at a position, never before that of an earlier one."""
        return self._times[position - 1]

    def at_time(self, when: float) -> int:
        """The position of the last event that was no later than a wall time; at least 1."""
        return max(1, bisect_right(self._times, when))

    def later(self, least: Moment, position: int | None = None) -> int | None:
        """The next position behind another (or where it stands) with an event that matters so much."""
        start = self.position if position is None else position
        found = [self._moments.find(moment, start) for moment in Moment if moment >= least]
        return min((at + 1 for at in found if at >= 0), default=None)

    def earlier(self, least: Moment, position: int | None = None) -> int | None:
        """The position before another (or where it stands) with an event that matters so much."""
        end = max(0, (self.position if position is None else position) - 1)
        found = [self._moments.rfind(moment, 0, end) for moment in Moment if moment >= least]
        return max((at + 1 for at in found if at >= 0), default=None)

    async def go(self, position: int) -> None:
        """Stands after the event at a position, cut to those there are. Raises what the engine raises."""
        position = min(max(1, position), self.count)
        if position < 1:
            return
        near = max(at for at in self._checkpoints if at <= position)
        if not near <= self.position <= position:
            self._fold.go_to(self._checkpoints[near])
            self.position = near
        while self.position < position:
            at = self.position // PAGE
            page = await self._page(at)
            for event in page[self.position - at * PAGE : position - at * PAGE]:
                self._fold.apply(event)
                self.position += 1
            await asyncio.sleep(0)
        at = (position - 1) // PAGE
        self.event = (await self._page(at))[position - 1 - at * PAGE]

    async def _page(self, at: int) -> Sequence[Event]:
        found = self._pages.get(at)
        whole = min(PAGE, self.count - at * PAGE)
        if found is None or len(found) < whole:
            after = self._seqs[at * PAGE - 1] if at else 0
            found = await self._engine.events(after, run=self.number, limit=whole)
            if len(found) < whole:
                raise NotFound(f"events of run {self.number} are gone from the log")
            self._pages[at] = found
            while len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        self._pages.move_to_end(at)
        return found

    async def catch_up(self, told: Callable[[int], None] = lambda count: None) -> bool:
        """Reads what has happened since; whether anything has. It stands where it stood."""
        before, fresh = self.count, self._seen_lines is not None
        while True:
            after = self._seqs[-1] if self._seqs else 0
            page = await self._engine.events(after, run=self.number, limit=PAGE)
            for event in page:
                if event.seq > self._seen_at:
                    self._keep_lines()
                    if (
                        fresh and event.type == TASK_OUTPUT
                    ):  # the line that was read may be of before or after
                        self._lines.pop(TaskKey(event.step or "", event.server or ""), None)
                self._budgets.note(event)
                self._head.apply(event)
                self._seqs.append(event.seq)
                self._times.append(max(event.time, self._times[-1] if self._times else event.time))
                self._moments.append(moment_of(event))
                if self.count % self._spacing == 0:
                    self._keep_checkpoint()
            if len(page) < PAGE:
                break
            told(self.count)
            await asyncio.sleep(0)
        self._keep_lines()
        return self.count > before

    def _keep_lines(self) -> None:
        """The last lines that were read with the views, once it is known how far output had come then."""
        if self._seen_lines is not None:
            self._lines = {
                key: (self._head.printed(key), line) for key, line in self._seen_lines.items() if line
            }
            self._seen_lines = None

    def _keep_checkpoint(self) -> None:
        self._checkpoints[self.count] = self._head.state()
        if len(self._checkpoints) > max(4, min(CHECKPOINTS, CHECKPOINT_TASKS // max(1, self._tasks))):
            self._spacing *= 2
            self._checkpoints = {
                at: state for at, state in self._checkpoints.items() if at % self._spacing == 0
            }

    # ------------------------------------------------------------ what a face reads

    async def run(self, run: int) -> RunInfo:
        """See Engine.run."""
        return self._fold.run()

    async def steps(self, run: int) -> Sequence[StepInfo]:
        """See Engine.steps."""
        return self._fold.steps()

    async def tasks(
        self,
        run: int,
        *,
        step: str = "",
        states: Sequence[TaskState] = (),
        after: int = -1,
        limit: int = 1000,
    ) -> Sequence[TaskInfo]:
        """See Engine.tasks. Where many had printed something and more since, their `last_line` is ""."""
        if states:
            found = [
                task
                for task in self._fold.tasks(step=step, after=after, limit=self._tasks)
                if task.state in states
            ][:limit]
        else:
            found = self._fold.tasks(step=step, after=after, limit=limit)
        out, left = [], LINES_READ
        for task in found:
            line = self._line_known(task.key)
            if line is None and left:
                left -= 1
                line = await self._line_read(task.key)
            out.append(replace(task, last_line=line) if line else task)
        return out

    async def task(self, run: int, task: TaskKey) -> TaskInfo:
        """See Engine.task."""
        found = self._fold.task(task)
        if found is None:
            raise NotFound(f"run {self.number} has no task {task}")
        line = self._line_known(task)
        return replace(found, last_line=await self._line_read(task) if line is None else line)

    def _line_known(self, key: TaskKey) -> str | None:
        """The last line where no output must be read for it."""
        printed = self._fold.printed(key)
        if not printed:
            return ""
        then, line = self._lines.get(key, ({}, ""))
        return line if printed == then else None

    async def _line_read(self, key: TaskKey) -> str:
        told = ""
        for chunk in reversed((await self._output(key)).chunks):
            line = last_line(chunk.data)
            if line:
                told = line.decode("utf-8", "replace")
                break
        self._lines[key] = self._fold.printed(key), told
        return told

    async def attempts(self, run: int, task: TaskKey) -> Sequence[AttemptInfo]:
        """See Engine.attempts. What ended since is told as in flight."""
        info = self._fold.task(task)
        if info is None:
            raise NotFound(f"run {self.number} has no task {task}")
        out = []
        for attempt in await self._engine.attempts(run, task):
            undo = attempt.purpose is Purpose.UNDO
            newest = self._fold.undo_attempt(task) if undo else info.attempt
            if attempt.number > newest:
                continue
            flying = info.undo is UndoState.UNDOING if undo else self._fold.attempt_in_flight(task)
            doubtful = (info.undo is UndoState.IN_DOUBT) if undo else info.state is TaskState.IN_DOUBT
            if attempt.number == newest and (flying or doubtful):
                attempt = replace(
                    attempt,
                    ended=None if flying else attempt.ended,
                    outcome="" if flying else "in doubt",
                    exit_status=None,
                    signal="",
                    why="",
                    evidence="" if flying else info.evidence,
                )
            out.append(attempt)
        return out

    async def output(
        self,
        run: int,
        task: TaskKey,
        *,
        purpose: Purpose | None = None,
        attempt: int | None = None,
        stream: Stream | None = None,
        tail_bytes: int | None = None,
        after: int = 0,
    ) -> OutputPage:
        """See Engine.output: all that is left of the page in one answer. A cursor is good while time goes forward."""
        held = await self._output(task)
        first = max(0, after - held.let_go)
        chunks = [
            chunk
            for chunk in held.chunks[first:]
            if (purpose is None or chunk.purpose is purpose)
            and (attempt is None or chunk.attempt == attempt)
            and (stream is None or chunk.stream is stream)
        ]
        if tail_bytes is not None:
            size, start = 0, len(chunks)
            while start and (size == 0 or size + len(chunks[start - 1].data) <= tail_bytes):
                start -= 1
                size += len(chunks[start].data)
            chunks = chunks[start:]
        return OutputPage(tuple(chunks), held.summaries, more=False, cursor=held.let_go + len(held.chunks))

    async def _output(self, key: TaskKey) -> _Output:
        """The output of a task as far as it had come."""
        printed = self._fold.printed(key)
        if not printed:
            return _Output(printed, (), (), 0)
        held = self._outputs.get(key)
        if held is None or held.printed != printed:
            held = await self._cut(key, printed)
            self._outputs[key] = held
            while len(self._outputs) > OUTPUTS_KEPT:
                self._outputs.popitem(last=False)
        self._outputs.move_to_end(key)
        return held

    async def _cut(self, key: TaskKey, printed: Mapping[Source, Mark]) -> _Output:
        chunks: list[OutputChunk] = []
        size, let_go, after, over = 0, 0, 0, False
        summaries: Sequence[OutputSummary] = ()
        laps: dict[Source, Mark] = {}
        while not over:
            page = await self._engine.output(self.number, key, after=after)
            summaries = page.summaries
            for chunk in page.chunks:
                source = (chunk.purpose.value, chunk.attempt, chunk.stream.value)
                lap, before = laps.get(source, (0, 0))
                laps[source] = mark = (lap + 1 if chunk.start < before else lap, chunk.end)
                if mark > printed.get(source, (-1, 0)):
                    over = True  # rows and events are in one order: nothing behind it was there
                    break
                chunks.append(chunk)
                size += len(chunk.data)
            while size > OUTPUT_BYTES and len(chunks) > 1:
                size -= len(chunks.pop(0).data)
                let_go += 1
            after = page.cursor
            if not page.more or not page.chunks:
                break
        return _Output(printed, tuple(chunks), tuple(summaries), let_go)

    async def acts(self, run: int, *, limit: int = 200) -> Sequence[Event]:
        """See Engine.acts."""
        seq = self._fold.seq
        found = await self._engine.acts(run, limit=ACTS_LOOKED_AT)
        return [event for event in found if event.seq <= seq][:limit]

    async def explain(self, run: int, task: TaskKey) -> Explanation:
        """Only what is certain: the state and the reason that were stored. What the engine would have said is not."""
        info = self._fold.task(task)
        if info is None:
            raise NotFound(f"run {self.number} has no task {task}")
        was = f"{task.step} on {task.server} was {info.state.word}"
        if info.undo is not UndoState.NONE:
            was += f", {info.undo.word}"
            why = info.undo_why
        else:
            why = info.why
        return Explanation((f"{was}: {why}" if why else was, NOT_KEPT), seq=self._fold.seq)


@dataclass(frozen=True, slots=True)
class _Output:
    """The newest output of one task up to its marks; `let_go` chunks before them are not held."""

    printed: Mapping[Source, Mark]
    chunks: Sequence[OutputChunk]
    summaries: tuple[OutputSummary, ...]
    let_go: int
