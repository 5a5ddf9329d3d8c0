"""How one command of a task ended, and the words for it."""

from __future__ import annotations

import hashlib
import random
import signal as signals
from dataclasses import dataclass, replace

from core.batch.model import Retries
from core.engine.executor import Ended, NotStarted, Stopped, Work
from core.engine.flight import Flight, StopReason, stop_words
from core.engine.recorder import OutputRecorder


@dataclass(frozen=True, slots=True)
class Result:
    """How one command of a task ended. `outcome` is what the attempt's row says.

    `ok` means that the task may go on; `again` that another attempt may be made at once.
    """

    outcome: str
    why: str = ""
    exit_status: int | None = None
    signal: str = ""
    evidence: str = ""
    again: bool = False

    @property
    def ok(self) -> bool:
        return self.outcome == "ok"

    @property
    def in_doubt(self) -> bool:
        return self.outcome == "in doubt"


def back_off(retries: Retries, attempt: int, source: random.Random) -> float:
    """Seconds before the attempt after number `attempt`: exponential, capped, with jitter around it."""
    delay_s = min(retries.delay_s * retries.backoff ** (attempt - 1), retries.max_delay_s)
    return max(0.0, delay_s * (1 + source.uniform(-retries.jitter, retries.jitter)))


def work_digest(work: Work) -> str:
    """sha256 of the rendered work, stored with the intent."""
    return hashlib.sha256(repr(work).encode()).hexdigest()


def exit_words(status: int, signal: str = "") -> str:
    """An exit status for a person: "exit 3", "exit 143 (SIGTERM, or exit 143)"."""
    if signal:
        return f"ended by SIG{signal}"
    if status > 128:
        try:
            return f"exit {status} ({signals.Signals(status - 128).name}, or exit {status})"
        except ValueError:
            pass
    return f"exit {status}"


def of_end(answer: Ended, ok_exit: tuple[int, ...]) -> Result:
    if answer.exit_status in ok_exit and not answer.signal:
        return Result("ok", answer.why, answer.exit_status, "", answer.evidence)
    why = answer.why or exit_words(answer.exit_status, answer.signal)
    return Result("failed", why, answer.exit_status, answer.signal, answer.evidence)


def hinted(result: Result, recorder: OutputRecorder) -> Result:
    """Adds what to do instead, where the command ended at a prompt."""
    hint = ""
    if result.outcome == "failed":
        hint = recorder.hint(result.exit_status)
    elif result.outcome == "timed out":
        hint = recorder.hint(None)
    return replace(result, why=f"{result.why}; {hint}") if hint else result


def of_stop(flight: Flight, answer: object, timeout_s: float | None) -> Result:
    reason = flight.stop_reason or StopReason.CANCEL
    told = reason.value if reason is StopReason.CANCEL else f"{reason.value} after {seconds(timeout_s)}"
    if flight.late_s and reason is StopReason.TIMEOUT:
        told += f", stopped {seconds(round(flight.late_s))} late: nobody could be asked before"
    exit_status = answer.exit_status if isinstance(answer, Ended) else None
    signal = answer.signal if isinstance(answer, Ended) else ""
    if isinstance(flight.stop_answer, Stopped) or isinstance(answer, Ended | NotStarted):
        outcome = "stopped" if reason is StopReason.CANCEL else "timed out"
        return Result(outcome, told, exit_status, signal, f"stop {stop_words(flight.stop_answer)}")
    return Result(
        "in doubt", f"{told}, stop unconfirmed", exit_status, signal, stop_words(flight.stop_answer)
    )


def seconds(value: float | None) -> str:
    return f"{value:g} s" if value is not None else "its time"


def flat(text: str) -> str:
    return " ".join(text.split())
