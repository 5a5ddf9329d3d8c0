"""Who is here and who did what to a run; and its control, which one person at a time may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from core.engine.run_reader import RunReader
from core.errors import WindlassError
from core.model.actors import place
from core.model.acts import act
from core.model.events import Event
from core.model.views import RunInfo, Watcher
from tui import words
from tui.look import Look, look
from tui.paint import Spans
from tui.screens.base import Keyed, Sheet
from tui.screens.sheets import ConfirmSheet
from tui.session import Session

ACTS = 200
HOW = {"interface": "has it open", "watching": "follows it", "events": "follows events"}


class WhoSheet(Sheet[None]):
    """Who has the workspace open, who has the control of a run, and what persons did to it, newest first."""

    TITLE_TEXT = "Who is here, who did what"
    FOOTER = ("close",)
    DEFAULT_CSS = """
    WhoSheet { #sheet { width: 96%; max-width: 120; } #who { height: auto; max-height: 70vh; } }
    """

    def __init__(self, session: Session, run: RunInfo, source: RunReader | None = None) -> None:
        """`source` is what is asked who did what, where that is not the engine."""
        super().__init__(session)
        self._run = run
        self._source: RunReader = source or session.engine

    def sheet(self) -> ComposeResult:
        with VerticalScroll(id="who"):
            yield Static("", classes="text", id="who-text")

    def on_mount(self) -> None:
        self.entitle("#sheet", look(self).own(self.TITLE_TEXT))
        self.query_one("#who").focus()
        self.undertake(self._read, "who")

    async def _read(self) -> None:
        try:
            info = await self.session.engine.workspace()
            acts = await self._source.acts(self._run.number, limit=ACTS)
        except WindlassError as error:
            self.say_error(error)
            return
        others = [one for one in info.watchers if one.id != self.session.here]
        self.set_text("#who-text", who_lines(self._run, self.session.actor, others, acts, look(self)))


def who_lines(
    run: RunInfo, actor: str, others: Sequence[Watcher], acts: Sequence[Event], style: Look
) -> list[Spans]:
    """The lines of the sheet."""
    clean, now = style.text, style.clock()
    lines: list[Spans] = [[("here     ", "muted"), ("you, ", "bold"), (clean(place(actor)), "")]]
    for one in others:
        where = f"run {one.run}" if one.run is not None else "the workspace"
        what = f"{HOW.get(one.how, one.how)}: {where}, since {words.clock(one.since)}"
        lines.append([("         ", ""), (clean(place(one.actor)), "bold"), (clean(f"  {what}"), "muted")])
    if run.controller:
        mine = place(run.controller) == place(actor)
        told = "you: others may only pause the run" if mine else f"{place(run.controller)}: c takes it over"
        lines.append([("control  ", "muted"), (clean(told), "bold")])
    else:
        lines.append(
            [("control  ", "muted"), ("nobody took it: c does, and others may then only pause", "muted")]
        )
    lines.append([])
    for event in acts:
        told = act(event)
        if told:
            when = f"{words.clock(event.time, seconds=True)}  {words.ago(event.time, now):>8}  "
            lines.append([(when, "muted"), (clean(place(event.actor)), "bold"), (f" {clean(told)}", "")])
    return lines


def ask_for_control(screen: Keyed[Any], run: RunInfo, then: Callable[[], None]) -> None:
    """Gives the control of a run back where it is ours, else takes it; asks first where somebody has it."""
    session = screen.session
    there, here = place(run.controller), place(session.actor)

    def change(*, take: bool) -> None:
        done = f"run {run.number} is yours: others may only pause it" if take else "its control is given back"
        screen.perform(session.engine.control(run.number, actor=session.actor, take=take), done, then)

    if there in ("", here):
        change(take=not there)
        return
    lines: list[Spans] = [
        [(look(screen).text(there), "bold"), (" has it now, and will be refused what you are not.", "")],
        [("It is recorded with both names.", "muted")],
    ]
    screen.app.push_screen(
        ConfirmSheet(session, f"Take the control of run {run.number}?", lines, yes="take it"),
        lambda sure: change(take=True) if sure else None,
    )
