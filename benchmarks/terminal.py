"""A program in a pseudo-terminal: its keys, its bytes with the moment each was read, and what it has painted.

Painted is what pyte, a terminal emulator, makes of the bytes. It is asked only while nothing comes, with chunks
that were stamped when they were read, so what the emulator costs is in no time that is measured.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyte

SIZE = (40, 120)  # rows, columns
GIVE_UP_S = 120.0
PAUSE_S = 0.02
"""So long nothing must come before the emulator is asked."""
END_S = 5.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Painted = Callable[[Sequence[str]], bool]
"""Says of the screen's lines whether what is waited for is there."""


class Terminal:
    """One program in a terminal of its own, ended with the `with` block."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, SIZE)
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._screen = pyte.Screen(SIZE[1], SIZE[0])
        self._stream = pyte.ByteStream(self._screen)
        self._chunks: list[tuple[float, bytes]] = []
        self.bytes_read = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._process.send_signal(signal.SIGHUP)
        ends_at = time.perf_counter() + END_S
        while time.perf_counter() < ends_at and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self._read(0.05)
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    # ------------------------------------------------------------ keys and bytes

    def press(self, keys: str) -> float:
        """Sends keys; returns when."""
        now = time.perf_counter()
        os.write(self._ours, keys.encode())
        return now

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size, and tells the program."""
        termios.tcsetwinsize(self._ours, (rows, columns))
        self.lines()
        self._screen.resize(rows, columns)
        self._process.send_signal(signal.SIGWINCH)

    def _read(self, wait_s: float) -> bool:
        """Takes one chunk, if any comes in that time."""
        if not select.select([self._ours], [], [], wait_s)[0]:
            return False
        data = os.read(self._ours, 1 << 16)
        self._chunks.append((time.perf_counter(), data))
        self.bytes_read += len(data)
        return True

    def watch(self, seconds_s: float) -> None:
        """Reads for so long."""
        ends_at = time.perf_counter() + seconds_s
        while (left_s := ends_at - time.perf_counter()) > 0:
            self._read(left_s)

    # ------------------------------------------------------------ what is painted

    def lines(self) -> list[str]:
        """The screen as it is after everything that was read."""
        while self._chunks:
            self._stream.feed(self._chunks.pop(0)[1])
        return list(self._screen.display)

    def cells(self) -> list[list[tuple[object, ...]]]:
        """The screen's cells row by row, each with its sign, its colours and how it is set."""
        self.lines()
        buffer = self._screen.buffer
        return [[tuple(buffer[y][x]) for x in range(self._screen.columns)] for y in range(self._screen.lines)]

    def until(self, painted: Painted, *, give_up_s: float = GIVE_UP_S) -> float:
        """When the chunk was read after which it is painted. Raises RuntimeError where it never is."""
        found = self.first(painted, quiet_s=give_up_s, give_up_s=give_up_s)
        if found is None:
            raise RuntimeError("it did not come up:\n" + "\n".join(self._screen.display))
        return found

    def first(self, painted: Painted, *, quiet_s: float, give_up_s: float = GIVE_UP_S) -> float | None:
        """As `until`; None where nothing comes for that long."""
        now = time.perf_counter()
        ends_at, quiet_at = now + give_up_s, now + quiet_s
        while (now := time.perf_counter()) < ends_at and now < quiet_at:
            if self._process.poll() is not None:
                raise RuntimeError("the program has ended:\n" + "\n".join(self.lines()))
            if self._read(PAUSE_S):
                quiet_at = max(quiet_at, time.perf_counter() + quiet_s)
                continue
            while self._chunks:
                at, data = self._chunks.pop(0)
                self._stream.feed(data)
                if painted(self._screen.display):
                    return at
        return None

    # ------------------------------------------------------------ what it costs

    @property
    def pid(self) -> int:
        """Of the program."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Seconds of a core that the program has used, user and system, all of its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def resident_bytes(self) -> int:
        """The memory that it holds now."""
        found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(), re.MULTILINE)
        return int(found.group(1)) * 1024 if found else 0


def shows(*texts: str) -> Painted:
    """True where each of the texts is on the screen."""
    return lambda lines: all(any(text in line for line in lines) for text in texts)
