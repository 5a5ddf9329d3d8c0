"""A terminal that hangs up, stalls or is closed: the interface ends in order, and never spins or blocks."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import resource
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_S = 120.0


class Terminal:
    """A pseudo-terminal with the interface in it. Its stdout is a pipe of lines (see `interface_process`)."""

    def __init__(self, *words: str, controlling: bool = True, **environ: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 110, 0, 0))
        self.seen = b""
        self.told = b""

        def take_terminal() -> None:
            if controlling:
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.functional.interface_process", *words],
            cwd=ROOT,
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_terminal,
            env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **environ},
        )
        os.close(slave)

    def wait_for(self, text: bytes, *, on: str = "screen", read_screen: bool = True) -> None:
        """Reads until a text comes; fails when it never does."""
        assert self.process.stdout is not None
        out = self.process.stdout.fileno()
        until = time.monotonic() + MOST_S
        while text not in (self.seen if on == "screen" else self.told):
            assert time.monotonic() < until, (text, self.seen[-2000:], self.told[-300:])
            wanted = [out] if self.master < 0 or not read_screen else [self.master, out]
            for fd in select.select(wanted, [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    data = os.read(fd, 65536)
                    if fd == out:
                        assert data or text in self.told, f"ended without {text!r}: {self.told[-300:]!r}"
                        self.told += data
                    else:
                        self.seen += data

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def close(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        if terminal.process.poll() is None:
            terminal.process.kill()
        terminal.process.wait()
        assert terminal.process.stdout is not None
        terminal.process.stdout.close()
        terminal.close()


def test_leaving_gives_the_terminal_back(terminals: list[Terminal]) -> None:
    terminal = Terminal()
    terminals.append(terminal)
    terminal.wait_for(b"dashboard")
    terminal.press(b"q")
    terminal.wait_for(b"status 0", on="stdout")
    terminal.wait_for(b"\x1b[?1049l")


@pytest.mark.parametrize("controlling", [True, False], ids=["with a signal", "without a signal"])
def test_a_hang_up_ends_it_without_spinning_and_drains_nothing(
    terminals: list[Terminal], controlling: bool
) -> None:
    terminal = Terminal("live", controlling=controlling)
    terminals.append(terminal)
    terminal.wait_for(b"dashboard")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    terminal.close()
    terminal.wait_for(b"status 0", on="stdout")
    assert b"drained" not in terminal.told
    assert terminal.process.wait(MOST_S) == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10.0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_ends_it_in_order(terminals: list[Terminal], number: signal.Signals) -> None:
    terminal = Terminal()
    terminals.append(terminal)
    terminal.wait_for(b"dashboard")
    terminal.process.send_signal(number)
    terminal.wait_for(b"status 0", on="stdout")


@pytest.mark.long
def test_a_stalled_terminal_stalls_nothing_else(terminals: list[Terminal]) -> None:
    """Nobody reads the terminal; the event loop, where the engine lives, goes on."""
    terminal = Terminal("live", "busy")
    terminals.append(terminal)
    terminal.wait_for(b"12 started")
    terminal.press(b"\r")
    terminal.wait_for(b"roll back")
    ticks = terminal.told.count(b"tick")
    for further in range(1, 6):
        terminal.wait_for(b"tick %d\n" % (ticks + further * 100), on="stdout", read_screen=False)
    terminal.wait_for(b"dropped", on="stdout", read_screen=False)
    # When it is read again, the whole screen is drawn anew, and it answers.
    terminal.told = b""
    terminal.wait_for(b"drawn anew", on="stdout")
    terminal.press(b"q")
    terminal.wait_for(b"Recent")


def test_a_poor_locale_gets_ascii_only(terminals: list[Terminal]) -> None:
    terminal = Terminal("live", LANG="C", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    terminals.append(terminal)
    terminal.wait_for(b"12 started")
    terminal.press(b"j\r")
    terminal.wait_for(b"run, attempt 1")
    assert terminal.seen.isascii(), {byte for byte in terminal.seen if byte > 127}
