"""The interface in a real terminal: suspended, resized, hung up, without a mouse, pasted into, copied from, titled.

The program, its engine and its servers are the real ones. A pseudo-terminal tells the bytes, tmux what a terminal makes
of them.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine.lease import read_owner
from tests.e2e.terminals import Pty, Tmux, environment, opened, wait_until, windlass
from tests.support.program import REPOSITORY, Program

SIZE = (100, 30)
MOUSE_ON = re.compile(rb"\x1b\[\?(?:9|1000|1001|1002|1003|1005|1006|1015|1016)h")
MOUSE_OFF = b"\x1b[?1003l"
ENTERED_SCREEN, LEFT_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A workspace that needs no server, with three batches."""
    folder = tmp_path / "lab"
    for name in ("batches", "servers"):
        (folder / name).mkdir(parents=True)
    (folder / "workspace.yaml").write_text("format: 1\nname: lab\n")
    (folder / "servers" / "static.yaml").write_text(
        "provider: static\nservers:\n"
        + "".join(f"  web-{number}: {{address: 127.0.0.1}}\n" for number in range(1, 41))
    )
    for name in ("deploy", "patch", "verify"):
        (folder / "batches" / f"{name}.yaml").write_text("steps:\n  one: {on: all, run: echo hi}\n")
    return folder


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody with nothing of their own yet."""
    return environment(tmp_path / "home")


@pytest.fixture
def terminal(lab: Path, env: dict[str, str]) -> Iterator[Pty]:
    """The interface on a pseudo-terminal, at its first screen."""
    with opened(windlass(lab, "ui"), env, *SIZE) as made:
        made.shows("live")
        made.shows("? keys")
        yield made


@pytest.fixture
def tmux(env: dict[str, str]) -> Iterator[Tmux]:
    """A shell with job control in tmux."""
    folder = Path(tempfile.mkdtemp(prefix="wl-tmux-", dir="/tmp"))  # a socket's path is short
    made = Tmux(folder, *SIZE, env=env)
    try:
        made.start(["env", "PS1=shell> ", "bash", "--norc", "--noprofile", "-i"])
        made.shows("shell>")
        yield made
    finally:
        made.end()
        shutil.rmtree(folder, ignore_errors=True)


def opens(tmux: Tmux, lab: Path, *words: str) -> None:
    """Opens the interface from the shell."""
    tmux.types(f"cd {REPOSITORY}; clear")
    tmux.types(" ".join(windlass(lab, "ui", *words)))
    tmux.shows("live")
    tmux.shows("? keys")


# ---------------------------------------------------------------- suspended


@needs_tmux
def test_ctrl_z_gives_the_shell_its_terminal_and_fg_draws_it_anew(tmux: Tmux, lab: Path) -> None:
    opens(tmux, lab)
    tmux.keys("i")
    before = tmux.shows("web-12")
    tmux.tells("#{alternate_on} #{mouse_any_flag}", "1 1")
    tmux.keys("C-z")
    tmux.shows("Stopped")
    tmux.tells("#{alternate_on} #{mouse_any_flag} #{cursor_flag}", "0 0 1")
    tmux.types("echo typed$((20 + 22)); stty -a | grep -ow -e -echo -e echo")
    shown = tmux.shows("typed42")
    assert "echo typed$((20 + 22))" in shown, "what is typed is seen"
    assert "-echo" not in tmux.shows("\necho").split("typed42")[1]
    tmux.types("clear; fg")
    tmux.shows("? keys")
    tmux.tells("#{alternate_on} #{mouse_any_flag}", "1 1")
    assert _without_clock(tmux.shows("web-1")) == _without_clock(before), "all of it is painted anew"
    tmux.keys("Escape")
    tmux.shows("Nothing needs you")
    tmux.keys("q")
    tmux.shows("shell>")
    tmux.tells("#{alternate_on}", "0")


def _without_clock(screen: str) -> str:
    return re.sub(r"\d\d:\d\d(?=\s)", "", screen)


def test_a_stop_without_warning_leaves_one_reader_and_a_whole_screen(terminal: Pty) -> None:
    terminal.press("i")
    terminal.shows("web-1")
    for _ in range(2):
        os.kill(terminal.process.pid, signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(terminal.process.pid, os.WUNTRACED)[1])
        terminal.read()
        written = len(terminal.raw)
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.writes(ENTERED_SCREEN, after=written)
        terminal.writes(b"web-1", after=terminal.raw.rindex(ENTERED_SCREEN))
    # A second reader would take keys from the first: each one arrives.
    terminal.press("/")
    for letter in "web-3 ":
        terminal.press(letter)
    terminal.shows("web-3")
    terminal.shows_not("web-12")
    terminal.press("\x1b")
    terminal.shows("web-12")
    terminal.press("\x1b")
    terminal.shows("Nothing needs you")
    terminal.press("q")
    assert terminal.ends() == 0
    assert terminal.raw.rindex(LEFT_SCREEN) > terminal.raw.rindex(ENTERED_SCREEN)
    assert terminal.echoes


# ---------------------------------------------------------------- resized


def test_another_size_loses_nothing(terminal: Pty) -> None:
    terminal.press("i")
    terminal.shows("web-1")
    terminal.press("jjjjj")
    chosen = "web-6"
    terminal.shows(f"▌ {chosen}")
    for width, height in ((80, 24), (200, 60), (40, 12), (20, 5), (100, 30)):
        terminal.resize(width, height)
        if (width, height) == (20, 5):
            terminal.shows("is too small")
            continue
        terminal.shows(f"▌ {chosen}")
        assert max(len(line) for line in terminal.text.splitlines()) <= width
    terminal.shows("? keys")
    terminal.press("\x1b")
    terminal.shows("Nothing needs you")


@needs_tmux
def test_a_window_that_is_resized_is_drawn_whole(tmux: Tmux, lab: Path) -> None:
    opens(tmux, lab)
    tmux.keys("d")
    tmux.shows("verify")
    for width, height in ((80, 24), (160, 50), (100, 30)):
        tmux.resize(width, height)
        tmux.tells("#{window_width}x#{window_height}", f"{width}x{height}")
        wait_until(
            lambda height=height: "? keys" in (tmux.screen().splitlines() or [""])[height - 1],
            lambda: f"the last line is another one:\n{tmux.screen()}",
        )
        screen = tmux.shows("verify")
        assert all(name in screen for name in ("deploy", "patch", "live"))


# ---------------------------------------------------------------- hung up


def test_a_hang_up_ends_the_interface_and_the_run_goes_on(program: Program, tmp_path: Path) -> None:
    program.batch(
        """
        steps:
          wait:
            on: all
            run: touch begun; while [ ! -e go ]; do sleep 0.1; done
          after:
            on: all
            run: echo over >> log
        """
    )
    try:
        env = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        with opened(windlass(program.path, "ui"), env, *SIZE) as terminal:
            terminal.shows("live")
            terminal.press("b")
            terminal.shows("on 3 servers")
            terminal.press("s")
            terminal.shows("▶ running")
            for server in program.servers:
                wait_until(
                    lambda server=server: (program.home(server) / "begun").exists(), lambda: terminal.text
                )
            terminal.hang_up()
            terminal.ends()
        owner = read_owner(program.path / ".windlass")
        assert owner is not None and owner.background, "the engine goes on without the interface"
        assert set(program.states().values()) == {"running", "waiting"}
        for server in program.servers:
            (program.home(server) / "go").touch()
        program.until_event(lambda event: event["type"] == "run.state" and event.get("to") == "done")
        assert [program.lines(server, "log") for server in program.servers] == [["over"]] * 3
    finally:
        program.call("engine", "stop", status=None)


# ---------------------------------------------------------------- the mouse


def test_the_mouse_is_asked_for_and_given_back(terminal: Pty) -> None:
    assert MOUSE_ON.search(terminal.raw)
    terminal.press(":mouse\r")
    terminal.writes(MOUSE_OFF)
    terminal.shows("the mouse is the terminal's own")
    written = len(terminal.raw)
    terminal.press("i")
    terminal.shows("web-1")
    assert not MOUSE_ON.search(terminal.raw[written:])


def test_what_was_chosen_of_the_mouse_is_remembered(lab: Path, env: dict[str, str]) -> None:
    with opened(windlass(lab, "ui"), env, *SIZE) as first:
        first.shows("? keys")
        first.press(":mouse\r")
        first.shows("the mouse is the terminal's own")
        kept = Path(env["XDG_DATA_HOME"])
        wait_until(lambda: any('"mouse"' in file.read_text() for file in kept.rglob("interface.json")), str)
        first.press("\x03")
        assert first.ends() == 0
    with opened(windlass(lab, "ui"), env, *SIZE) as second:
        second.shows("? keys")
        second.press("\x03")
        assert second.ends() == 0
        assert not MOUSE_ON.search(second.raw), "not even for a moment"


@needs_tmux
def test_without_a_mouse_the_terminal_selects(tmux: Tmux, lab: Path, env: dict[str, str]) -> None:
    """A person's mouse, as a terminal tells it to tmux: it goes to whoever asked for it."""
    opens(tmux, lab, "--no-mouse")
    tmux.tells("#{mouse_any_flag}", "0")
    tmux.keys("d")
    row = next(at for at, line in enumerate(tmux.shows("verify").splitlines(), 1) if "deploy" in line)
    column = tmux.screen().splitlines()[row - 1].index("deploy") + 1
    tmux.tmux("set-option", "-g", "mouse", "on")
    with opened(["tmux", "-S", tmux.socket, "attach", "-t", "t"], env, *SIZE) as person:
        person.shows("deploy")
        person.press(f"\x1b[<0;{column};{row}M\x1b[<32;{column + 1};{row}M")
        person.until(lambda: tmux.told("#{pane_in_mode}") == "1", "a selection that begins")
        for at in range(column + 2, column + 7):
            person.press(f"\x1b[<32;{at};{row}M")
        person.press(f"\x1b[<0;{column + 6};{row}m")
        person.until(lambda: "eploy" in tmux.tmux("show-buffer"), "what was selected")


