"""The real program in a real terminal: started, driven by keys, read from the screen.

tmux is the terminal; the program, its engine, its SSH servers and the batch are the real ones.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine.lease import read_owner
from tests.support.program import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

WAIT_S = 180.0


class Terminal:
    """One tmux session of its own server, with its socket in the test's folder."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._socket = str(folder / "tmux")
        self._size = ("-x", str(width), "-y", str(height))

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", os.devnull, *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def start(self, command: str) -> None:
        """Runs a command in the session."""
        self._tmux("new-session", "-d", "-s", "t", *self._size, command)

    def keys(self, *keys: str) -> None:
        """Presses keys."""
        self._tmux("send-keys", "-t", "t", *keys)

    def screen(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "t")

    def shows(self, text: str) -> str:
        """Waits until a text is on the screen, and returns the whole screen."""
        ends_at = time.monotonic() + WAIT_S
        while time.monotonic() < ends_at:
            screen = self.screen()
            if text in screen:
                return screen
            time.sleep(0.1)
        raise AssertionError(f"{text!r} did not come up:\n{self.screen()}")

    def resize(self, width: int, height: int) -> None:
        """Changes the terminal's size."""
        self._tmux("resize-window", "-t", "t", "-x", str(width), "-y", str(height))

    def end(self) -> None:
        """Ends the session."""
        self._tmux("kill-server")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """A terminal of 120 × 40."""
    # A Unix socket's path is short: the test's own folder may be too deep for it.
    folder = Path("/tmp") / f"windlass-t{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = Terminal(folder, 120, 40)
    yield made
    made.end()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_demo_is_started_by_keys_watched_and_left(terminal: Terminal, tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    terminal.start(
        f"cd {REPOSITORY} && env -u COLUMNS -u LINES TERM=xterm-256color LC_ALL=C.UTF-8 {sys.executable} -m cli demo --dir {demo}; "
        "echo ended $?; sleep 600"
    )
    terminal.shows("Rolls a small web page out")
    terminal.keys("Escape")
    terminal.shows("Nothing needs you")
    terminal.keys("b")
    terminal.shows("Start a batch")
    terminal.keys("j", "j")
    terminal.shows("Rolls a small web page out")
    terminal.shows("14 steps, 99 tasks on 12 servers")
    terminal.keys("s")
    terminal.shows("rollout")
    running = terminal.shows("of 36: converted")
    assert "▶" in running
    assert read_owner(demo / ".windlass") is not None
    terminal.resize(80, 24)
    small = terminal.shows("live")
    assert max(len(line) for line in small.splitlines()) <= 80
    terminal.resize(120, 40)
    done = terminal.shows("✓ done: 99/99 on 12 servers")
    assert "100 %" in done
    terminal.keys("q")
    terminal.shows("Nothing needs you")
    terminal.keys("q")
    ended = terminal.shows("ended 0")
    assert "stopped 12 servers" in ended
    assert read_owner(demo / ".windlass") is None
