"""Asking before an action on a run: what it will do, the command that does the same, and a key to go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual.binding import Binding

from core.model.views import RunInfo
from tui.consequences import Act
from tui.look import look
from tui.paint import Spans
from tui.screens.base import Keyed
from tui.screens.sheets import ConfirmSheet, NameSheet
from tui.session import Session


class ActSheet(ConfirmSheet):
    """Says what an action will do, with the command line for it, which can be copied."""

    BINDINGS = [
        Binding(
            "c",
            "copy_it",
            "copy command",
            id="act.copy",
            tooltip="Copy the command line that does the same, and do nothing",
        ),
    ]

    def __init__(self, session: Session, act: Act, lines: Sequence[Spans]) -> None:
        super().__init__(session, act.title, lines, yes=act.yes)
        self._command = session.command(*act.command)

    def footer(self) -> Sequence[str]:
        return ("confirm", "close", "copy_it")

    def action_copy_it(self) -> None:
        self.copy(self._command)


def lines_of(page: Keyed[Any], act: Act) -> list[Spans]:
    """What a sheet says about an action."""
    command = look(page).text(page.session.command(*act.command))
    return [*act.lines, [], [("the same: ", "muted"), (command, "")]]


def ask_first(page: Keyed[Any], act: Act, then: Callable[[str], None], run: RunInfo | None = None) -> None:
    """Says what an action will do, and calls `then` where a person says so.

    Where `run` asks for a name it must be typed, and `then` is given it; else it is given "".
    """
    lines = lines_of(page, act)
    if run is not None and run.confirm:
        page.app.push_screen(
            NameSheet(page.session, act.title, lines, run.confirm),
            lambda name: then(name) if name else None,
        )
        return
    page.app.push_screen(ActSheet(page.session, act, lines), lambda sure: then("") if sure else None)
