"""The past of a run on the run screen: the same panes, as the run stood after any of its events.

The screen lies over the present one and reads from `core.engine.past`. It changes nothing; what would is dimmed.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from textual.binding import Binding

from core.engine.past import Past
from core.engine.run_reader import RunReader
from core.model.replay import Moment
from core.model.views import RunInfo
from tui import actions, replay_text
from tui.bridge import EVERYTHING, Changes, EngineChanged
from tui.look import Look, look
from tui.paint import Span, Spans
from tui.screens.run import RunScreen
from tui.tail import Tail
from tui.widgets.line import SpanLine

FRAME_S = 0.1
"""How often a picture follows another while it plays."""
MOVES = frozenset({"play", "step", "edge", "end", "failure"})


class ReplayScreen(RunScreen):
    """The past of the run that another screen shows. It begins where that one stands: at the present."""

    @property
    def way_here(self) -> str:
        return ""  # the past is reached from the run that it is of

    BINDINGS = [
        Binding("space", "play", "play", id="replay.play", priority=True, tooltip="Play, or hold still"),
        Binding(
            "left_square_bracket,left",
            "step(-1)",
            "event before",
            id="replay.back",
            priority=True,
            tooltip="To the event before",
        ),
        Binding(
            "right_square_bracket,right",
            "step(1)",
            "next event",
            id="replay.on",
            priority=True,
            tooltip="To the next event",
        ),
        Binding(
            "shift+left",
            "end(-1)",
            "end before",
            id="replay.end-back",
            priority=True,
            tooltip="To where a task ended before",
        ),
        Binding(
            "shift+right",
            "end(1)",
            "next end",
            id="replay.end-on",
            priority=True,
            tooltip="To where a task ends next",
        ),
        Binding(
            "left_curly_bracket",
            "failure(-1)",
            "failure before",
            id="replay.failure-back",
            priority=True,
            tooltip="To what failed, or came into doubt, before",
        ),
        Binding(
            "right_curly_bracket",
            "failure(1)",
            "next failure",
            id="replay.failure-on",
            priority=True,
            tooltip="To what fails, or comes into doubt, next",
        ),
        Binding("home", "edge(-1)", "start", id="replay.start", priority=True, tooltip="To its first event"),
        Binding("end", "edge(1)", "newest", id="replay.newest", priority=True, tooltip="To its newest event"),
        Binding("plus", "speed(1)", "faster", id="replay.faster", priority=True, tooltip="Play faster"),
        Binding("minus", "speed(-1)", "slower", id="replay.slower", priority=True, tooltip="Play slower"),
        Binding("t", "present", "present", id="replay.present", tooltip="Back to the run as it stands now"),
    ]

    def __init__(self, present: RunScreen) -> None:
        """`present` is the screen that it lies over: what is chosen there is chosen here, and back again."""
        super().__init__(present.session, present.number)
        self.present = present
        self.past: Past | None = None
        self.playing = False
        self.speed = replay_text.SPEEDS[0]
        self._step, self._server = present._step, present._server
        self._following = present._following
        self._wanted = 0
        self._moment = 0.0
        self._news = False
        self._frame_at = 0.0

    # ------------------------------------------------------------ what it shows

    @property
    def source(self) -> RunReader:
        return self.past or super().source

    @property
    def look_here(self) -> Look:
        found = look(self)
        moment = self._moment
        return dataclasses.replace(found, clock=lambda: moment) if moment else found

    def crumbs(self) -> Sequence[str]:
        return (*super().crumbs(), "replay")

    def standing(self) -> Span:
        return (f"{replay_text.REPLAY.text(ascii_only=look(self).ascii_only)}  ", "bold warning")

    def state_line(self, run: RunInfo) -> tuple[Spans, Spans]:
        past = self.past
        if past is None:
            return replay_text.reading(0, self.look_here), ()
        return replay_text.state_line(
            run,
            past.event,
            replay_text.Where(self._moment, past.position, past.count),
            replay_text.Play(self.playing, self.speed),
            self.look_here,
        )

    def on_mount(self) -> None:
        self._told(0)
        self._frames = self.set_interval(FRAME_S, self._frame, pause=True)

    def on_screen_suspend(self) -> None:
        self._hold()

    def on_engine_changed(self, message: EngineChanged) -> None:
        self._news = self._news or message.changes.touches(self.number)

    async def reload(self, changes: Changes) -> None:
        async with self._reading:
            past = self.past
            if past is None:
                past = await Past.read(self.session.engine, self.number, told=self._told)
                self._wanted = past.count
                self.past = past
                self._tail = Tail(past, self.pane)
            elif self._news:
                self._news = False
                await past.catch_up()
            if self._wanted < past.position:
                self._tail = Tail(past, self.pane)  # output is taken away again
            await past.go(self._wanted)
            if not self.playing:
                self._moment = past.now
        await super().reload(EVERYTHING)

    def _told(self, count: int) -> None:
        self.query_one("#state", SpanLine).show(replay_text.reading(count, look(self)))

    # ------------------------------------------------------------ what the keys say

    def footer(self) -> Sequence[str]:
        return ("play", "present", "step(-1)", "step(1)", "failure(-1)", "failure(1)", "speed(1)")

    def label(self, action: str) -> str:
        if action == "play":
            return "hold" if self.playing else "play"
        return super().label(action)

    def reason(self, action: str) -> str:
        past = self.past
        if action in actions.CHANGING:
            return replay_text.STAYS
        if past is None:
            return "the events are being read" if action.partition("(")[0] in MOVES else ""
        match action:
            case "step(-1)" | "edge(-1)":
                return "this is the first event" if self._wanted <= 1 else ""
            case "step(1)" | "edge(1)":
                return "this is the newest event" if self._wanted >= past.count else ""
            case "failure(-1)":
                return "" if past.earlier(Moment.FAILURE, self._wanted) else "nothing failed before"
            case "failure(1)":
                return "" if past.later(Moment.FAILURE, self._wanted) else "nothing fails after this"
            case "end(-1)":
                return "" if past.earlier(Moment.TASK_END, self._wanted) else "no task ended before"
            case "end(1)":
                return "" if past.later(Moment.TASK_END, self._wanted) else "no task ends after this"
            case "speed(1)":
                return f"{self.speed} times is the fastest" if self.speed == replay_text.SPEEDS[-1] else ""
            case "speed(-1)":
                return "this is as fast as it was" if self.speed == replay_text.SPEEDS[0] else ""
        return super().reason(action)

    # ------------------------------------------------------------ moving

    def _to(self, position: int) -> None:
        """Goes to an event; where keys come faster than pictures, only the last counts."""
        self._hold()
        self._wanted = position
        self._again()
        self.refresh_keys()

    def action_step(self, by: int) -> None:
        if self.allowed(f"step({by})"):
            self._to(self._wanted + by)

    def action_edge(self, way: int) -> None:
        if self.past is not None and self.allowed(f"edge({way})"):
            self._to(1 if way < 0 else self.past.count)

    def action_end(self, way: int) -> None:
        self._seek("end", way, Moment.TASK_END)

    def action_failure(self, way: int) -> None:
        self._seek("failure", way, Moment.FAILURE)

    def _seek(self, action: str, way: int, least: Moment) -> None:
        past = self.past
        if past is None or not self.allowed(f"{action}({way})"):
            return
        found = past.earlier(least, self._wanted) if way < 0 else past.later(least, self._wanted)
        if found is not None:
            self._to(found)

    # ------------------------------------------------------------ playing

    def action_play(self) -> None:
        past = self.past
        if past is None or not past.count or not self.allowed("play"):
            return
        if self.playing:
            self._hold()
        else:
            if self._wanted >= past.count:
                self._wanted = 1
            self.playing = True
            self._moment = past.time_of(self._wanted)
            self._frame_at = time.monotonic()
            self._frames.resume()
            self._again()
        self._show_run()
        self.refresh_keys()

    def action_speed(self, way: int) -> None:
        if self.allowed(f"speed({way})"):
            at = replay_text.SPEEDS.index(self.speed) + way
            self.speed = replay_text.SPEEDS[at]
            self._show_run()
            self.refresh_keys()

    def _hold(self) -> None:
        if self.playing:
            self.playing = False
            self._frames.pause()

    def _frame(self) -> None:
        now = time.monotonic()
        passed_s, self._frame_at = now - self._frame_at, now
        self.advance(passed_s)

    def advance(self, passed_s: float) -> None:
        """Plays on by so many seconds of the person who looks."""
        past = self.past
        if past is None or not self.playing:
            return
        self._moment += passed_s * self.speed
        at = max(self._wanted, past.at_time(self._moment))
        if at != self._wanted:
            self._wanted = at
            self._again()
        if at >= past.count:
            self._hold()
            self.refresh_keys()
        self._show_run()

    # ------------------------------------------------------------ back

    def action_replay(self) -> None:
        self.action_back()

    def action_present(self) -> None:
        self.action_back()

    def action_back(self) -> None:
        self._hold()
        if not self._following:
            self.present.look_at(self._step, self._server)
        self.dismiss(None)
