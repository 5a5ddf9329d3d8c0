"""From remote bytes to stored output: gathers, posts in pieces, and hands the rest to the outcome.

One recorder serves one attempt. Output that came before an outcome is durable with it at the latest:
`finish` puts what is left into the transaction of the outcome. The recorder never blocks the
executor and remembers at most a piece of each stream, the last line, and, for steps that register
their output, the head of standard output. Where the store is behind it says so, and the executor stops
reading (`OutputSink`). Secrets are taken out before anything is kept; what may begin one waits for what
follows it, so `offsets` (raw, received) may be ahead of what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from core.model import events
from core.model.states import Purpose, Stream, from_the_start
from core.prompts import TAIL_BYTES, hint_for
from core.secrets.redact import NO_FORMS, Forms, Redactor
from core.store.tx import Tx

PIECE_BYTES = 64 * 1024
FLUSH_AFTER_S = 0.1
LAST_LINE_BYTES = 400
REGISTERED_BYTES = 64 * 1024


class OutputRecorder:
    """Takes the bytes of one attempt (it is the executor's `OutputSink`)."""

    def __init__(
        self,
        *,
        run: int,
        task: int,
        step: str,
        server: str,
        purpose: Purpose,
        attempt: int,
        post: Callable[[Tx], None],
        room: Callable[[], asyncio.Future[None] | None] = lambda: None,
        keep_stdout: bool = False,
        forms: Forms = NO_FORMS,
    ) -> None:
        self._run, self._task, self._step, self._server = run, task, step, server
        self._purpose, self._attempt = purpose, attempt
        self._post = post
        self._room = room
        self._pieces: dict[Stream, tuple[int, bytearray]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._last_line = b""
        self._keep_stdout = keep_stdout
        self._redactors = {stream: Redactor(forms) for stream in Stream} if forms else {}
        self._ends = {Stream.STDOUT: b"", Stream.STDERR: b""}
        self.offsets = from_the_start()
        self.stdout = bytearray()
        self.stdout_truncated = False

    def go_on(self, offsets: Mapping[Stream, int], stdout: bytes) -> None:
        """Goes on where an earlier recorder stopped: what is stored, and the head of standard output."""
        self.offsets = dict(offsets)
        self.stdout = bytearray(stdout)
        self.stdout_truncated = len(stdout) < offsets[Stream.STDOUT]

    def __call__(self, stream: Stream, start: int, data: bytes) -> asyncio.Future[None] | None:
        """See OutputSink."""
        if not data:
            return None
        before = self.offsets[stream]
        self.offsets[stream] = start + len(data)
        self._ends[stream] = (self._ends[stream] + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        redactor = self._redactors.get(stream)
        if redactor is not None:
            if start != before:
                self._release(stream, before)
            start -= redactor.held
            data = redactor.feed(data)
        self._gather(stream, start, data, gap=start > before)
        return self._room()

    def _release(self, stream: Stream, end: int) -> None:
        """Gathers what the redactor held back up to offset `end`: nothing that belongs to it follows."""
        held = self._redactors[stream].finish()
        self._gather(stream, end - len(held), held)

    def _gather(self, stream: Stream, start: int, data: bytes, *, gap: bool = False) -> None:
        """Takes redacted bytes."""
        if not data:
            return
        if self._keep_stdout and stream is Stream.STDOUT:
            room = REGISTERED_BYTES - len(self.stdout)
            self.stdout += data[:room]
            self.stdout_truncated = self.stdout_truncated or len(data) > room or gap
        held = self._pieces.get(stream)
        if held is not None and held[0] + len(held[1]) == start:
            held[1].extend(data)
        else:
            if held is not None:
                self.flush()
            self._pieces[stream] = (start, bytearray(data))
        if len(self._pieces[stream][1]) >= PIECE_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_AFTER_S, self.flush)

    def hint(self, exit_status: int | None) -> str:
        """What to do instead, where the command ended at a prompt that nobody could answer; else ""."""
        return hint_for(self._ends[Stream.STDERR], self._ends[Stream.STDOUT], exit_status)

    def end(self) -> None:
        """Posts what is left of output that no outcome goes with."""
        self._release_all()
        self.flush()

    def flush(self) -> None:
        """Posts what has gathered."""
        if self._pieces:
            tx = Tx()
            self._move_to(tx)
            self._post(tx)
        self._stop_timer()

    def finish(self, tx: Tx) -> None:
        """Puts what is left into the outcome's transaction."""
        self._release_all()
        self._stop_timer()
        if self._pieces:
            self._move_to(tx)

    def _release_all(self) -> None:
        for stream in self._redactors:
            self._release(stream, self.offsets[stream])

    def _move_to(self, tx: Tx) -> None:
        before = self._last_line
        for stream, (start, gathered) in self._pieces.items():
            data = bytes(gathered)
            for at in range(0, len(data), PIECE_BYTES):
                piece = data[at : at + PIECE_BYTES]
                tx.output(self._run, self._task, self._purpose, self._attempt, stream, start + at, piece)
            tx.event(
                events.TASK_OUTPUT,
                run=self._run,
                step=self._step,
                server=self._server,
                attempt=self._attempt,
                data={
                    "purpose": self._purpose.value,
                    "stream": stream.value,
                    "start": start,
                    "end": start + len(data),
                },
            )
            self._last_line = last_line(data) or self._last_line
        self._pieces.clear()
        if self._last_line != before:
            tx.task(self._run, self._task, last_line=self._last_line.decode("utf-8", "replace"))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def last_line(data: bytes) -> bytes:
    """The last line with something in it, cut to what a list shows."""
    text = data[-4 * LAST_LINE_BYTES :].rstrip()
    cut = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
    return text[cut:][:LAST_LINE_BYTES]
