"""The terminal driver: a terminal that is slow, stalled or gone never stalls or spins the process.

The engine may live in this process, so drawing must not wait for the terminal. Invariants: `write` never blocks while
the interface runs (what a stalled terminal can't take is dropped, and the screen is drawn anew once it takes bytes
again); a terminal that is gone raises nothing and is noticed within the app's next look; a key goes where the keys
before it led.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import queue
import select
import selectors
import signal
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

from textual import events
from textual._xterm_parser import XTermParser
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message
from textual.message_pump import MessagePump
from textual.widgets import TextArea

from tui.pasting import PasteGuard, cleaned

STOP_WAIT_S = 2.0
"""How long the last bytes (leaving the alternate screen) may take."""
READ_WAIT_S, READ_BYTES = 0.1, 4096
KEY_WAIT_S = 0.4
"""How long the next key waits at most until the one before it was acted on."""


class SafeFile:
    """The terminal as a file whose errors are remembered instead of raised.

    `on_lost` is called for bytes that a slow terminal did not take: another program may have left it in a mode
    in which writing does not wait.
    """

    def __init__(self, file: IO[str], on_lost: Callable[[], None]) -> None:
        self._file = file
        self._on_lost = on_lost
        self.gone = False

    def write(self, text: str) -> int:
        """Writes, or notes that nobody is there any more."""
        try:
            return self._file.write(text)
        except BlockingIOError:
            self._on_lost()
            return 0
        except (OSError, ValueError):
            self.gone = True
            return 0

    def flush(self) -> None:
        """Flushes, or notes that nobody is there any more."""
        try:
            self._file.flush()
        except BlockingIOError:
            self._on_lost()
        except (OSError, ValueError):
            self.gone = True

    def fileno(self) -> int:
        """The descriptor of the terminal."""
        return self._file.fileno()

    def isatty(self) -> bool:
        """As the terminal says."""
        return self._file.isatty()


class SteadyDriver(LinuxDriver):
    """Textual's driver for Linux and macOS, made safe against terminals that stop or vanish."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._safe_file = SafeFile(sys.__stderr__ or sys.stderr, self._note_lost)
        self._file = self._safe_file  # type: ignore[assignment]
        self.dropped = False
        """True after bytes were dropped, until the screen is drawn anew."""
        self.shows_other = True
        """True where the terminal shows something else than what was written, until a frame is written whole."""
        self._stopping = False
        self._took = False
        self._changing = False

    def _get_terminal_size(self) -> tuple[int, int]:
        """Of the terminal that keys come from: standard output may be a pipe. 80 by 25 where it can't be told."""
        try:
            width, height = os.get_terminal_size(self.fileno)
        except (OSError, ValueError):
            width, height = 0, 0
        return width or 80, height or 25

    def send_message(self, message: Message) -> None:
        """Sends a message to the app; the next one only once a key has done what it does.

        Keys that come in one go (a slow link, a fast hand, another program) would else all go to what has the focus
        now, and not to what the first of them opens. This is the thread that reads keys: it may wait.
        """
        if not isinstance(message, events.Key | events.Paste):
            super().send_message(message)
            return
        before = self._app.focused
        if isinstance(message, events.Paste):
            message.text = cleaned(message.text, one_line=not isinstance(before, TextArea))
        super().send_message(message)
        acted = asyncio.run_coroutine_threadsafe(self._acted_on(before), self._loop)
        with contextlib.suppress(TimeoutError, asyncio.CancelledError, RuntimeError):
            acted.result(KEY_WAIT_S)

    async def _acted_on(self, before: MessagePump | None) -> None:
        """Returns when the app, what had the focus, what has it now and the screen on top have nothing left to do."""
        await _idle(self._app)
        if before is not None:
            await _idle(before)
        await _idle(self._app)  # it opens screens
        await _idle(self._app.screen)
        if self._app.focused is not None:
            await _idle(self._app.focused)

    def _note_lost(self) -> None:
        self.dropped = True

    def write(self, data: str) -> None:
        """Queues bytes for the terminal; drops them where it takes none."""
        thread = self._writer_thread
        if thread is None:
            return
        try:
            if self._stopping:
                thread._queue.put(data, timeout=STOP_WAIT_S)
            else:
                thread._queue.put_nowait(data)
        except queue.Full:
            self.dropped = True

    @property
    def can_draw_anew(self) -> bool:
        """True where bytes were dropped and the terminal takes bytes again."""
        return self.dropped and self._writer_thread is not None and self._writer_thread._queue.empty()

    @property
    def gone(self) -> bool:
        """True where the terminal has hung up."""
        if self._safe_file.gone:
            return True
        poll = select.poll()
        poll.register(self.fileno, 0)
        try:
            return any(event & (select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))
        except OSError:
            return True

    def stop_reading(self) -> None:
        """Ends the thread that reads keys, without waiting for it: after a hang-up it would spin."""
        self.exit_event.set()

    def run_input_thread(self) -> None:
        """Reads keys until told to stop, or until the terminal is gone."""
        try:
            self._read_keys()
        except OSError:
            self._safe_file.gone = True

    def _read_keys(self) -> None:
        """As Textual's driver does, but pasted text is guarded, and bytes that are no UTF-8 end nothing."""
        parser, guard = XTermParser(self._debug), PasteGuard()
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                if selector.select(READ_WAIT_S):
                    text = guard.feed(decode(os.read(self.fileno, READ_BYTES)))
                    for message in parser.feed(text) if text else ():
                        self.process_message(message)
                for message in parser.tick():
                    self.process_message(message)

    def set_mouse(self, on: bool) -> None:
        """Asks the terminal for the mouse, or leaves it to the terminal."""
        if on != self._mouse:
            self._disable_mouse_support()
            self._mouse = on
            self._enable_mouse_support()

    def start_application_mode(self) -> None:
        """Takes the terminal, also again after it was given back."""
        self._stopping = False
        self.shows_other = True
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._took = True

    def _sigtstp_application(self, *_: object) -> None:
        """Stops, with the terminal given back."""
        self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if not self._changing:
            super()._sigtstp_application()

    def _sigcont_application(self, *_: object) -> None:
        """Goes on after a stop. One that came without warning (SIGSTOP) left the terminal as it was, to others.

        A signal may come in the middle of anything, also while a lock is held that writing needs: only where this
        process stood in `_stop` the rest is done at once.
        """
        if self._took and self._auto_restart:
            self._loop.call_soon_threadsafe(self._begin_anew)
        elif not self._changing:
            super()._sigcont_application()

    def _begin_anew(self) -> None:
        if not self._in_front:
            os.kill(os.getpid(), signal.SIGSTOP)  # until the shell brings it to the front
        elif self._took and not self._changing:
            self.suspend_application_mode()
            self._must_signal_resume = True
            self.resume_application_mode()

    def suspend_application_mode(self) -> None:
        """Gives the terminal back for a while; what is drawn meanwhile goes nowhere."""
        with self._on_the_way():
            super().suspend_application_mode()
            self._writer_thread = None

    def resume_application_mode(self) -> None:
        """Takes it again; the screen is drawn anew."""
        with self._on_the_way():
            self.dropped = False
            super().resume_application_mode()

    @contextlib.contextmanager
    def _on_the_way(self) -> Iterator[None]:
        """A signal that comes meanwhile must not begin the same, nor the opposite, in the middle of it."""
        self._changing = True
        try:
            yield
        finally:
            self._changing = False

    @property
    def _in_front(self) -> bool:
        """True where the terminal is this process's to write to and to read from."""
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:
            return True

    def stop_application_mode(self) -> None:
        """Gives the terminal back."""
        self._took = False
        self._stopping = True
        super().stop_application_mode()

    def close(self) -> None:
        """Ends the writing thread; one that a stalled terminal holds ends with the process."""
        thread = self._writer_thread
        if thread is None:
            return
        try:
            thread._queue.put(None, timeout=STOP_WAIT_S)
        except queue.Full:
            return
        thread.join(STOP_WAIT_S)


async def _idle(pump: MessagePump) -> None:
    """Returns when a part of the interface has handled what was sent to it so far."""
    done = asyncio.Event()
    if pump.is_running and pump.call_later(done.set):
        await done.wait()
