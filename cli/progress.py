"""A run's events as people and programs read them: lines on stderr, or JSON objects on stdout.

A printer is fed every event in order and may read the engine for the output of tasks. It never changes anything.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from cli import jsonforms
from cli.terminal import clean, emit, out, paint, say, signed
from cli.words import clock, duration, size
from core.display import LineSplitter
from core.model import events
from core.model.actors import place
from core.model.gaps import Gap, GapFinder
from core.model.ids import ENGINE_SERVER, TaskKey
from core.model.states import Phase, RunState, Stream, TaskState, UndoState
from themes.signs import RUN_SIGNS, TASK_SIGNS, UNDO_SIGNS, Sign

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.model.events import Event
    from core.model.views import OutputChunk, RunInfo

RETRYING = Sign("↻", "@", "retrying", "warning")
SIGN_WIDTH = 14
NAME_WIDTH = 24


class Printer(Protocol):
    """What a followed run is told to."""

    async def event(self, event: Event) -> None:
        """Takes the next event."""
        ...

    def result(self, run: RunInfo, status: int) -> None:
        """Takes the end of what was followed."""
        ...


class OutputReader:
    """Reads the output of tasks as events tell of it, each piece once."""

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        self._number = number
        self._cursors: dict[TaskKey, int] = {}
        self._gaps: dict[TaskKey, GapFinder] = {}

    async def new(self, event: Event) -> AsyncIterator[tuple[Gap | None, OutputChunk]]:
        """What was stored since the last time, of the task that the event is about; before each piece what
        is missing there. A page at a time: a task that prints without end fills no list.
        """
        if event.step is None or event.server is None:
            return
        key = TaskKey(event.step, event.server)
        finder = self._gaps.setdefault(key, GapFinder())
        while True:
            page = await self._engine.output(self._number, key, after=self._cursors.get(key, 0))
            for chunk in page.chunks:
                yield finder.before(chunk, page.summaries), chunk
            self._cursors[key] = max(page.cursor, self._cursors.get(key, 0))
            if not page.more or not page.chunks:
                return


class JsonLines:
    """Each event as one object on stdout, with the pieces of output where they are wanted."""

    def __init__(self, output: OutputReader | None = None) -> None:
        self._output = output

    async def event(self, event: Event) -> None:
        """See Printer."""
        emit(jsonforms.event(event))
        if self._output is not None and event.type == events.TASK_OUTPUT:
            key = f"{event.step}@{event.server}"
            async for gap, chunk in self._output.new(event):
                if gap is not None:
                    emit(jsonforms.gap(event.run or 0, key, gap))
                emit(jsonforms.output(event.run or 0, key, chunk))

    def result(self, run: RunInfo, status: int) -> None:
        """See Printer."""
        emit(jsonforms.result(run, status))


class ProgressLines:
    """One line for each transition on stderr: time, sign and word, step, server, how long it took, why."""

    def __init__(self, output: OutputReader | None = None, step_width: int = 0) -> None:
        self._output = output
        self._started: dict[TaskKey, float] = {}
        self._lines: dict[tuple[TaskKey, str, int, Stream], LineSplitter] = {}
        self._step_width = min(step_width, NAME_WIDTH)
        self._server_width = 0

    async def event(self, event: Event) -> None:
        """See Printer."""
        key = TaskKey(event.step, event.server) if event.step and event.server else None
        data = event.data
        match event.type:
            case events.TASK_STATE if key is not None:
                self._flush(key)
                self._task(event, key)
            case events.TASK_PHASE if key is not None and data.get("phase") == Phase.BACKOFF:
                why = f"{data.get('why', '')}; next try in {duration(data.get('delay_s'))}"
                self._line(event, RETRYING, key, "", f"attempt {event.attempt}: {why}")
            case events.TASK_PHASE if key is not None and _is_told(data):
                self._line(event, TASK_SIGNS[TaskState.RUNNING], key, "", str(data["why"]))
            case events.TASK_UNDO if key is not None:
                self._undo(event, key)
            case events.TASK_OUTPUT if self._output is not None and key is not None:
                async for gap, chunk in self._output.new(event):
                    if gap is not None:
                        self._gap(key, gap)
                    self._print(key, chunk)
            case events.RUN_STATE:
                self._run(event)
            case events.RUN_SECRETS:
                names = ", ".join(map(str, data.get("changed", ())))
                self._write(event, f"{'note':<{SIGN_WIDTH}} changed since the run was made: secret {names}")
            case events.SERVER_NOTE:
                self._write(event, f"{'note':<{SIGN_WIDTH}} {event.server}: {data.get('message', '')}")
            case _:
                pass

    def result(self, run: RunInfo, status: int) -> None:
        """The summary is told by who followed the run."""
        for key, *_ in list(self._lines):
            self._flush(key)

    # ------------------------------------------------------------ lines

    def _task(self, event: Event, key: TaskKey) -> None:
        state = _state(TaskState, event.data.get("to"))
        if state is None:
            return
        if state is TaskState.RUNNING:
            self._started[key] = event.time
        took_s = None
        if state.ended or state is TaskState.IN_DOUBT:
            started = self._started.pop(key, None)
            took_s = event.time - started if started is not None else None
        why = str(event.data.get("why", ""))
        found = state is TaskState.DONE and (why or event.server == ENGINE_SERVER)
        if (found or state is TaskState.IN_DOUBT) and event.data.get("evidence"):
            why = "; ".join(text for text in (why, str(event.data["evidence"])) if text)
        if state is TaskState.FAILED and event.attempt and event.attempt > 1:
            why = f"attempt {event.attempt}: {why}"
        by = place(event.actor)
        if by != "engine" and by not in why:
            why = f"{why} ({by})" if why else by
        self._line(event, TASK_SIGNS[state], key, duration(took_s), why)

    def _undo(self, event: Event, key: TaskKey) -> None:
        state = _state(UndoState, event.data.get("to"))
        if state not in (None, UndoState.NONE, UndoState.PENDING):
            self._line(event, UNDO_SIGNS[state], key, "", str(event.data.get("why", "")))

    def _run(self, event: Event) -> None:
        state = _state(RunState, event.data.get("to"))
        if state is None:
            return
        why = str(event.data.get("why", ""))
        text = f"{_padded(RUN_SIGNS[state])} run {event.run}" + (f": {clean(why)}" if why else "")
        say(f"{clock(event.time)} {text}")

    def _line(self, event: Event, sign: Sign, key: TaskKey, took: str, why: str) -> None:
        step, server = clean(key.step, NAME_WIDTH * 2), clean(key.server, NAME_WIDTH * 3)
        self._step_width = max(self._step_width, min(len(step), NAME_WIDTH))
        self._server_width = max(self._server_width, min(len(server), NAME_WIDTH))
        names = f"{step:<{self._step_width}}  {server:<{self._server_width}}"
        text = f"{clock(event.time)} {_padded(sign)} {names}  {took:>6}  {clean(why)}"
        say(text.rstrip())

    def _write(self, event: Event, text: str) -> None:
        say(f"{clock(event.time)} {clean(text)}")

    # ------------------------------------------------------------ output

    def _print(self, key: TaskKey, chunk: OutputChunk) -> None:
        name = (key, chunk.purpose.value, chunk.attempt, chunk.stream)
        splitter = self._lines.setdefault(name, LineSplitter())
        for line in splitter.feed(chunk.data):
            self._output_line(key, chunk.stream, line)

    def _gap(self, key: TaskKey, gap: Gap) -> None:
        splitter = self._lines.pop((key, gap.purpose.value, gap.attempt, gap.stream), None)
        for line in splitter.finish() if splitter is not None else ():
            self._output_line(key, gap.stream, line)
        for told in gap.sentences(size):
            say(f"{clean(str(key))}: {told}")

    def _flush(self, key: TaskKey) -> None:
        for name in [name for name in self._lines if name[0] == key]:
            for line in self._lines.pop(name).finish():
                self._output_line(key, name[3], line)

    def _output_line(self, key: TaskKey, stream: Stream, line: str) -> None:
        bar = paint("!" if stream is Stream.STDERR else "|", "muted", sys.stderr)
        say(f"{clean(str(key))} {bar} {line}")


class ExecLines(ProgressLines):
    """What tasks print, on stdout, each line with its server; on stderr only what did not go well."""

    QUIET = (TaskState.WAITING, TaskState.RUNNING, TaskState.DONE)

    def _task(self, event: Event, key: TaskKey) -> None:
        if _state(TaskState, event.data.get("to")) not in self.QUIET:
            super()._task(event, key)

    def _run(self, event: Event) -> None:
        """The end is told by who followed the run."""

    def _output_line(self, key: TaskKey, stream: Stream, line: str) -> None:
        out(f"{clean(key.server)} {'!' if stream is Stream.STDERR else '|'} {line}")


def _padded(sign: Sign) -> str:
    """A sign and its word, padded by what is seen of them."""
    plain = len(sign.text())
    return signed(sign, sys.stderr) + " " * max(0, SIGN_WIDTH - plain)


def _state(kind: Any, value: object) -> Any:
    """A state of `kind`; None for one that this version does not know."""
    try:
        return kind(value)
    except ValueError:
        return None


def _is_told(data: Mapping[str, Any]) -> bool:
    """Whether a phase says more than its name: the server is lost, or back."""
    return data.get("phase") in (Phase.RUN, Phase.VERIFY) and bool(data.get("why"))
