"""A run, live: what its keys look at, and what they ask the engine for, each action said before it is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from textual.binding import Binding

from core.errors import WindlassError
from tui import actions, consequences, on_call
from tui.consequences import Act
from tui.look import look
from tui.screens.acts import ask_first
from tui.screens.decide import DecideScreen
from tui.screens.output import OutputScreen
from tui.screens.run_picture import RunPicture
from tui.screens.trust import ask_to_trust
from tui.screens.who import WhoSheet, ask_for_control


class RunScreen(RunPicture):
    """The live screen of run `number`."""

    BINDINGS = [
        Binding(
            "p",
            "pause",
            "pause",
            id="run.pause",
            tooltip="Start nothing more, or carry on a run that stands; says what that means, and asks",
        ),
        Binding(
            "r",
            "retry",
            "retry failed",
            id="run.retry",
            tooltip="Open failed and unreachable tasks again; says which, and asks",
        ),
        Binding(
            "d", "decide", "decide", id="run.decide", tooltip="What is certain of this task, and what to do"
        ),
        Binding(
            "C", "cancel", "cancel", id="run.cancel", tooltip="Stop attempts in flight and end the run; asks"
        ),
        Binding(
            "s",
            "skip",
            "skip",
            id="run.skip",
            tooltip="Count a task in doubt as skipped, so that others go on without it; asks why",
        ),
        Binding("R", "roll_back", "roll back", id="run.roll-back", tooltip="Undo what this run did; asks"),
        Binding(
            "o",
            "output",
            "output",
            id="run.output",
            tooltip="The output of the chosen task on the whole screen",
        ),
        Binding(
            "f", "follow", "follow", id="run.follow", tooltip="Look at what runs now, and at the newest line"
        ),
        Binding("m", "matrix", "matrix", id="run.matrix", tooltip="One cell a task, or the list"),
        Binding(
            "y", "copy", "copy command", id="run.copy", tooltip="Copy the command line for what is chosen"
        ),
        Binding(
            "T", "trust", "trust host key", id="run.trust", tooltip="Look at an unknown host key and trust it"
        ),
        Binding(
            "c", "control", "control", id="run.control", tooltip="Let others only pause this run, or no more"
        ),
        Binding(
            "b", "ring", "bell", id="run.bell", tooltip="Ring when nothing executes this run any more, or not"
        ),
        Binding(
            "i",
            "report",
            "report",
            id="run.report",
            tooltip="Write down what happened to this run, in a file",
        ),
        Binding(
            "t", "replay", "replay", id="run.replay", tooltip="The run as it stood: step through its events"
        ),
        Binding(
            "v",
            "timeline",
            "timeline",
            id="run.timeline",
            tooltip="Who took how long, and what waited for what",
        ),
        Binding("w", "who", "who", id="run.who", tooltip="Who is here, and who did what to this run"),
        Binding("escape,q", "back", "back", id="run.back", tooltip="Back; the run goes on"),
    ]

    # ------------------------------------------------------------ what the keys say

    def footer(self) -> Sequence[str]:
        keys = ["pause", "retry", "decide", "cancel", "output", "roll_back", "follow"]
        run = self.run_info
        if run is not None and not run.state.open:
            keys = ["retry", "roll_back", "decide", "output", "copy", "follow", "back"]
        if self.chosen is not None and actions.unknown_host_key(self.chosen.why):
            keys.insert(0, "trust")
        return keys[:7]

    def label(self, action: str) -> str:
        if action == "pause" and self.run_info is not None and actions.can_resume(self.run_info):
            return "resume"
        if action == "follow":
            return "hold" if self._following and self.pane.follow else "follow"
        if action == "matrix" and self.has_class("-matrix"):
            return "list"
        return ""

    def reason(self, action: str) -> str:
        run = self.run_info
        if run is None:
            return "the run is being read" if action in actions.CHANGING else ""
        controlled = actions.why_not_mine(run, self.session.actor, action)
        if controlled:
            return controlled
        match action:
            case "pause":
                refused = self.session.refused("resume") if actions.can_resume(run) else ""
                return refused or actions.why_not_pause(run)
            case "retry":
                return actions.why_not_retry(run)
            case "skip":
                return consequences.why_not_skip(self.chosen)
            case "decide":
                return actions.why_not_decide(run, self.chosen)
            case "cancel":
                return actions.why_not_cancel(run)
            case "roll_back":
                return actions.why_not_roll_back(run)
            case "ring":
                return "" if actions.is_executing(run) else "nothing executes this run"
            case "output":
                return "" if self.chosen is not None else "no task is chosen"
            case "trust":
                if self.chosen is not None and actions.unknown_host_key(self.chosen.why):
                    return ""
                return "no unknown host key keeps the chosen server away"
        return ""

    # ------------------------------------------------------------ keys: changing

    def action_pause(self) -> None:
        run, engine, actor = self.run_info, self.session.engine, self.session.actor
        if run is None or not self.allowed("pause"):
            return
        if actions.can_resume(run):
            self._ask(consequences.resuming(run), lambda _: engine.resume(self.number, actor=actor))
        else:
            self._ask(consequences.pausing(run), lambda _: engine.pause(self.number, actor=actor))

    def _ask(self, act: Act, do: Callable[[str], Awaitable[object]]) -> None:
        """Says what an action will do, and does it where a person says so."""
        run = self.run_info if act.by_name else None
        ask_first(self, act, lambda name: self.perform(do(name), act.done, self._again), run)

    def action_retry(self) -> None:
        run, engine, actor = self.run_info, self.session.engine, self.session.actor
        if run is not None and self.allowed("retry"):
            risk = any(task.may_have_run for task in self.failing)
            self._ask(
                consequences.retrying(run, self.failing),
                lambda _: engine.retry(self.number, actor=actor, accept_risk=risk),
            )

    def action_decide(self) -> None:
        if self.allowed("decide"):
            task = self.chosen
            here = task is not None and on_call.is_for(task)
            key = task.key if here and task is not None else None
            self.app.push_screen(DecideScreen(self.session, self.number, key))

    def action_skip(self) -> None:
        if self.allowed("skip") and self.chosen is not None:
            self.app.push_screen(DecideScreen(self.session, self.number, self.chosen.key, first="skip"))

    def action_cancel(self) -> None:
        run, engine, actor = self.run_info, self.session.engine, self.session.actor
        if run is not None and self.allowed("cancel"):
            self._ask(consequences.cancelling(run), lambda _: engine.cancel(self.number, actor=actor))

    def action_roll_back(self) -> None:
        run, engine, actor = self.run_info, self.session.engine, self.session.actor
        if run is not None and self.allowed("roll_back"):
            self._ask(
                consequences.rolling_back(run, self.steps.items),
                lambda name: engine.roll_back(self.number, actor=actor, confirm=name),
            )

    # ------------------------------------------------------------ keys: looking

    def open_task(self) -> None:
        self.action_output()

    def action_matrix(self) -> None:
        self.show_matrix(not self.has_class("-matrix"))
        self.refresh_keys()

    def action_output(self) -> None:
        if self.chosen is not None and self.allowed("output"):
            self.app.push_screen(OutputScreen(self.session, self.number, self.chosen.key, self.source))

    def action_follow(self) -> None:
        follow = not (self._following and self.pane.follow)
        self._following = follow
        self.pane.set_follow(follow)
        self._show_follow()
        self.refresh_keys()
        if follow:
            self._again()

    def action_copy(self) -> None:
        told = ["runs", "show", str(self.number)]
        if self.pane.has_focus and self.chosen is not None:
            told = ["runs", "logs", str(self.number), str(self.chosen.key)]
        elif self.steps.has_focus and self.steps.chosen is not None:
            told += ["--step", self.steps.chosen.name]
        elif self.run_info is not None and self.run_info.state.open:
            told = ["runs", "watch", str(self.number)]
        self.copy(self.session.command(*told))

    def action_trust(self) -> None:
        if self.chosen is not None and self.allowed("trust"):
            ask_to_trust(self, self.chosen.server)

    def action_control(self) -> None:
        if self.run_info is not None and self.allowed("control"):
            ask_for_control(self, self.run_info, self._again)

    def action_ring(self) -> None:
        ringing: set[int] = getattr(self.app, "ringing", set())
        if self.run_info is None or not self.allowed("ring"):
            return
        if self.number in ringing:
            ringing.discard(self.number)
            self.say(f"run {self.number} ends without a bell")
        else:
            ringing.add(self.number)
            self.say(f"the terminal rings when run {self.number} stands or has ended")

    def action_report(self) -> None:
        if self.run_info is not None:
            self.undertake(self._report, "report")

    async def _report(self) -> None:
        from tui.reporting import write_report

        try:
            path = await write_report(self.session, self.number, look(self).clock())
        except (WindlassError, OSError) as error:
            self.say(f"the report could not be written: {error}", bad=True)
            return
        self.say(f"the report is in {path}")

    def action_who(self) -> None:
        if self.run_info is not None:
            self.app.push_screen(WhoSheet(self.session, self.run_info, self.source))

    def action_replay(self) -> None:
        from tui.screens.replay import ReplayScreen

        if self.run_info is not None:
            self.app.push_screen(ReplayScreen(self))

    def action_timeline(self) -> None:
        from tui.screens.timeline import TimelineScreen

        self.app.push_screen(TimelineScreen(self.session, self.number))

    @property
    def way_here(self) -> str:
        return f"run {self.number}"
