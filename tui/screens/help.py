"""The help overlay: every key that works on the screen below, why one does nothing now, and what the signs mean.

Generated from the bindings, so that it can't fall behind them.
"""

from __future__ import annotations

from typing import Any

from textual import events
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from core.model.states import RunState, TaskState
from themes.signs import INTERRUPTED, RUN_SIGNS, TASK_SIGNS
from tui.look import look
from tui.paint import Span, Spans, hanging
from tui.screens.base import Keyed, Sheet
from tui.session import Session

MOVING = {"table": "Moving", "tiles": "Moving", "output": "Moving", "app": "Everywhere"}
"""Where actions stand that are not the screen's own, by the area of their ids."""
KEY_WIDTH = 10
LABEL_WIDTH = 15


class HelpSheet(Sheet[None]):
    """Keys of `below`, collected when the sheet opens."""

    TITLE_TEXT = "Keys"
    DEFAULT_CSS = """
    HelpSheet { #sheet { max-width: 110; height: 96%; } #help { height: 1fr; } }
    """

    def __init__(self, session: Session, below: Keyed[Any]) -> None:
        super().__init__(session)
        self._entries = [
            (
                keys,
                below.label(binding.action) or binding.description,
                binding,
                below.reason_against(binding.action),
            )
            for keys, binding in below.bindings_here()
            if binding.id
        ]

    def sheet(self) -> ComposeResult:
        with VerticalScroll(id="help"):
            yield Static("", classes="text", id="help-text")

    def on_mount(self) -> None:
        self.query_one("#help").focus()

    async def action_help(self) -> None:
        """The key that opened it closes it."""
        self.dismiss(None)

    def label(self, action: str) -> str:
        return "back" if action == "help" else ""

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        width = self.query_one("#help").size.width - 4
        self.set_text("#help-text", self._lines(width))

    def _lines(self, width: int) -> list[Spans]:
        style = look(self)
        groups: dict[str, list[Spans]] = {"Here": [], "Moving": [], "Everywhere": []}
        for keys, label, binding, reason in self._entries:
            area = (binding.id or "").split(".")[0]
            group = groups[MOVING.get(area, "Here")]
            group += _entry(keys, label, style.own(binding.tooltip), width, bool(reason))
            if reason:
                group += _entry("", "", f"not now: {style.text(reason)}", width, False, "warning")
        groups["Moving"] += _entry("tab", "next panel", "shift+tab goes back", width, False)
        lines: list[Spans] = []
        for title, entries in groups.items():
            if entries:
                lines += [[(title, "bold")], *entries, []]
        return [*lines, *self._legend()]

    def _legend(self) -> list[Spans]:
        style = look(self)
        signs = [TASK_SIGNS[state] for state in TaskState]
        signs += [RUN_SIGNS[state] for state in (RunState.PAUSED, RunState.WAITING, RunState.ROLLED_BACK)]
        signs.append(INTERRUPTED)
        lines: list[Spans] = [[("Signs", "bold")]]
        for at in range(0, len(signs), 3):
            lines.append([(f"{style.mark(sign)} {sign.word:<23}", sign.role) for sign in signs[at : at + 3]])
        return lines


def _entry(keys: str, label: str, text: str, width: int, dimmed: bool, role: str = "muted") -> list[Spans]:
    """One key: what it does, wrapped beside it."""
    key: Span = (f"{keys:<{KEY_WIDTH}} ", "faint" if dimmed else "bold accent")
    name: Span = (f"{label:<{LABEL_WIDTH}} ", "muted" if dimmed else "")
    first, *rest = hanging((" " * (KEY_WIDTH + LABEL_WIDTH + 2), ""), text, width, role)
    return [[key, name, *first[1:]], *rest]