# ---------------------------------------------------------------- pasted into

EVIL = "web-3\r\nquit\r\n\x1b[31mred\x07\x00\nCy\n"


def test_what_is_pasted_into_a_filter_is_one_clean_line(terminal: Pty) -> None:
    terminal.writes(b"\x1b[?2004h")
    terminal.press("i")
    terminal.shows("web-12")
    terminal.press("/")
    terminal.paste("\n" + EVIL)
    shown = terminal.shows_not("web-12")
    assert "web-38" in shown and "quit" not in shown and "red" not in shown
    terminal.press("9")
    shown = terminal.shows_not("web-38")
    assert "web-39" in shown, "the field still has the keys: nothing was entered"
    terminal.press("\x15")
    terminal.shows("web-12")
    written = len(terminal.raw)
    terminal.paste("a\x1b]52;c;ZXZpbA==\x07b")
    terminal.shows("a]52;c;ZXZpbA==b")
    assert b"\x1b]52" not in terminal.raw[written:], "nor is it written to the terminal"


def test_what_is_pasted_into_the_command_bar_is_not_run(terminal: Pty) -> None:
    terminal.press(":")
    terminal.shows("Go to")
    terminal.paste("servers\nquit\n")
    terminal.shows("servers")
    assert "Go to" in terminal.text and terminal.process.poll() is None
    terminal.press(" web-39\r")
    terminal.shows_not("Go to")
    shown = terminal.shows("web-39")
    assert "web-12" not in shown


