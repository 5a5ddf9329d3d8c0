"""FAILURES rows 20 to 22: control sequences, markup and odd characters of servers, on every way to a screen.

The real program, real servers and a real pseudo-terminal; what reached it is read byte by byte. A hostile text
comes as output, as a line in tables, as the words of who refuses a command, and as a server's greeting.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY, Program
from tests.support.sshd import Sshd
from tests.support.static_lab import on_sshd

LIMIT_S = 120.0

HOSTILE = (
    r"\033]52;c;ZXZpbA==\007clipboard\n"  # OSC 52: the clipboard
    r"\033]0;owned\007\033]2;owned\033\\title\n"
    r"\033[2J\033[H\033[?1049h\033Pq#0\033\\wiped\n"
    r"\302\233\061;31mC1\n"  # CSI as a C1 control in UTF-8
    r"[/bold]markup[red] \\[x] [link=file:///etc]y[/link]\n"
    r"\377\376bytes\000nul\n"
    r"\342\200\256bidi\342\200\254 zero\342\200\213width\n"
    r"half a line \033[5m"
)
"""For printf: each line says what it tries."""

SHOWN = (
    "clipboard",
    "title",
    "wiped",
    "[/bold]markup[red]",
    "‹ff›‹fe›bytes^@nul",
    "‹U+202E›bidi",
    "zero‹U+200B›width",
)

BATCH = f"""
    strategy: {{on_failure: continue, max_failures: 9}}
    steps:
      good: {{run: "printf '{HOSTILE}'", undo: ":"}}
      bad: {{run: "printf '{HOSTILE}' >&2; exit 3", needs: [], undo: ":"}}
""".replace("\\", "\\\\")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def harmless(text: str) -> str:
    """The text, when it holds nothing that a terminal obeys or that hides; our own colours are left out."""
    plain = COLOUR.sub("", text).replace("\r\n", "\n")
    bad = {char for char in plain if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}
    assert not bad, f"{bad!r} in {plain!r}"
    return plain


def on_terminal(program: Program, *words: str) -> str:
    """What a command writes to a terminal."""
    return b"".join(_read(program, *words)).decode("utf-8")


def _read(
    program: Program, *words: str, keys: dict[str, str] | None = None, until: str = ""
) -> Iterator[bytes]:
    """The bytes that a command writes to a terminal.

    With `keys` some are pressed once a text was seen; with `until` the program is killed once that was seen.
    """
    ours, theirs = pty.openpty()
    waiting = list((keys or {}).items())
    seen = b""
    process = subprocess.Popen(
        program.command(*words),
        cwd=REPOSITORY,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40", "LC_ALL": "C.UTF-8"},
        start_new_session=True,
    )
    os.close(theirs)
    ends_at = time.monotonic() + LIMIT_S
    try:
        while time.monotonic() < ends_at:
            if not select.select([ours], [], [], 0.2)[0]:
                if process.poll() is not None:
                    return
            else:
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    return
                if not data:
                    return
                seen += data
                yield data
            if until and not waiting and until.encode() in seen:
                return
            if waiting and waiting[0][0].encode() in seen:
                os.write(ours, waiting.pop(0)[1].encode())
                seen = b""
        raise AssertionError(f"it did not end; waiting for {waiting}: {seen[-2000:]!r}")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The program on one running local server."""
    made = Program(tmp_path / "lab", ["a"])
    made.call("servers", "start")
    yield made
    made.call("engine", "stop", "--now")  # which a command on a terminal has started
    made.call("servers", "stop")


def test_f20_f21_f22_no_command_lets_a_byte_through(program: Program) -> None:
    printed = program.call("run", program.batch(BATCH), "--output")
    told = harmless(printed.stdout + printed.stderr)
    for text in SHOWN:
        assert told.count(text) >= 2, (text, told)
    for words in (
        ("runs", "logs", "1"),
        ("runs", "logs", "1", "bad@a"),
        ("runs", "show", "1"),
        ("runs", "show", "1", "--tasks"),
        ("runs", "show", "1", "bad@a"),
        ("runs", "watch", "1"),
        ("runs", "list"),
        ("servers", "exec", "--yes", "all", "--", f"printf '{HOSTILE}'"),
    ):
        answer = program.call(*words, status=None)
        piped = harmless(answer.stdout + answer.stderr)
        drawn = harmless(on_terminal(program, *words))
        if words[1] in ("logs", "exec"):
            assert all(text in piped and text in drawn for text in SHOWN), (words, piped, drawn)


def test_f20_f22_json_is_ascii_without_a_control(program: Program) -> None:
    printed = program.call("run", program.batch(BATCH), "--output", "--json")
    for words in (("runs", "logs", "1"), ("runs", "show", "1", "--tasks"), ("runs", "show", "1", "bad@a")):
        text = printed.stdout + program.call(*words, "--json").stdout
        assert text.isascii()
        harmless(text)
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())


def test_f20_a_refusal_and_a_greeting_are_remote_text_too(tmp_path: Path) -> None:
    """A server that runs a command of its own choice and shows a banner: both end in notes and reasons."""
    (tmp_path / "banner").write_bytes(b"\x1b]0;owned\x07 welcome \x1b[2J\n")
    options = {
        "ForceCommand": f"printf '{HOSTILE}'; exit 9",
        "Banner": str(tmp_path / "banner"),
    }
    with Sshd.start(tmp_path / "sshd", options) as sshd:
        program = on_sshd(tmp_path / "lab", {"a": sshd})
        batch = program.batch("steps: {one: {run: 'true', undo: ':'}}\n")
        done = program.call("run", batch, status=1)
        assert "half a line" in harmless(done.stdout + done.stderr)
        for words in (("runs", "show", "1", "one@a"), ("runs", "watch", "1"), ("runs", "logs", "1")):
            harmless(on_terminal(program, *words))


def test_f20_a_host_key_question_shows_nothing_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "banner").write_bytes(b"\x1b]0;owned\x07 welcome\n")
    with Sshd.start(tmp_path / "sshd", {"Banner": str(tmp_path / "banner")}) as sshd:
        program = on_sshd(tmp_path / "lab", {"a": sshd}, pinned=False)
        asked = b"".join(_read(program, "servers", "trust", "a", keys={"[y/N]": "n\r"})).decode()
        assert sshd.host_keys[0].get_fingerprint() in harmless(asked)


def test_f20_f21_the_interface_draws_it_and_obeys_nothing(program: Program) -> None:
    program.call("run", program.batch(BATCH))
    keys = {"done": "\r", "good": "o"}  # a row of the run, which has the cursor then
    seen = b"".join(_read(program, "ui", keys=keys, until="‹U+202E›bidi"))
    text = seen.decode("utf-8", "replace")
    assert "\x1b]52" not in text, "the clipboard"
    assert "owned" not in text or not re.search(r"\x1b\][02];owned", text), "the title"
    assert "\x9b" not in text and "\u202e" not in text and "\x00" not in text
    assert "[/bold]markup[red]" in text
    assert "‹U+202E›bidi" in text
