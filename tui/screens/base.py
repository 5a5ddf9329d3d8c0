"""What every screen shares: the top line, the bottom line with its reasons, help, and staying current.

`Keyed` knows its keys and why one of them does nothing now. `Sheet` is a `Keyed` that lies over another screen.
`Live` stays current: it merges what the bridge says and reads the engine again, at its own pace.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.css.query import NoMatches
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Static
from textual.worker import WorkType

from core.display import display_lines
from core.errors import InputError, WindlassError
from tui import words
from tui.actions import CHANGING
from tui.bridge import EVERYTHING, Changes, EngineChanged
from tui.clipboard import save, to_tmux
from tui.look import look
from tui.paint import Span, Spans, content, width_of
from tui.session import Session
from tui.takeover import hangs
from tui.widgets.keys import KeyHint, KeyLine
from tui.widgets.line import SpanLine

Result = TypeVar("Result")

NARROW = 100
"""Below so many columns a screen is one column."""
SHORT = 30
"""Below so many rows panels give up room."""
MIN_WIDTH, MIN_HEIGHT = 40, 12
ONE_FRAME_S = 0.1
"""So long what a page reads may hold back what is drawn, keys included."""


KEY_NAMES = {
    "escape": "esc",
    "question_mark": "?",
    "slash": "/",
    "space": "space",
    "@": "space",  # how terminals tell ctrl+space
    "pagedown": "pgdn",
    "pageup": "pgup",
    "plus": "+",
    "minus": "-",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
}


def key_name(key: str) -> str:
    """A key as people read it, in plain ASCII: "esc", "?", "^c", "G"."""
    *modifiers, name = key.split("+")
    name = KEY_NAMES.get(name, name.removeprefix("upper_") if len(name) == 7 else name)
    return "^" + name if modifiers == ["ctrl"] else "+".join((*modifiers, name))


def _has_modifier(name: str) -> bool:
    return name.startswith("^") or "+" in name


class Keyed(Screen[Result], Generic[Result]):
    """A screen that knows its keys. `FOOTER` names actions for the bottom line, most important first."""

    AUTO_FOCUS = None
    FOOTER: ClassVar[tuple[str, ...]] = ()
    BINDINGS = [
        Binding(
            "question_mark",
            "help",
            "keys",
            id="app.help",
            tooltip="Every key of this screen, and why one is dimmed",
        ),
        Binding(
            "ctrl+c,ctrl+q",
            "app.leave",
            "leave",
            id="app.leave",
            tooltip="Leave Windlass; runs go on",
        ),
    ]
    DEFAULT_CSS = """
    Keyed {
        layout: vertical;
        color: $foreground;
        #tiny { display: none; width: 1fr; height: 1fr; content-align: center middle; text-align: center; }
        &.-tiny > * { display: none; }
        &.-tiny > #tiny { display: block; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self._shown_trouble = ""
        self._focus_before: Widget | None = None
        self._titles: dict[str, tuple[str, str]] = {}
        self._texts: dict[str, tuple[tuple[Span, ...], ...]] = {}

    # ------------------------------------------------------------ what the keys say

    def footer(self) -> Sequence[str]:
        """The actions that matter now, most important first; `help` is added."""
        return self.FOOTER

    def label(self, action: str) -> str:
        """Another word for an action where its meaning depends on the state; "" for the usual one."""
        return ""

    def reason(self, action: str) -> str:
        """Why an action does nothing now; "" when it does. Screens answer for their own."""
        return ""

    def reason_against(self, action: str) -> str:
        """As `reason`, where a workspace that can only be watched goes first."""
        refused = self.session.refused(action) if action in CHANGING else ""
        if refused:
            return refused
        return self.reason(action)

    def allowed(self, action: str) -> bool:
        """True where the action is possible; else says quietly why not."""
        why = self.reason_against(action)
        if why:
            self.say(why)
        return not why

    def bindings_here(self) -> list[tuple[str, Binding]]:
        """Every binding that works now, as (keys, binding), once for each action, this screen's own first."""
        keys: dict[str, list[str]] = {}
        found: dict[str, Binding] = {}
        for active in self.active_bindings.values():
            binding = active.binding
            found.setdefault(binding.action, binding)
            shown = key_name(binding.key)
            if shown not in keys.setdefault(binding.action, []):
                keys[binding.action].append(shown)
        # A plain key is shown before one with a modifier.
        return [
            (" ".join(sorted(keys[action], key=_has_modifier)), binding) for action, binding in found.items()
        ]

    def refresh_keys(self) -> None:
        """Draws the bottom line again."""
        if not self.is_mounted:
            return
        bindings = {binding.action: (keys, binding) for keys, binding in self.bindings_here()}
        hints: list[KeyHint] = []
        for action in (*self.footer(), "help"):
            if action in bindings:
                keys, binding = bindings[action]
                label = self.label(action) or binding.description
                hints.append(KeyHint(keys.split(" ")[0], label, action, self.reason_against(action)))
        for line in self.query(KeyLine):
            line.show(hints)

    async def action_help(self) -> None:
        from tui.screens.help import HelpSheet

        self.app.push_screen(HelpSheet(self.session, self))

    # ------------------------------------------------------------ drawing no more than what changed

    def entitle(self, selector: str, title: str, subtitle: str = "") -> None:
        """The title and subtitle in a frame: plain text, drawn again only where it differs."""
        if self._titles.get(selector) != (title, subtitle):
            self._titles[selector] = (title, subtitle)
            widget = self.query_one(selector)
            widget.border_title = Content(title)
            widget.border_subtitle = Content(subtitle)

    def set_text(self, selector: str, lines: Sequence[Spans]) -> None:
        """The text of a `Static`, drawn again only where it differs."""
        told = tuple(tuple(line) for line in lines)
        before = self._texts.get(selector)
        if before != told:
            self._texts[selector] = told
            text = self.query_one(selector, Static)
            # To lay the screen out again takes longer than to draw the text.
            width = text.content_size.width
            same_size = before is not None and len(before) == len(told) and width >= _widest(*before, *told)
            text.update(content(lines), layout=not same_size)

    # ------------------------------------------------------------ telling

    def say(self, message: str, *, bad: bool = False) -> None:
        """A quiet notice."""
        style = look(self)
        lines = display_lines(message, ascii_only=style.ascii_only)[:8]
        self.app.notify(
            "\n".join(lines),
            severity="error" if bad else "information",
            timeout=8 if bad else 5,
            markup=False,
        )

    def say_error(self, error: WindlassError) -> None:
        """An error of the engine, with its faults and its hint."""
        faults = error.faults if isinstance(error, InputError) else ()
        told = [error.message, *(str(fault) for fault in faults[:5])]
        if len(faults) > 5:
            told.append(f"and {len(faults) - 5} more")
        if error.hint:
            told.append(error.hint)
        self.say("\n".join(told), bad=True)

    def copy(self, text: str) -> None:
        """Sends a text to the terminal's clipboard, saves it and shows it: no terminal tells whether it took it."""

        async def send() -> None:
            if not await asyncio.to_thread(to_tmux, text):
                self.app.copy_to_clipboard(text)
            path = await asyncio.to_thread(save, text)
            kept = f"\nsaved in {path}" if path is not None else ""
            self.say(f"sent to the terminal: {text}{kept}")

        self.undertake(send, "copy")

    @property
    def leaving(self) -> bool:
        """True while the screen is being taken down: its parts may be gone already."""
        return bool(self.app._exit or self._pruning or self._closing or not self.is_attached)

    def undertake(self, work: Callable[[], Awaitable[None]], group: str) -> None:
        """Work of this screen beside its keys, the newest of each group only; it ends with the screen.

        `work` is called when its turn comes: what is overtaken before has never begun.
        """

        async def guarded() -> None:
            try:
                await work()
            except NoMatches:
                if not self.leaving:
                    raise

        worker: WorkType[None] = guarded
        self.run_worker(worker, group=group, exclusive=True)

    def perform(
        self, what: Awaitable[object], done: str = "", then: Callable[[], None] | None = None
    ) -> None:
        """Asks the engine for a change, without stopping the interface; tells how it went."""

        async def work() -> None:
            try:
                await what
            except WindlassError as error:
                self.say_error(error)
                return
            if done:
                self.say(done)
            if then is not None:
                then()

        self.run_worker(work(), group="perform", exit_on_error=True)

    # ------------------------------------------------------------ size

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.set_class(width < NARROW, "-narrow")
        self.set_class(height < SHORT, "-short")
        tiny = width < MIN_WIDTH or height < MIN_HEIGHT
        was_tiny = self.has_class("-tiny")
        if tiny and not was_tiny:
            self._focus_before = self.focused  # what is hidden loses the focus
        self.set_class(tiny, "-tiny")
        if was_tiny and not tiny and self._focus_before is not None:
            before, self._focus_before = self._focus_before, None
            self.call_after_refresh(self.set_focus, before)
        if tiny:
            text = f"{width}×{height} is too small,\n{MIN_WIDTH}×{MIN_HEIGHT} is needed"
            for notice in self.query("#tiny").results(Static):
                notice.update(look(self).own(text))
        self.call_after_refresh(self.refresh_keys)

    def on_descendant_focus(self) -> None:
        self.refresh_keys()

    def on_descendant_blur(self) -> None:
        self.refresh_keys()

    def on_screen_resume(self) -> None:
        self.refresh_keys()


def _widest(*lines: Spans) -> int:
    return max((width_of(line) for line in lines), default=0)


class Page(Keyed[Result], Generic[Result]):
    """A whole screen: top line, body, bottom line. Subclasses give `crumbs` and `body`."""

    DEFAULT_CSS = """
    Page { background: $background; #top { height: 1; } #bottom { height: 1; } }
    """

    def compose(self) -> ComposeResult:
        yield SpanLine(id="top")
        yield from self.body()
        yield KeyLine(id="bottom")
        yield Static("", id="tiny", markup=False)

    def body(self) -> ComposeResult:
        """What stands between the two lines."""
        yield from ()

    @property
    def way_here(self) -> str:
        """What leads here in the command bar; "" where nothing does."""
        return ""

    def action_back(self) -> None:
        """Leaves the page, unless it has something to clear first."""
        self.leave()

    def leave(self) -> None:
        """Goes back to the page before; going forward leads here again."""
        came_back = getattr(self.app, "came_back", None)
        if came_back is not None:
            came_back(self.way_here)
        self.dismiss(None)

    def crumbs(self) -> Sequence[str]:
        """Where this is, below the workspace: ("runs", "44 patch-kernel")."""
        return ()

    def on_mount(self) -> None:
        self.refresh_top()
        self._second = self.set_interval(1.0, self.tick)

    def on_screen_suspend(self) -> None:
        # A hidden screen that does anything at all makes Textual draw the whole screen above it again.
        if not self.seen():
            self._second.pause()

    def on_screen_resume(self) -> None:
        self._second.resume()

    def seen(self) -> bool:
        """True where this page is on the screen, alone or below a sheet."""
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if not screen.is_modal:
                return False
        return False

    def tick(self) -> None:
        """Once a second: clocks and durations."""
        self.refresh_top()

    def standing(self) -> Span:
        """What the top line says of the picture: that it is live."""
        return ("live  ", "success")

    def refresh_top(self) -> None:
        """Draws the top line again; nothing on a screen that is not made yet, or is on its way out."""
        if not self.query("#top"):
            return
        style = look(self)
        workspace = self.session.workspace
        arrow = f" {style.glyphs.arrow} "
        left: list[Span] = [
            ("windlass  ", "bold accent"),
            (style.text(workspace.name) if workspace else "", "bold"),
        ]
        for crumb in self.crumbs():
            left += [(arrow, "muted"), (style.text(crumb, max_chars=60), "")]
        right: list[Span] = []
        if workspace is not None and workspace.protection == "production":
            right.append(("PRODUCTION  ", "bold error"))
        if self.session.lost:
            right.append((style.text(f"disconnected, {self.session.lost}  "), "bold error"))
        elif workspace is not None and not workspace.owned:
            right.append((style.text(f"READ-ONLY: {workspace.owner} owns it  "), "bold warning"))
        else:
            if workspace is not None and workspace.read_only:
                right.append(("READ-ONLY  ", "bold warning"))
            right.append(self.standing())
        if self.session.others:
            names = style.text(", ".join(self.session.others), max_chars=40)
            right.insert(0, (f"also here: {names}  ", "muted"))
        if hangs(workspace):
            right.insert(0, ("the engine is stopped: T takes over  ", "bold error"))
        right.append((words.clock(style.clock()), "muted"))
        self.query_one("#top", SpanLine).show(left, right)


class Sheet(Keyed[Result], ModalScreen[Result], Generic[Result]):
    """A question or a picture over another screen. `sheet` gives what stands in its frame."""

    BINDINGS = [
        Binding("escape,q", "close", "back", id="sheet.close", tooltip="Close this without doing anything"),
    ]
    DEFAULT_CSS = """
    Sheet {
        align: center middle;
        background: $background 60%;
        &.-tiny { background: $background; }
        #sheet {
            width: 90%;
            max-width: 92;
            height: auto;
            max-height: 100%;
            padding: 0;
            border: $frame $line-focus;
            border-title-color: $foreground;
            background: $background;
        }
        #keys { margin-top: 1; }
        .text { padding: 0 1; height: auto; }
    }
    """
    TITLE_TEXT: ClassVar[str] = ""

    def compose(self) -> ComposeResult:
        frame = Vertical(id="sheet")
        frame.border_title = self.TITLE_TEXT
        with frame:
            yield from self.sheet()
            yield KeyLine(id="keys")
        yield Static("", id="tiny", markup=False)

    def sheet(self) -> ComposeResult:
        """What stands in the frame, above the keys."""
        yield from ()

    def action_close(self) -> None:
        if isinstance(self.focused, Input):
            self.set_focus(self.default_focus())
        else:
            self.dismiss(None)

    def default_focus(self) -> Widget | None:
        """What gets the focus when a field is left."""
        return None


@contextlib.contextmanager
def one_frame(app: App[Any]) -> Iterator[None]:
    """What changes meanwhile is drawn in one go, or after ONE_FRAME_S as far as it has come."""

    def draw() -> None:
        # A screen looks for what it has to draw when it has handled a message; what was held back came without one.
        # Hidden ones are let alone: one that does anything makes Textual draw the whole screen above it again.
        for screen in reversed(app.screen_stack):
            screen.check_idle()
            if not screen.is_modal:
                break

    with contextlib.ExitStack() as held:
        held.callback(draw)
        held.enter_context(app.batch_update())
        overdue = asyncio.get_running_loop().call_later(ONE_FRAME_S, held.close)
        try:
            yield
        finally:
            overdue.cancel()


class Live(Page[Result], Generic[Result]):
    """A page that follows the engine: `reload` reads what changed; it never runs twice at a time."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._waiting = EVERYTHING
        self._changed = asyncio.Event()
        self._changed.set()
        self.loaded = asyncio.Event()
        """Set once everything was read for the first time."""
        self._busy = False

    @property
    def up_to_date(self) -> bool:
        """True while nothing waits to be read."""
        return not self._busy and not self._changed.is_set()

    async def reload(self, changes: Changes) -> None:
        """Reads again what the changes may concern. Raises WindlassError."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self.undertake(self._stay_current, "live")

    def on_engine_changed(self, message: EngineChanged) -> None:
        self.needs_reload(message.changes)

    def on_screen_resume(self) -> None:
        self.needs_reload(EVERYTHING)

    def needs_reload(self, changes: Changes) -> None:
        """Asks for a reload; requests that come while one runs are merged."""
        self._waiting = self._waiting.merged(changes)
        self._changed.set()

    async def _stay_current(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not self.seen():
                continue  # what changed stays noted until the screen is seen again
            changes, self._waiting = self._waiting, Changes()
            self._busy = True
            try:
                with one_frame(self.app) if self.loaded.is_set() else contextlib.nullcontext():
                    await self.reload(changes)
            except NoMatches:
                if not self.leaving:
                    raise
                return
            except WindlassError as error:
                if str(error) != self._shown_trouble:
                    self._shown_trouble = str(error)
                    self.say_error(error)
            else:
                self._shown_trouble = ""
            self._busy = False
            self.refresh_keys()
            self.loaded.set()