def test_what_is_pasted_where_no_field_is_does_nothing(terminal: Pty) -> None:
    """Each of the pasted keys would lead somewhere, the first one out."""
    terminal.shows("Nothing needs you")
    terminal.paste("qbi\rh\x1b[Bde\n")
    terminal.press("?")
    terminal.shows("? back")
    terminal.press("?")
    terminal.shows_not("? back")
    assert "▸ dashboard" in terminal.shows("Nothing needs you") and "Start a batch" not in terminal.text
    assert terminal.process.poll() is None


@needs_tmux
def test_the_buffer_of_tmux_is_pasted_as_a_terminal_does(tmux: Tmux, lab: Path) -> None:
    opens(tmux, lab)
    tmux.keys("i")
    tmux.shows("web-12")
    tmux.keys("/")
    tmux.tmux("set-buffer", "--", "web-39\nquit\nq\n")
    tmux.tmux("paste-buffer", "-p", "-t", "t")
    wait_until(lambda: "web-12" not in tmux.screen(), tmux.screen)
    assert "web-39" in tmux.screen() and "shell>" not in tmux.screen()


# ---------------------------------------------------------------- copied from, and titled


def test_a_copy_is_sent_as_osc_52_and_kept_in_a_file(terminal: Pty, lab: Path, env: dict[str, str]) -> None:
    terminal.press("h")
    terminal.shows("runs")
    terminal.press("y")
    command = f"windlass runs list -w {lab}"
    terminal.writes(b"\x1b]52;c;" + base64.b64encode(command.encode()))
    terminal.shows("sent to the terminal")
    (kept,) = Path(env["XDG_DATA_HOME"]).rglob("copied.txt")
    assert kept.read_text() == command
    assert kept.stat().st_mode & 0o777 == 0o600


@needs_tmux
def test_in_tmux_a_copy_is_in_its_buffer(tmux: Tmux, lab: Path) -> None:
    opens(tmux, lab)
    tmux.keys("h")
    tmux.shows("Runs")
    tmux.keys("y")
    tmux.shows("sent to the terminal")
    assert tmux.tmux("show-buffer") == f"windlass runs list -w {lab}"


def test_the_terminal_has_a_title_meanwhile_and_its_own_afterwards(terminal: Pty) -> None:
    keep, title, put_back = b"\x1b[22;2t", b"\x1b]2;windlass lab\x07", b"\x1b[23;2t"
    terminal.writes(keep + title)
    terminal.press("q")
    assert terminal.ends() == 0
    assert terminal.raw.count(put_back) == 1 and terminal.raw.index(put_back) > terminal.raw.index(title)


@needs_tmux
def test_tmux_knows_the_title_and_puts_it_back(tmux: Tmux, lab: Path) -> None:
    tmux.tmux("select-pane", "-t", "t", "-T", "mine")
    opens(tmux, lab)
    tmux.tells("#{pane_title}", "windlass lab")
    tmux.keys("C-z")
    tmux.shows("Stopped")
    tmux.tells("#{pane_title}", "mine")
    tmux.types("clear; fg")
    tmux.shows("? keys")
    tmux.tells("#{pane_title}", "windlass lab")
    tmux.keys("q")
    tmux.shows("shell>")
    tmux.tells("#{pane_title}", "mine")
