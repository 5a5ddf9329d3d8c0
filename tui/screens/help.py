"""The help overlay: every key that works on the screen below, why one does nothing now, and what the signs mean.

Generated from the bindings, so that it can't fall behind them.
"""

from __future__ import annotations

from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from core.model.states import RunState, TaskState
from themes.signs import INTERRUPTED, RUN_SIGNS, TASK_SIGNS
from tui.look import look
from tui.paint import Span, Spans, content
from tui.screens.base import Keyed, Sheet
from tui.session import Session

KEY_WIDTH = 12


class HelpSheet(Sheet[None]):
    """Keys of `below`, collected when the sheet opens."""

    TITLE_TEXT = "Keys"
    FOOTER = ("close",)
    DEFAULT_CSS = """
    HelpSheet { #sheet { max-width: 100; } #help { height: auto; max-height: 80vh; } }
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
        self.query_one("#help-text", Static).update(content(self._lines()))
        self.query_one("#help").focus()

    def _lines(self) -> list[Spans]:
        style = look(self)
        groups: dict[str, list[Spans]] = {"Here": [], "Moving": [], "Everywhere": []}
        for keys, label, binding, reason in self._entries:
            area = (binding.id or "").split(".")[0]
            group = {"table": "Moving", "output": "Moving", "app": "Everywhere"}.get(area, "Here")
            line: list[Span] = [(f"{keys:<{KEY_WIDTH}} ", "faint" if reason else "bold accent")]
            line.append((f"{label}", "muted" if reason else ""))
            if binding.tooltip and binding.tooltip.lower() != label.lower():
                line.append((style.own(f" · {binding.tooltip}"), "muted"))
            groups[group].append(line)
            if reason:
                groups[group].append(
                    [(" " * (KEY_WIDTH + 1), ""), (style.text(f"not now: {reason}"), "warning")]
                )
        groups["Moving"].append(
            [
                (f"{'tab':<{KEY_WIDTH}} ", "bold accent"),
                ("Next panel", ""),
                (style.own(" · shift+tab goes back"), "muted"),
            ]
        )
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
