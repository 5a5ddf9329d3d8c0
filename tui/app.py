"""The terminal interface, wired: look, themes, the bridge to the engine, leaving. It draws nothing itself.

`run_app` is the one entry: the launcher calls it inside its event loop, with an engine that it opened and will close.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from textual import work
from textual._compositor import CompositorUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.screen import Screen
from textual.scrollbar import ScrollBar
from textual.theme import Theme

from core.engine.api import Engine
from core.errors import InputError, WindlassError
from core.model.states import RunState
from core.model.views import RunInfo
from core.workspace.userfiles import config_folder
from themes.load import ThemeData
from themes.signs import ascii_only as terminal_is_ascii
from themes.signs import run_sign
from tui import words
from tui.actions import is_executing, settings_change
from tui.bridge import EVERYTHING, INTERVAL_S, STEADY_TIMES, Changes, EngineChanged, EventBridge
from tui.frames import Frames
from tui.glyphs import glyphs
from tui.going import go, known_words
from tui.look import Chosen, Look, PlainScrollBarRender
from tui.paint import Paint, Spans
from tui.screens.base import Keyed, Live, Page
from tui.screens.command import CommandBar
from tui.screens.dashboard import Dashboard
from tui.screens.sheets import ConfirmSheet
from tui.screens.workspaces import WorkspacesSheet
from tui.session import Session
from tui.takeover import holder_of, take_over_from, what_follows
from tui.taste import read_taste, remember
from tui.title import KEEP, PUT_BACK, set_title
from tui.workspaces import OpenWorkspace, WorkspaceRow

EXIT_OK = 0
EXIT_INTERNAL = 70
TERMINAL_CHECK_S = 0.5
LOW_INTERVAL_S = 0.5
"""At most so often changes are drawn on a slow link."""
LOW_STEADY_S = 1.0
"""As often where they come all the time."""
ENTERED = 100
"""So many lines of the command bar are remembered."""
SETTINGS_S = 2.0
"""How often it is looked whether `workspace.yaml` says something else."""


class WindlassApp(App[int]):
    """The interface of one opened workspace.

    `batch` opens the start sheet with that batch; `started_notice` is a sentence shown once at the beginning;
    `clock` gives wall time in seconds; `ascii_only` None asks the environment.
    """

    TITLE = "windlass"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = [
        Binding(
            "ctrl+q", "leave", "leave", id="app.quit", show=False, priority=True, tooltip="Leave Windlass"
        ),
        Binding(
            "T",
            "app.take_over",
            "take over",
            id="app.take-over",
            show=False,
            tooltip="Kill an engine that hangs, and free its workspace; asks first",
        ),
        Binding("ctrl+c", "app.leave", "leave", id="app.interrupt", show=False, tooltip="Leave Windlass"),
        Binding(
            "colon",
            "app.command",
            "command",
            id="app.command",
            show=False,
            tooltip="Go anywhere: :servers web, :41",
        ),
        Binding(
            "alt+right",
            "app.forward",
            "forward",
            id="app.forward",
            show=False,
            tooltip="Where you came back from",
        ),
        Binding(
            "alt+left", "app.backward", "back", id="app.backward", show=False, tooltip="Back, as esc does"
        ),
        Binding(
            "ctrl+b",
            "app.low_bandwidth",
            "low bandwidth",
            id="app.low-bandwidth",
            show=False,
            tooltip="Draw at most twice a second, for a slow link; again for as before",
        ),
        Binding(
            "ctrl+z",
            "app.to_background",
            "suspend",
            id="app.suspend",
            show=False,
            tooltip="Back to the shell for a while; fg continues, and runs go on meanwhile",
        ),
    ]
    CSS = """
    VerticalScroll { scrollbar-size-vertical: 1; }
    ToastRack { align-horizontal: right; margin-bottom: 1; }
    Toast {
        width: 60; max-width: 80%; padding: 0 1; margin: 0;
        background: $background; border: $frame $line-focus; color: $foreground;
    }
    Toast.-error { border: $frame $error; }
    Toast.-warning { border: $frame $warning; }
    """

    def __init__(
        self,
        engine: Engine,
        *,
        actor: str,
        batch: str | None = None,
        started_notice: str = "",
        here: str = "",
        clock: Callable[[], float] = time.time,
        ascii_only: bool | None = None,
        interval_s: float = INTERVAL_S,
        low_bandwidth: bool = False,
        mouse: bool = True,
        own_folder: Path | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        plain = terminal_is_ascii() if ascii_only is None else ascii_only
        self.look = Look(glyphs=glyphs(ascii_only=plain), paint=Paint({}), ascii_only=plain, clock=clock)
        super().__init__(driver_class=driver_class)
        ScrollBar.renderer = PlainScrollBarRender
        if self.no_color or os.environ.get("TERM") == "dumb":
            self._filters = [each for each in self._filters if not isinstance(each, Monochrome)] + [NoColor()]
        taste = read_taste(own_folder)
        self.look.wrap = taste.wrap
        if plain:
            self.animation_level = "none"
            self.use_command_palette = False  # it is drawn with symbols
        self.session = Session(engine, actor, here=here)
        self.hung_up = ""
        """Why the interface ends without asking."""
        self.farewell: list[str] = []
        self.next_workspace: Path | None = None
        """The folder to go on with once this interface has ended."""
        self.forward: list[str] = []
        """Lines of the command bar that lead to where one came back from, the nearest last."""
        self.entered: list[str] = []
        """What was entered in the command bar, newest last."""
        self.ringing: set[int] = set()
        """Runs whose end is rung for."""
        self.low_bandwidth = low_bandwidth or taste.low_bandwidth
        self.mouse = mouse and taste.mouse
        self._remembers = own_folder is not None
        self._taste = taste
        self._interval_s = interval_s
        self._batch = batch
        self._started_notice = started_notice
        self._frames = Frames()
        self._shown: Screen[Any] | None = None
        self._bridge = EventBridge(engine, self._deliver, interval_s=interval_s)
        self._draw_as_the_link_allows()
        for theme in taste.themes:
            self.register_theme(_textual_theme(theme))
        if taste.keys:
            self.set_keymap(dict(taste.keys))
        self.theme = taste.first_theme(self.console.color_system, plain=self.no_color)

    # ------------------------------------------------------------ look

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What our styles need of a theme that is not ours; frames are drawn as the terminal can."""
        return {
            "muted": "#8a94a3",
            "faint": "#66707e",
            "line": "#5a6472",
            "line-focus": "#6cb6ff",
            "mark": "#2d4460",
            "mark-blur": "#303844",
            "production": "#8f2a2a",
            "frame": "ascii" if self.look.ascii_only else "round",
            "rule": "ascii" if self.look.ascii_only else "solid",
        }

    def _repaint(self, _theme: Theme | None = None) -> None:
        self.look.paint = Paint(self.get_css_variables())
        for screen in self.screen_stack:
            screen.refresh(layout=True)
            for widget in screen.query("*"):
                widget.refresh()

    def _theme_chosen(self, theme: Theme) -> None:
        self._remember(theme=theme.name)

    def on_chosen(self, message: Chosen) -> None:
        """A screen was told how things are to look."""
        self._remember(**message.chosen)

    def _remember(self, **chosen: str | bool) -> None:
        """Keeps what was chosen for the next time."""
        if not self._remembers:
            return

        async def keep() -> None:
            try:
                await asyncio.to_thread(lambda: remember(**chosen))
            except InputError as error:
                if isinstance(self.screen, Keyed):
                    self.screen.say_error(error)

        self.run_worker(keep(), group="remember")

    def _display(self, screen: Screen[Any], renderable: Any) -> None:
        """Hands a frame to the terminal, without what it shows already."""
        if isinstance(renderable, CompositorUpdate) and not self.is_inline:
            driver: Any = self._driver
            if screen is not self._shown or getattr(driver, "shows_other", False):
                # A page that opens is written whole: it also heals what another program wrote over the screen.
                self._frames.forget()
                self._shown = screen
                driver.shows_other = False
            renderable = self._frames.thin(renderable, *self.size)
        super()._display(screen, renderable)

    # ------------------------------------------------------------ life

    async def on_mount(self) -> None:
        self._repaint()
        self.theme_changed_signal.subscribe(self, self._repaint)
        self.theme_changed_signal.subscribe(self, self._theme_chosen)
        self.app_resume_signal.subscribe(self, self._continued)
        dashboard = Dashboard(self.session)
        await self.push_screen(dashboard)
        self.run_worker(self._follow(), group="bridge", exclusive=True)
        self.set_interval(TERMINAL_CHECK_S, self._check_terminal)
        self.set_interval(SETTINGS_S, self._look_at_settings)
        if self._started_notice:
            dashboard.say(self._started_notice)
        if self._taste.faults:
            told = "\n".join(str(fault) for fault in self._taste.faults[:4])
            dashboard.say(f"left out of your own files:\n{told}", bad=True)
        if self._batch is not None:
            dashboard.open_start(self._batch)

    async def _follow(self) -> None:
        try:
            self.session.workspace = await self.session.engine.workspace()
        except WindlassError as error:
            why = error.message
        else:
            self._set_title()
            why = await self._bridge.run(self.session.workspace.last_seq, self.session.workspace.incarnation)
        self.session.lost = f"{why}; last seen {words.clock(self.look.clock(), seconds=True)}"
        for screen in self.screen_stack:
            if isinstance(screen, Live):
                screen.refresh_top()
                screen.refresh_keys()

    def _look_at_settings(self) -> None:
        self.run_worker(self.read_settings(), group="settings", exclusive=True)

    async def read_settings(self) -> None:
        """What the workspace says of itself now; where that is another thing, the screens show it."""
        before = self.session.workspace
        if before is None or self.session.lost:
            return
        try:
            now = await self.session.engine.workspace()
        except WindlassError:
            return  # the bridge tells
        self.session.workspace = now
        if (now.owner is None) != (before.owner is None):
            self._deliver(EVERYTHING)  # an engine that died left no event: what it executed is interrupted
        same = dataclasses.replace(
            now, last_seq=before.last_seq, owner=before.owner, watchers=before.watchers
        )
        if same == before:
            if isinstance(self.screen, Live):
                self.screen.refresh_top()  # an engine that was stopped is told there
            return
        for screen in self.screen_stack:
            if isinstance(screen, Keyed):
                screen.refresh_keys()
            if isinstance(screen, Page):
                screen.refresh_top()
        if isinstance(self.screen, Keyed):
            told = settings_change(before, now)
            if told:
                self.screen.say(told)

    def _deliver(self, changes: Changes) -> None:
        if ended := [run for run in self.ringing if changes.touches(run)]:
            self.run_worker(self._ring(ended), group="ring")
        for screen in self.screen_stack:
            if isinstance(screen, Live) and screen.seen():
                screen.post_message(EngineChanged(changes))

    def _check_terminal(self) -> None:
        """Notices a terminal that is gone, and draws anew for one that had stalled."""
        driver: Any = self._driver
        if getattr(driver, "gone", False):
            self.hang_up("the terminal is gone")
        elif getattr(driver, "can_draw_anew", False):
            driver.dropped = False
            driver.shows_other = True
            self._repaint()

    def hang_up(self, why: str) -> None:
        """The terminal is gone, or a signal says so: ends the interface without asking."""
        if not self.hung_up:
            self.hung_up = why
            driver: Any = self._driver
            if hasattr(driver, "stop_reading"):
                driver.stop_reading()
            self.exit(EXIT_OK)

    # ------------------------------------------------------------ going elsewhere

    @work(exclusive=True, group="command")
    async def action_command(self) -> None:
        """Asks for a line of the command bar, and goes there."""
        if isinstance(self.screen, CommandBar):
            return
        # It is there before anything is read: what is typed right behind the colon belongs to it.
        bar = CommandBar(self.session, partial(known_words, self), self.entered)
        line = await self.push_screen_wait(bar)
        if line:
            self.entered = [*[each for each in self.entered if each != line], line][-ENTERED:]
            self.go(line)

    def action_go(self, line: str) -> None:
        """A key that leads where a line does."""
        self.go(line)

    def go(self, line: str) -> None:
        """Does what a line of the command bar says; what is wrong with it is told."""
        try:
            go(self, line)
        except InputError as error:
            if isinstance(self.screen, Keyed):
                self.screen.say_error(error)

    def came_back(self, line: str) -> None:
        """A page was left that a line leads to."""
        if line:
            self.forward = [*self.forward, line][-ENTERED:]

    def push_screen(self, screen: Any, *args: Any, **options: Any) -> Any:
        """Opens a screen; a page that is opened anew is where going forward ends."""
        if isinstance(screen, Page) and not (self.forward and self.forward[-1] == screen.way_here):
            self.forward.clear()
        elif isinstance(screen, Page):
            self.forward.pop()
        return super().push_screen(screen, *args, **options)

    def action_forward(self) -> None:
        """Opens again what was left last."""
        if self.forward:
            self.go(self.forward[-1])
        elif isinstance(self.screen, Keyed):
            self.screen.say("there is nothing to go forward to")

    async def action_backward(self) -> None:
        """Goes back, where this is not the first screen."""
        if len(self.screen_stack) > 2:
            await self.screen.run_action("back" if isinstance(self.screen, Page) else "close")

    # ------------------------------------------------------------ slow links, titles, bells

    def action_low_bandwidth(self) -> None:
        """Draws less often, or as before."""
        self.low_bandwidth = not self.low_bandwidth
        self._remember(low_bandwidth=self.low_bandwidth)
        self._draw_as_the_link_allows()
        if isinstance(self.screen, Keyed):
            told = (
                "low bandwidth: changes are drawn twice a second" if self.low_bandwidth else "full bandwidth"
            )
            self.screen.say(told)

    @property
    def interval_s(self) -> float:
        """At most so often changes of data are drawn."""
        return self._bridge.interval_s

    @property
    def remembers(self) -> bool:
        """Whether what a person chooses is kept for the next time."""
        return self._remembers

    def _draw_as_the_link_allows(self) -> None:
        low = self.low_bandwidth
        self._bridge.interval_s = LOW_INTERVAL_S if low else self._interval_s
        self._bridge.steady_s = LOW_STEADY_S if low else self._interval_s * STEADY_TIMES
        self.animation_level = "none" if self.low_bandwidth or self.look.ascii_only else "full"

    def action_mouse(self) -> None:
        """Leaves the mouse to the terminal, which then selects text as everywhere, or takes it back."""
        self.mouse = not self.mouse
        self._remember(mouse=self.mouse)
        driver: Any = self._driver
        if hasattr(driver, "set_mouse"):
            driver.set_mouse(self.mouse)
        if isinstance(self.screen, Keyed):
            told = "the mouse presses keys and rows" if self.mouse else "the mouse is the terminal's own"
            self.screen.say(told)

    async def action_to_background(self) -> None:
        """Stops until the shell continues it."""
        self.put_title_back()
        self.action_suspend_process()

    def _continued(self, _app: App[int]) -> None:
        self._set_title()
        self._repaint()

    def _set_title(self) -> None:
        workspace = self.session.workspace
        if self._driver is not None and workspace is not None and (title := set_title(workspace)):
            self._driver.write(KEEP + title)
            self._titled = True

    _titled = False

    def put_title_back(self) -> None:
        """Gives the terminal the title that it had before; once."""
        if self._titled and self._driver is not None:
            self._titled = False
            self._driver.write(PUT_BACK)

    def exit(self, *args: Any, **options: Any) -> None:
        """Ends the interface, and leaves the terminal with the title that it had."""
        self.put_title_back()
        super().exit(*args, **options)

    async def _ring(self, runs: list[int]) -> None:
        """Rings for those of the runs that nothing executes any more."""
        for number in runs:
            with contextlib.suppress(WindlassError):
                run = await self.session.engine.run(number)
                if not is_executing(run) and number in self.ringing:
                    self.ringing.discard(number)
                    self.bell()
                    if isinstance(self.screen, Keyed):
                        self.screen.say(f"run {number} ({run.batch}): {run_sign(run.state).word}")

    # ------------------------------------------------------------ leaving

    async def action_quit(self) -> None:
        await self.action_leave()

    async def action_leave(self) -> None:
        """Leaves, and names the runs that go on: no run is executed in this process."""
        try:
            going = await executing(self.session.engine)
        except WindlassError:
            going = []
        self.farewell = [f"run {run.number} {run.batch} goes on" for run in going]
        self.exit(EXIT_OK)

    async def on_open_workspace(self, message: OpenWorkspace) -> None:
        """Ends with another workspace to go on with; runs of this one go on."""
        self.next_workspace = message.path
        self.exit(EXIT_OK)

    @work(exclusive=True, group="take-over")
    async def action_take_over(self) -> None:
        """Names the engine that owns the workspace, asks, and kills it."""
        workspace, style = self.session.workspace, self.look
        if workspace is None:
            return
        try:
            owner, does = await holder_of(workspace)
            runs = await executing(self.session.engine)
            lines: list[Spans] = [
                [
                    (style.text(f"{owner}"), "bold"),
                    (f"  is {does}", "bold warning" if does == "stopped" else ""),
                ],
                [("It is killed. Commands in flight go on on their servers and are found by a resume.", "")],
                *([(style.text(f"run {run.number}  {run.batch}  is executing"), "")] for run in runs),
            ]
            sheet = ConfirmSheet(
                self.session, "Take over the workspace?", lines, yes="kill it", no="leave it"
            )
            if not await self.push_screen_wait(sheet):
                return
            waited_s = await take_over_from(workspace, owner, self.session.actor)
        except WindlassError as error:
            if isinstance(self.screen, Keyed):
                self.screen.say_error(error)
            return
        if isinstance(self.screen, Keyed):
            self.screen.say(f"killed pid {owner.pid}, free after {waited_s:.1f} s. {what_follows(runs)}")
        self._deliver(EVERYTHING)

    def action_workspaces(self) -> None:
        """Lists the registered workspaces, to go on with another one."""

        def chosen(row: WorkspaceRow | None) -> None:
            if row is not None:
                self.post_message(OpenWorkspace(row.path))

        here = self.session.workspace
        self.push_screen(WorkspacesSheet(self.session, Path(here.path if here else "")), chosen)

    # ------------------------------------------------------------ the command palette

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The keys of the screen by name, and the themes."""
        if isinstance(screen, Keyed):
            for keys, binding in screen.bindings_here():
                if binding.id and binding.show:
                    label = screen.label(binding.action) or binding.description
                    yield SystemCommand(
                        f"{label.capitalize()} ({keys})", binding.tooltip, self._runs(screen, binding.action)
                    )
        if not isinstance(screen, WorkspacesSheet | Dashboard):  # which have a key for it
            told = "The registered workspaces; open another one"
            yield SystemCommand("Workspaces", told, self.action_workspaces)
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    @staticmethod
    def _runs(screen: Screen[Any], action: str) -> Callable[[], Any]:
        return lambda: screen.run_action(action)


async def executing(engine: Engine) -> list[RunInfo]:
    """The runs that an engine works on just now."""
    found = await engine.runs(states=(RunState.RUNNING, RunState.ROLLING_BACK), limit=100)
    return [run for run in found if is_executing(run)]


def _textual_theme(theme: ThemeData) -> Theme:
    colors = theme.colors
    return Theme(
        name=theme.name,
        dark=theme.dark,
        ansi=theme.ansi,
        primary=colors["primary"],
        secondary=colors["secondary"],
        accent=colors["accent"],
        success=colors["success"],
        warning=colors["warning"],
        error=colors["error"],
        foreground=colors["foreground"],
        background=colors["background"],
        surface=colors["surface"],
        panel=colors["panel"],
        variables={
            "muted": colors["muted"],
            "faint": colors["faint"],
            "line": colors["line"],
            "line-focus": colors["line_focus"],
            "mark": colors["mark"],
            "mark-blur": colors["mark_blur"],
            "production": colors["production"],
            "scrollbar": colors["line"],
            "scrollbar-hover": colors["muted"],
            "scrollbar-active": colors["accent"],
            "scrollbar-background": colors["background"],
            "scrollbar-background-hover": colors["background"],
            "scrollbar-background-active": colors["background"],
            "scrollbar-corner-color": colors["background"],
            **(_ansi_variables(theme) if theme.ansi else {}),
        },
    )


def _ansi_variables(theme: ThemeData) -> dict[str, str]:
    """What Textual's own styles want to know where the colours are the terminal's."""
    colourless = theme.colors["mark"] == "ansi_default"
    return {
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "border-blurred": theme.colors["line"],
        "block-cursor-foreground": "ansi_default" if colourless else "ansi_bright_white",
        "block-cursor-background": theme.colors["mark"],
        "block-cursor-text-style": "reverse" if colourless else "none",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "input-selection-background": theme.colors["mark"],
        "input-selection-foreground": "ansi_default" if colourless else "ansi_bright_white",
        "screen-selection-background": theme.colors["mark"],
        "screen-selection-foreground": "ansi_default" if colourless else "ansi_bright_white",
    }


@contextlib.asynccontextmanager
async def _signals(app: WindlassApp) -> AsyncIterator[None]:
    """Hang-up and termination end the interface in order; a second one has its usual effect."""
    loop = asyncio.get_running_loop()
    taken = (signal.SIGHUP, signal.SIGTERM)
    for number in taken:
        loop.add_signal_handler(number, app.hang_up, f"ended by {number.name}")
    try:
        yield
    finally:
        for number in taken:
            loop.remove_signal_handler(number)


async def run_app(
    engine: Engine,
    *,
    actor: str,
    start_batch: str | None = None,
    started_notice: str = "",
    here: str = "",
    low_bandwidth: bool = False,
    mouse: bool = True,
) -> int | Path:
    """Runs the interface until it is left; returns an exit status. Call it inside a running event loop.

    The engine stays open: whoever opened it closes it. `start_batch` opens the start sheet with that batch (a name or
    a path). `here` is what this interface is called among those that have the workspace open. `mouse` False leaves the
    mouse to the terminal.

    Returns 0, or 70 after a fault of the interface; runs go on, since no engine lives in this process. Returns the
    folder of another workspace where that was chosen: whoever called opens it and calls again.
    """
    from tui.driver import SteadyDriver

    app = WindlassApp(
        engine,
        actor=actor,
        batch=start_batch,
        started_notice=started_notice,
        here=here,
        low_bandwidth=low_bandwidth,
        mouse=mouse,
        own_folder=config_folder(),
        driver_class=SteadyDriver,
    )
    async with _signals(app):
        status = await app.run_async(mouse=app.mouse)
    if app.hung_up:
        with contextlib.suppress(OSError, ValueError):  # who sent a signal may still be listening
            sys.stderr.write(f"{app.hung_up}\n")
        return EXIT_OK
    for line in app.farewell:
        sys.stderr.write(line + "\n")
    if app.return_code:
        return EXIT_INTERNAL if status is None else app.return_code
    if app.next_workspace is not None:
        return app.next_workspace
    return EXIT_OK if status is None else status
