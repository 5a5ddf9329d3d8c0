"""Two real terminals for the program: a pseudo-terminal that pyte reads, and tmux. Text is waited for, never time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import shlex
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyte

from tests.support.program import REPOSITORY

WAIT_S = float(os.environ.get("TERMINAL_WAIT_S", "180"))
"""Generous: the machine may be busy with other tests."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment of a person whose own files lie in a folder, on a good terminal."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TMUX", "COLUMNS", "LINES", "NO_COLOR", "TERM", "TEXTUAL"))
    }
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")}
    return {
        **kept,
        **own,
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(REPOSITORY),
        **more,
    }


def windlass(folder: Path, *words: str) -> list[str]:
    """The argument list of a command on a workspace."""
    return [sys.executable, "-m", "cli", *words, "-w", str(folder)]


def wait_until(holds: Callable[[], object], what: Callable[[], str]) -> None:
    """Returns once a condition holds; fails with `what` when it never does."""
    ends_at = time.monotonic() + WAIT_S
    while time.monotonic() < ends_at:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError(what())


class Pty:
    """A program on a pseudo-terminal of its own. `raw` is every byte that it wrote, `screen` what they draw."""

    def __init__(
        self, command: Sequence[str], env: dict[str, str], width: int = 100, height: int = 30
    ) -> None:
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.master, slave = pty.openpty()
        self._size(width, height)

        def take_terminal() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=take_terminal,
            env=env,
        )
        os.close(slave)

    def _size(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def read(self, within_s: float = 0.1) -> None:
        """Takes what the program has written by now."""
        while self.master >= 0 and select.select([self.master], [], [], within_s)[0]:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            self.raw += data
            with contextlib.suppress(Exception):  # pyte does not know every sequence
                self._stream.feed(data)
            within_s = 0

    @property
    def text(self) -> str:
        """The screen, a line a row."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def shows(self, text: str) -> str:
        """Waits until a text is on the screen, and returns all of it."""
        return self.until(lambda: text in self.text, repr(text))

    def shows_not(self, text: str) -> str:
        """Waits until a text is on the screen no more."""
        return self.until(lambda: text not in self.text, f"a screen without {text!r}")

    def writes(self, data: bytes, after: int = 0) -> None:
        """Waits until bytes were written, behind the first `after` ones."""
        self.until(lambda: data in self.raw[after:], repr(data))

    def until(self, holds: Callable[[], bool], what: str) -> str:
        """Waits until a condition holds, taking what the program writes meanwhile; returns the screen."""

        def looked() -> bool:
            self.read()
            return holds()

        wait_until(looked, lambda: f"{what} did not come:\n{self.text}\n{self.raw[-400:]!r}")
        return self.text

    def press(self, keys: str | bytes) -> None:
        """Sends keys, as a terminal does."""
        os.write(self.master, keys.encode() if isinstance(keys, str) else keys)

    def paste(self, text: str) -> None:
        """Pastes as a terminal does that was asked for brackets."""
        self.press(f"\x1b[200~{text}\x1b[201~")

    def resize(self, width: int, height: int) -> None:
        """Another size; the kernel sends SIGWINCH."""
        self._screen.resize(height, width)
        self._size(width, height)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed, as a shell wants it."""
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def hang_up(self) -> None:
        """Closes the terminal."""
        os.close(self.master)
        self.master = -1

    def ends(self) -> int:
        """Waits for the program, and returns its exit status."""

        def over() -> bool:
            self.read(0.05)
            return self.process.poll() is not None

        wait_until(over, lambda: f"it did not end:\n{self.text}")
        self.read(0)
        return self.process.returncode

    def end(self) -> None:
        """Ends what is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@contextmanager
def opened(command: Sequence[str], env: dict[str, str], width: int = 100, height: int = 30) -> Iterator[Pty]:
    """A program on a pseudo-terminal, ended afterwards."""
    terminal = Pty(command, env, width, height)
    try:
        yield terminal
    finally:
        terminal.end()


class Tmux:
    """One tmux session of its own server, with its socket in a folder."""

    def __init__(self, folder: Path, width: int, height: int, env: dict[str, str] | None = None) -> None:
        self.socket = str(folder / "tmux")
        self._size = ("-x", str(width), "-y", str(height))
        self._env = env

    def tmux(self, *words: str) -> str:
        """What a command of tmux prints."""
        done = subprocess.run(
            ["tmux", "-S", self.socket, "-f", os.devnull, *words],
            capture_output=True,
            text=True,
            check=False,
            env=self._env,
        )
        return done.stdout

    def start(self, command: str | Sequence[str]) -> None:
        """Runs a command in the session."""
        line = command if isinstance(command, str) else shlex.join(command)
        self.tmux("new-session", "-d", "-s", "t", *self._size, line)

    def keys(self, *keys: str) -> None:
        """Presses keys."""
        self.tmux("send-keys", "-t", "t", *keys)

    def types(self, text: str) -> None:
        """Types a text as it stands, and enter."""
        self.tmux("send-keys", "-t", "t", "-l", text)
        self.keys("Enter")

    def screen(self) -> str:
        """What is on the screen."""
        return self.tmux("capture-pane", "-p", "-t", "t")

    def told(self, form: str) -> str:
        """What tmux knows of the terminal: "#{pane_title}"."""
        return self.tmux("display-message", "-p", "-t", "t", form).rstrip("\n")

    def shows(self, text: str) -> str:
        """Waits until a text is on the screen, and returns the whole screen."""
        wait_until(lambda: text in self.screen(), lambda: f"{text!r} did not come up:\n{self.screen()}")
        return self.screen()

    def tells(self, form: str, wanted: str) -> None:
        """Waits until tmux knows something of the terminal."""
        wait_until(
            lambda: self.told(form) == wanted, lambda: f"{form} is {self.told(form)!r}, not {wanted!r}"
        )

    def resize(self, width: int, height: int) -> None:
        """Changes the terminal's size."""
        self.tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def end(self) -> None:
        """Ends the session."""
        self.tmux("kill-server")
