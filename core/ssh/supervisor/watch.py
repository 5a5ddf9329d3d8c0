"""Following one command: what it printed so far, what the server said of it, and what that proves.

Invariants: output is handed on once and in order, whatever is sent again; what a record proves is read from
the record alone, never guessed, and a record that is missing, torn or of another boot proves nothing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import dataclass, field

from core.engine.executor import Answer, Ended, InDoubt, NotStarted, OutputSink
from core.model.ids import AttemptRef
from core.model.states import Stream
from core.ssh.supervisor.frames import Frame
from core.ssh.supervisor.program import CHUNK_BYTES
from core.ssh.supervisor.record import State, exit_status_of


@dataclass(slots=True)
class Watch:
    """One command that is followed: what it printed so far, and what the server told of it by itself."""

    ref: AttemptRef
    folder: str
    record: str
    sink: OutputSink
    offsets: dict[Stream, int]
    stirred: bool = False
    _waiter: asyncio.Future[None] | None = None
    _notice: Frame | None = None
    _printed: bool = False
    _full: bool = False
    _rooms: list[Awaitable[None]] = field(default_factory=list)

    def told(self, frame: Frame | None) -> None:
        """The server said something of it, or the session is over (None)."""
        self._notice = frame or self._notice
        self.stirred = True
        self._wake()

    async def next(self, pause_s: float) -> Frame | None:
        """What the server says of it within that time."""
        if pause_s and not self.stirred:
            # By hand, as this is waited for once for each command: an event and a timeout cost twice as much.
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(pause_s, self._wake)
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        self.stirred = False
        notice, self._notice = self._notice, None
        return notice

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def make_room(self) -> None:
        """Waits until what was handed over is stored: what is printed meanwhile waits on the server."""
        while self._rooms:
            await self._rooms.pop()

    def take_printed(self) -> tuple[bool, bool]:
        """Whether anything was printed since the last call, and whether more is likely to be waiting."""
        told, self._printed, self._full = (self._printed, self._full), False, False
        return told

    def deliver(self, stream: Stream, start: int, data: bytes) -> None:
        """Output arrived; what is known already is left out."""
        known = self.offsets[stream]
        self._full = self._full or len(data) >= CHUNK_BYTES
        if start < known:
            data, start = data[known - start :], known
        if data:
            self.offsets[stream] = start + len(data)
            self._printed = True
            room = self.sink(stream, start, data)
            if room is not None:
                self._rooms.append(room)


def settled(notice: Frame, watch: Watch, name: str) -> Answer | None:
    """What a notice settles by itself."""
    if notice.kind == "N":
        what = {"output": "its output files", "text": "its text"}.get(notice.text(1), "its record")
        return NotStarted(f"{what} could not be written on {name} (is its disk full?): it never ran")
    if notice.kind == "X":
        why = notice.text(1)
        if why == "gone":
            return NotStarted(f"the run's folder {watch.folder} is gone from {name}", again=True)
        if why == "full":
            return NotStarted(f"its claim could not be written on {name} (is its disk full?): it never ran")
        return None
    status = exit_status_of(notice.text(1)) if notice.kind == "D" else None
    if status is None:
        return None
    if notice.text(2) == "=":
        printed = notice.words[3] if len(notice.words) > 3 else b""
        watch.deliver(Stream.STDOUT, 0, printed.replace(b"^", b"\n"))
        return Ended(status)
    return Ended(status) if notice.words[2:] == (b"0",) else None


def verdict(state: State, folder: str, name: str) -> Answer | None:
    """What a record proves; None while the command runs."""
    if state.claim == "gone":
        return InDoubt(f"the run's folder {folder} is gone from {name}, and its records with it")
    if state.status is not None:
        return Ended(state.status)
    if state.torn:
        return InDoubt(f"the record of its end on {name} is not whole")
    if state.claim == "v":
        return NotStarted(f"it never started on {name}: it was voided")
    if state.claim == "n":
        return InDoubt("it was not claimed")
    if state.life == "boot":
        return InDoubt(f"interrupted: {name} was rebooted while it ran", over=True)
    if state.life == "y":
        return None
    if state.pid:
        return InDoubt(f"interrupted: its process {state.pid} on {name} is gone and left no exit status")
    return InDoubt(f"it was claimed on {name} and left no pid: nobody knows whether it started")


def hints(notice: Frame | None) -> tuple[str, str]:
    """How much an ended command printed on both streams, as far as the notice of its end tells."""
    if notice is None or notice.kind != "D":
        return ("-", "-")
    first, second = (text if re.fullmatch(r"[0-9]{1,18}", text) else "-" for text in map(notice.text, (2, 3)))
    return first, second
