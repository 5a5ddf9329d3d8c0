"""What an attempt is called on a server, and what its record says."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from core.model.ids import AttemptRef
from core.model.states import Purpose
from core.ssh.supervisor.frames import Frame

_LETTERS = {
    Purpose.RUN.value: "r",
    Purpose.UNDO.value: "u",
    Purpose.CHECK.value: "c",
    Purpose.VERIFY.value: "v",
}
_PATH = re.compile(r"/[^\0\n']*/run-[0-9a-f]{32}\.[0-9a-f]{16}")


def record_id(ref: AttemptRef) -> str:
    """The name of an attempt's record: the same in every process, and no other attempt's."""
    purpose: str = ref.purpose.value
    told = "\0".join((ref.step, ref.server, purpose, str(ref.attempt)))
    return f"{_LETTERS[purpose]}{hashlib.sha256(told.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}"


def passing_id(ref: AttemptRef) -> str:
    """A name nobody used before, for a command that may be run again: nobody looks for its record."""
    return f"{record_id(ref)[:9]}-{secrets.token_hex(6)}"


def new_folder_name(run_id: str) -> str:
    """The name of a run's folder: with a marker, so that no other folder of the run can be mistaken for it."""
    return f"run-{run_id}.{secrets.token_hex(8)}"


def is_folder(path: str) -> bool:
    """Whether a path can be a run's folder: what a server sent is used in requests only then."""
    return len(path) < 1000 and _PATH.fullmatch(path) is not None


def exit_status_of(word: str) -> int | None:
    """An exit status that a server told, None where it is none."""
    return int(word) if re.fullmatch(r"[0-9]{1,3}", word) and int(word) <= 255 else None


@dataclass(frozen=True, slots=True)
class State:
    """The record of an attempt.

    claim: "n" none, "y" claimed, "v" voided, "gone" where the run's folder is missing.
    status: the exit status; None where there is none. `torn` where its record is not whole.
    life: "y" something of it runs, "n" nothing, "boot" the server was rebooted since it started.
    elapsed_s: how long ago it started, by the server's uptime.
    """

    claim: str
    status: int | None
    torn: bool
    life: str
    pid: int
    elapsed_s: float | None

    @property
    def unsettled(self) -> bool:
        """Whether the record may still be on its way: claimed, with neither a process nor a whole status yet."""
        return self.claim == "y" and self.status is None and (self.torn or self.life == "n")

    @classmethod
    def of(cls, frame: Frame) -> State:
        """From a G frame; odd values count as unknown."""
        claim, status, life, pid, up, now = (frame.text(number) for number in range(1, 7))
        exit_status = exit_status_of(status)
        elapsed = None
        if all(re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", value) for value in (up, now)):
            elapsed = max(0.0, float(now) - float(up))
        return cls(
            claim if claim in ("n", "y", "v", "gone") else "y",
            exit_status,
            exit_status is None and status != "-",
            life if life in ("y", "n", "boot") else "n",
            int(pid) if re.fullmatch(r"[0-9]{1,9}", pid) else 0,
            elapsed if life != "boot" else None,
        )
