"""The inventory in a real terminal, on real servers: a shell and back, a command on marked servers, who answers."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests.e2e.terminals import Tmux, wait_until
from tests.support.program import REPOSITORY, Program

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def opened(terminal: Tmux, program: Program) -> None:
    """The interface on the workspace of the program, with its inventory."""
    terminal.start(
        f"cd {REPOSITORY} && env -u COLUMNS -u LINES TERM=xterm-256color LC_ALL=C.UTF-8 "
        f"XDG_DATA_HOME={program.path / 'data'} {sys.executable} -m cli ui -w {program.path}; echo ended $?; sleep 600"
    )
    terminal.shows("3 started")
    terminal.keys("i")
    terminal.shows("from      servers")


def test_a_shell_takes_the_terminal_and_gives_it_back(terminal: Tmux, program: Program) -> None:
    opened(terminal, program)
    terminal.keys("j")
    terminal.shows("╭─ b ─")
    terminal.keys("s")
    terminal.shows("a shell on b; it ends with exit")
    terminal.keys("echo here is $((40 + 2)), C-c is not for windlass", "Enter")
    terminal.shows("here is 42, C-c")
    terminal.keys("echo slee''ping; sleep 600", "Enter")
    terminal.shows("sleeping")
    terminal.keys("C-c")
    terminal.shows("^C")
    terminal.keys("stty size; exit 0", "Enter")
    screen = terminal.shows("Servers 3")
    assert "╭─ b ─" in screen and "here is 42" not in screen
    terminal.keys("k")
    terminal.shows("╭─ a ─")  # keys work again


def test_what_ssh_says_of_a_server_that_is_not_there_can_be_read(terminal: Tmux, program: Program) -> None:
    (program.path / "servers" / "gone.yaml").write_text(
        "provider: static\nservers: {zz: {address: 127.0.0.1, port: 9}}\n"
    )
    terminal.start(
        f"cd {REPOSITORY} && env -u COLUMNS -u LINES TERM=xterm-256color LC_ALL=C.UTF-8 "
        f"{sys.executable} -m cli ui -w {program.path}; echo ended $?; sleep 600"
    )
    terminal.shows("3 started")
    terminal.keys("i")
    terminal.shows("from      servers")
    terminal.keys("G")
    terminal.shows("╭─ zz ─")
    terminal.keys("s")
    screen = terminal.shows("it ended with status 255; enter goes back")
    assert "refused" in screen
    terminal.keys("Enter")
    terminal.shows("╭─ zz ─")


def test_a_command_runs_on_the_marked_servers_as_a_run(terminal: Tmux, program: Program) -> None:
    opened(terminal, program)
    terminal.keys("Space", "Space")
    terminal.shows("x run on 2 marked")
    terminal.keys("x")
    terminal.shows("Run a command")
    terminal.keys('printf "from %s\\n" $WINDLASS_SERVER', "Enter")
    terminal.shows("1 step, 2 tasks on 2 servers")
    terminal.keys("s")
    screen = terminal.shows("✓ done: 2/2 on 2 servers")
    assert "from a" in screen and "from b" in screen
    terminal.keys("q")
    terminal.shows("x run on 2 marked")
    terminal.keys("g", "Enter")
    assert "exec" in terminal.shows("Runs 1")
    terminal.keys("o")
    terminal.shows("run, attempt 1")
    program.call("engine", "stop")


def test_who_answers_and_who_does_not(terminal: Tmux, program: Program) -> None:
    opened(terminal, program)
    terminal.keys("r")
    terminal.shows("answered after")
    program.call("servers", "stop", "c")
    terminal.keys("r")
    terminal.shows("no answer")
    terminal.keys("G")
    assert "refused" in terminal.shows("╭─ c ─")


def test_an_interface_that_is_ended_ends_the_session_in_its_place(terminal: Tmux, program: Program) -> None:
    opened(terminal, program)
    terminal.keys("s")
    terminal.shows("a shell on a; it ends with exit")
    terminal.keys("echo $$ > pid; echo wri''tten", "Enter")
    terminal.shows("written")
    (shell,) = program.lines("a", "pid")
    (interface,) = children(int(terminal.told("#{pane_pid}")))
    os.kill(interface, signal.SIGTERM)
    terminal.shows("ended 0")
    wait_until(lambda: not Path(f"/proc/{shell}").exists(), terminal.screen)


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
