"""The program on a terminal: it asks, it opens the interface, and it leaves the terminal as it was."""

from __future__ import annotations

import os
import pty
import select
import sys
import termios
import time
from pathlib import Path

import pytest

from tests.e2e.cli.conftest import LIMIT_S, REPOSITORY, Place


class Terminal:
    """`windlass` in a pseudo-terminal of 120 by 40."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.text = ""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:  # pragma: no cover - the child
            os.chdir(folder)
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "120", "LINES": "40"}
            os.execve(sys.executable, [sys.executable, "-m", "cli", *arguments], environment)
        termios.tcsetwinsize(self.descriptor, (40, 120))

    def heard(self, text: str) -> None:
        """Reads until `text` was printed."""
        ends_at = time.monotonic() + LIMIT_S
        while text not in self.text:
            assert time.monotonic() < ends_at, self.text
            if not self._read():
                raise AssertionError(f"it ended without {text!r}: {self.text}")

    def send(self, text: str) -> None:
        """Types."""
        os.write(self.descriptor, text.encode())

    def end(self) -> int:
        """Reads to its end; returns the exit status."""
        while self._read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(status)

    def _read(self) -> bool:
        ready, _, _ = select.select([self.descriptor], [], [], LIMIT_S)
        assert ready, self.text
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)


@pytest.mark.parametrize(("typed", "status", "told"), [("y\r", 0, "done"), ("n\r", 4, "nothing was started")])
def test_run_asks(place: Place, typed: str, status: int, told: str) -> None:
    place.batch("steps: {one: {run: 'true'}}")
    terminal = Terminal(place.path, "run", "work")
    terminal.heard("Start this run? [y/N]")
    terminal.send(typed)
    assert terminal.end() == status
    assert told in terminal.text
    assert "irreversible" in terminal.text


def test_ctrl_c_at_the_question_starts_nothing(place: Place) -> None:
    place.batch("steps: {one: {run: 'true'}}")
    terminal = Terminal(place.path, "run", "work")
    terminal.heard("Start this run? [y/N]")
    terminal.send("\x03")
    assert terminal.end() == 130
    assert "Traceback" not in terminal.text
    assert place.windlass("runs", "list").out == ""


def test_colour_is_for_terminals_and_off_with_no_color(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.batch("steps: {one: {run: 'true'}}")
    terminal = Terminal(place.path, "run", "work", "--yes")
    assert terminal.end() == 0
    assert "\x1b[32m✓ done\x1b[0m" in terminal.text
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal(place.path, "runs", "list")
    assert terminal.end() == 0
    assert "✓ done" in terminal.text and "\x1b" not in terminal.text


def test_windlass_alone_opens_the_interface(place: Place) -> None:
    terminal = Terminal(place.path)
    terminal.heard("\x1b[?1049h")  # the other screen
    terminal.heard("dashboard")
    assert place.windlass("run", "work").status in (2, 3)  # it owns the workspace
    terminal.send("q")
    assert terminal.end() == 0
    assert "\x1b[?1049l" in terminal.text
    assert "Traceback" not in terminal.text


def test_outside_a_workspace_it_prints_the_help(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    assert terminal.end() == 0
    assert "Usage: windlass" in terminal.text
