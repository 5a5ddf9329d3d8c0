"""The signs of the states: one sign, one word and one colour role for each, the same on every face.

Invariants: each state of `core.model.states` has a sign; a sign is one cell wide; each has an ASCII twin for
terminals that can't draw it. Colour never stands alone: a sign or a word always goes with it.
"""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from core.model.states import RunState, TaskState, UndoState

Role = Literal["success", "warning", "error", "accent", "muted", "text"]
"""A colour by meaning; the theme says which colour that is."""


@dataclass(frozen=True, slots=True)
class Sign:
    """How a state is shown. `sign` and `ascii` are one cell wide each."""

    sign: str
    ascii: str
    word: str
    role: Role

    def mark(self, *, ascii_only: bool = False) -> str:
        """The sign alone."""
        return self.ascii if ascii_only else self.sign

    def text(self, *, ascii_only: bool = False) -> str:
        """The sign and the word: "✗ failed"."""
        return f"{self.mark(ascii_only=ascii_only)} {self.word}"


TASK_SIGNS: Mapping[TaskState, Sign] = {
    TaskState.WAITING: Sign("○", ".", "waiting", "muted"),
    TaskState.BLOCKED: Sign("⊘", "#", "blocked", "warning"),
    TaskState.RUNNING: Sign("▶", ">", "running", "accent"),
    TaskState.DONE: Sign("✓", "+", "done", "success"),
    TaskState.IN_PLACE: Sign("=", "=", "in place", "success"),
    TaskState.FAILED: Sign("✗", "x", "failed", "error"),
    TaskState.UNREACHABLE: Sign("⌁", "~", "unreachable", "error"),
    TaskState.IN_DOUBT: Sign("?", "?", "in doubt", "warning"),
    TaskState.SKIPPED: Sign("–", "-", "skipped", "muted"),
    TaskState.CANCELLED: Sign("■", "/", "cancelled", "muted"),
}

RUN_SIGNS: Mapping[RunState, Sign] = {
    RunState.RUNNING: Sign("▶", ">", "running", "accent"),
    RunState.PAUSED: Sign("‖", '"', "paused", "warning"),
    RunState.WAITING: Sign("◆", "*", "waiting for a person", "warning"),
    RunState.DONE: Sign("✓", "+", "done", "success"),
    RunState.FAILED: Sign("✗", "x", "failed", "error"),
    RunState.CANCELLED: Sign("■", "/", "cancelled", "muted"),
    RunState.ROLLING_BACK: Sign("↺", "<", "rolling back", "accent"),
    RunState.ROLLED_BACK: Sign("↺", "<", "rolled back", "muted"),
    RunState.ROLLBACK_FAILED: Sign("✗", "x", "rollback failed", "error"),
}

UNDO_SIGNS: Mapping[UndoState, Sign] = {
    UndoState.NONE: Sign(" ", " ", "", "muted"),
    UndoState.PENDING: Sign("○", ".", "undo waiting", "muted"),
    UndoState.UNDOING: Sign("↺", "<", "undoing", "accent"),
    UndoState.UNDONE: Sign("↺", "<", "undone", "muted"),
    UndoState.FAILED: Sign("✗", "x", "undo failed", "error"),
    UndoState.IN_DOUBT: Sign("?", "?", "undo in doubt", "warning"),
}

INTERRUPTED = Sign("!", "!", "interrupted", "warning")
"""A run whose state says running while no engine executes it: an observation, not a state."""


def run_sign(state: RunState, *, interrupted: bool = False) -> Sign:
    """The sign of a run, where being interrupted goes before its state."""
    return INTERRUPTED if interrupted and state.open else RUN_SIGNS[state]


def ascii_only(environ: Mapping[str, str] | None = None, encoding: str | None = None) -> bool:
    """True where the terminal can't be trusted with more than ASCII: TERM=dumb, the Linux console, no UTF-8.

    `environ` and `encoding` default to those of this process.
    """
    env = os.environ if environ is None else environ
    if env.get("TERM", "") in {"", "dumb", "linux", "vt100", "vt102", "vt220"}:
        return True
    name = locale.getpreferredencoding(False) if encoding is None else encoding
    return name.lower().replace("-", "").replace("_", "") not in {"utf8", "utf8sig"}
