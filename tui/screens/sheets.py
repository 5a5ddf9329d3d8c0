"""Small sheets: a question to confirm, a text to read, trusting a host key."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from core.engine.api import HostKey
from core.errors import Fault
from tui.look import look
from tui.paint import Spans, content
from tui.screens.base import Sheet
from tui.session import Session

COMPARE = (
    "Compare the fingerprint with one that you got another way, for example on the server's console. "
    "Whoever answers with this key will be believed from now on."
)


class ConfirmSheet(Sheet[bool]):
    """Asks before something that can't be taken back. The confirming key is never the one that asked."""

    BINDINGS = [
        Binding("y", "confirm", "yes", id="confirm.yes", tooltip="Do it"),
        Binding("n", "close", "no", id="confirm.no", tooltip="Leave everything as it is"),
    ]
    FOOTER = ("confirm", "close")

    def __init__(
        self, session: Session, title: str, lines: Sequence[Spans], *, yes: str, no: str = "no"
    ) -> None:
        super().__init__(session)
        self._title = title
        self._lines = lines
        self._yes = yes
        self._no = no

    def sheet(self) -> ComposeResult:
        yield Static(content(self._lines), classes="text")

    def on_mount(self) -> None:
        self.entitle("#sheet", look(self).own(self._title))

    def label(self, action: str) -> str:
        return {"confirm": self._yes, "close": self._no}.get(action, "")

    def action_confirm(self) -> None:
        self.dismiss(True)


class NameSheet(Sheet[str]):
    """Asks for the name of what is protected; ends with it once it is typed, else with None."""

    FOOTER = ("close",)
    DEFAULT_CSS = """
    NameSheet { #typed { border: none; height: 1; margin: 1 1 0 1; background: $surface; } }
    """

    def __init__(self, session: Session, title: str, lines: Sequence[Spans], name: str) -> None:
        super().__init__(session)
        self._title = title
        self._lines = lines
        self._wanted = name

    def sheet(self) -> ComposeResult:
        told: Spans = [
            ("PRODUCTION", "bold error"),
            (": type ", ""),
            (look(self.app).text(self._wanted), "bold"),
        ]
        yield Static(content([*self._lines, [], told]), classes="text")
        yield Input(id="typed", placeholder="its name, then enter")

    def on_mount(self) -> None:
        self.entitle("#sheet", look(self).own(self._title))
        self.query_one("#typed").focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Goes on with the right name only."""
        if event.value.strip() == self._wanted:
            self.dismiss(self._wanted)
        else:
            self.say("that is not its name: nothing was changed")

    def action_close(self) -> None:
        """Leaves at once, also from the field."""
        self.dismiss(None)


class FaultsSheet(Sheet[None]):
    """Everything wrong with an input, each with file, line and column."""

    FOOTER = ("close",)
    DEFAULT_CSS = """
    FaultsSheet { #sheet { width: 96%; max-width: 140; } #faults { height: auto; max-height: 70vh; } }
    """

    def __init__(self, session: Session, title: str, faults: Sequence[Fault]) -> None:
        super().__init__(session)
        self._title = title
        self._faults = faults

    def sheet(self) -> ComposeResult:
        with VerticalScroll(id="faults"):
            yield Static("", classes="text", id="fault-text")

    def on_mount(self) -> None:
        style = look(self)
        self.entitle("#sheet", style.own(self._title))
        lines = fault_lines(self._faults, style.text)
        self.set_text("#fault-text", lines)
        self.query_one("#faults").focus()


def fault_lines(faults: Sequence[Fault], clean: object) -> list[Spans]:
    """Faults as lines: where, what, and the hint below. `clean` makes display text."""
    assert callable(clean)
    lines: list[Spans] = []
    for fault in faults:
        place = f"{fault.file}:{fault.line}:{fault.column}" if fault.line else fault.file
        lines.append([(clean(place), "accent"), ("  ", ""), (clean(fault.message), "")])
        if fault.hint:
            lines.append([("    ", ""), (clean(fault.hint), "muted")])
    return lines


class TrustSheet(Sheet[bool]):
    """Shows the key that a server presents, before it is trusted."""

    TITLE_TEXT = "Trust this host key?"
    BINDINGS = [
        Binding(
            "y", "confirm", "trust it", id="trust.yes", tooltip="Store the key in the workspace's known_hosts"
        ),
        Binding("n", "close", "no", id="trust.no", tooltip="Do not trust it"),
    ]
    FOOTER = ("confirm", "close")

    def __init__(self, session: Session, key: HostKey) -> None:
        super().__init__(session)
        self._key = key

    def sheet(self) -> ComposeResult:
        clean = look(self.app).text
        key = self._key
        kind = key.key.split(" ", 1)[0]
        lines: list[Spans] = [
            [
                (clean(key.server), "bold"),
                (f" at {clean(key.address)} port {key.port} presents a key that is", ""),
            ],
            [("not known here:", "")],
            [],
            [(clean(kind), "muted"), ("  ", ""), (clean(key.fingerprint), "bold accent")],
            [],
            [(COMPARE, "muted")],
        ]
        yield Static(content(lines), classes="text")

    def action_confirm(self) -> None:
        self.dismiss(True)
