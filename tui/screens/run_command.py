"""One command on the chosen servers: typed here, planned and started as every batch is."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Static

from core.errors import WindlassError
from tui import words
from tui.look import look
from tui.screens.base import Sheet
from tui.session import Session

PARALLEL = 20
NAMES_SHOWN = 8
_TIME = re.compile(r"\d+(\.\d+)?(ms|s|m|h)")


class CommandSheet(Sheet[str]):
    """Ends with the path of the batch that it made, or None."""

    TITLE_TEXT = "Run a command"
    FOOTER = ("close",)
    DEFAULT_CSS = """
    CommandSheet {
        .field { height: 1; margin: 0 1; }
        .field .name { width: 11; color: $muted; }
        .field .about { width: 1fr; color: $muted; padding: 0 1; }
        .field Input { border: none; height: 1; width: 1fr; padding: 0 1; background: $surface; }
        .field Input:focus { background: $mark; }
        .field .short { width: 10; }
        #servers-told { margin: 0 1 1 1; }
    }
    """

    def __init__(self, session: Session, servers: Sequence[str]) -> None:
        super().__init__(session)
        self._servers = servers

    def sheet(self) -> ComposeResult:
        yield Static("", id="servers-told")
        with Horizontal(classes="field"):
            yield Static("command", classes="name")
            yield Input(placeholder="uptime", id="shell-command")
        with Horizontal(classes="field"):
            yield Static("as root", classes="name")
            yield Input("no", id="sudo", classes="short", max_length=3)
            yield Static("yes: with sudo", classes="about")
        with Horizontal(classes="field"):
            yield Static("at once", classes="name")
            yield Input(str(PARALLEL), id="parallel", classes="short", type="integer", max_length=5)
            yield Static("at most so many servers", classes="about")
        with Horizontal(classes="field"):
            yield Static("timeout", classes="name")
            yield Input(placeholder="none", id="timeout", classes="short", max_length=10)
            yield Static("stopped on a server after this: 30s, 5m", classes="about")
        yield Static("enter shows the plan; nothing runs before you start it there", classes="text")

    def on_mount(self) -> None:
        names = look(self).text(words.listed(list(self._servers), NAMES_SHOWN), max_chars=300)
        count = words.plural(len(self._servers), "server")
        self.set_text("#servers-told", [[("on ", "muted"), (count, "bold"), (f"  {names}", "muted")]])
        self.query_one("#shell-command").focus()

    def on_input_submitted(self) -> None:
        """Makes the batch; what is wrong is told, all of it."""
        text = self.query_one("#shell-command", Input).value
        parallel = self.query_one("#parallel", Input).value.strip()
        timeout = self.query_one("#timeout", Input).value.strip()
        sudo = self.query_one("#sudo", Input).value.strip().lower()
        wrong = []
        if not text.strip():
            wrong.append("a command is needed")
        if sudo not in ("yes", "no"):
            wrong.append("as root: yes or no")
        if not parallel.isdecimal() or not 1 <= int(parallel) <= 10_000:
            wrong.append("at once: a number from 1 to 10000")
        if timeout and not _TIME.fullmatch(timeout):
            wrong.append("timeout: a time like 30s, 5m, 1h")
        if wrong:
            self.say("\n".join(wrong), bad=True)
            return
        self.undertake(lambda: self._make(text, int(parallel), timeout, sudo == "yes"), "make")

    async def _make(self, text: str, parallel: int, timeout: str, sudo: bool) -> None:
        from core.engine.adhoc import adhoc_batch, keep_adhoc
        from core.workspace.folder import Workspace

        workspace = self.session.workspace
        if workspace is None:
            return
        selector = " or ".join(f"name:{name}" for name in self._servers)

        def make() -> Path:
            document = adhoc_batch(selector, text, parallel=parallel, timeout=timeout or None, sudo=sudo)
            return keep_adhoc(Workspace.load(Path(workspace.path)), document)

        try:
            path = await asyncio.to_thread(make)
        except WindlassError as error:
            self.say_error(error)
        except OSError as error:
            self.say(f"the command could not be kept: {error.strerror or error}", bad=True)
        else:
            self.dismiss(str(path))

    def action_close(self) -> None:
        """Leaves at once, also from a field."""
        self.dismiss(None)
