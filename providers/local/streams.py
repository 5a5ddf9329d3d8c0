"""Moves bytes between an SSH channel and the pipes (or the terminal) of a command, without copying tasks.

Each end owns one non-blocking descriptor and closes it exactly once. Back-pressure runs both ways: a
client that does not read stops the reading of the command's output, a command that does not read stops
the reading from the client.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable

READ_BYTES = 64 * 1024
MAX_BUFFERED = 256 * 1024


class OutputPipe:
    """Reads a descriptor and hands on what comes; `on_end` is called once at its end or closing."""

    def __init__(self, descriptor: int, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._on_data = on_data
        self._on_end = on_end
        self.paused = False
        self.open = True
        self._loop.add_reader(descriptor, self._read)

    def pause(self) -> None:
        """Stops reading until `resume`."""
        if self.open and not self.paused:
            self.paused = True
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        """Reads again."""
        if self.open and self.paused:
            self.paused = False
            self._loop.add_reader(self._descriptor, self._read)

    def close(self) -> None:
        """Reads nothing more; the writer will get SIGPIPE (a terminal's session SIGHUP)."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._on_end()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError:  # a terminal whose last user has gone: EIO
            data = b""
        if data:
            self._on_data(data)
        else:
            self.close()


class InputPipe:
    """Writes to a descriptor what it is fed; calls `pause` and `resume` as its buffer fills and drains."""

    def __init__(self, descriptor: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._pause = pause
        self._resume = resume
        self._buffer: deque[memoryview] = deque()
        self._buffered = 0
        self._paused = False
        self._ending = False
        self.open = True

    def feed(self, data: bytes) -> None:
        """Writes as much as fits and keeps the rest; what comes after the reader has gone is dropped."""
        if not self.open or self._ending:
            return
        idle = not self._buffer
        self._buffer.append(memoryview(data))
        self._buffered += len(data)
        if idle:
            self._write()
            if self.open and self._buffer:
                self._loop.add_writer(self._descriptor, self._write)
        if self._buffered > MAX_BUFFERED and not self._paused:
            self._paused = True
            self._pause()

    def end(self) -> None:
        """Closes the descriptor once everything fed so far is written."""
        self._ending = True
        if not self._buffer:
            self.close()

    def close(self) -> None:
        """Closes the descriptor now; what is buffered is lost."""
        if not self.open:
            return
        self.open = False
        self._loop.remove_writer(self._descriptor)
        os.close(self._descriptor)
        self._buffer.clear()
        self._buffered = 0
        self._unpause()

    def _unpause(self) -> None:
        if self._paused:
            self._paused = False
            self._resume()

    def _write(self) -> None:
        try:
            while self._buffer:
                piece = self._buffer[0]
                written = os.write(self._descriptor, piece)
                self._buffered -= written
                if written < len(piece):
                    self._buffer[0] = piece[written:]
                else:
                    self._buffer.popleft()
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more
            self.close()
            return
        if self._buffered <= MAX_BUFFERED // 2:
            self._unpause()
        if not self._buffer:
            self._loop.remove_writer(self._descriptor)
            if self._ending:
                self.close()
