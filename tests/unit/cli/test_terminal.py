"""What is printed: aligned, clean, coloured only on a terminal; and readers that go away."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import terminal
from tests.support.lab import Lab
from tests.unit.cli.conftest import Windlass


class Tty(io.StringIO):
    """A terminal for text."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_table_is_aligned_and_its_last_column_not_padded() -> None:
    rows: list[list[terminal.Cell]] = [
        ["1", ("done", "success"), "a"],
        ["100", ("in place", "success"), "longer"],
    ]
    assert terminal.table(("RUN", "STATE", "WHY"), rows, right=("RUN",)) == [
        "RUN  STATE     WHY",
        "  1  done      a",
        "100  in place  longer",
    ]


def test_cells_are_cleaned_and_cut() -> None:
    (_, line) = terminal.table(("A", "B"), [["\x1b]52;c;eA==\x07\u202e", "x" * 100]], max_chars=20)
    assert line.isprintable()
    assert line.endswith("x…")
    assert len(line) < 60


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert terminal.paint("done", "success", Tty()) == "\x1b[32mdone\x1b[0m"
    assert terminal.paint("done", "text", Tty()) == "done"
    assert terminal.paint("done", "success", io.StringIO()) == "done"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("done", "success", Tty()) == "done"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert terminal.paint("done", "success", Tty()) == "done"


def test_signs_are_ascii_where_the_stream_is_not_utf8() -> None:
    class Latin(io.StringIO):
        encoding = "iso-8859-1"

    assert terminal.ascii_only(Latin())
    assert not terminal.ascii_only(Tty("")) or os.environ["TERM"] == "dumb"


def test_json_lines_are_ascii_and_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.emit({"text": "line\nüber\x1b[31m"})
    printed = capsys.readouterr().out
    assert printed == '{"text":"line\\n\\u00fcber\\u001b[31m"}\n'


# ---------------------------------------------------------------- real pipes


def start(repository: Path, cwd: Path, *arguments: str, **streams: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdin=subprocess.DEVNULL,
        **streams,
    )


def test_a_reader_that_goes_away_is_no_error(repository: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    child = start(repository, tmp_path, "schema", stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, text = child.communicate(timeout=60)
    assert (child.returncode, text) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_data_that_could_not_be_written_is_an_error(repository: Path, tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        child = start(repository, tmp_path, "schema", stdout=full, stderr=subprocess.PIPE)
        _, text = child.communicate(timeout=60)
    assert child.returncode == 70
    assert b"stdout could not be written: No space left on device" in text


def test_a_locale_without_utf8_gets_plain_text(repository: Path, lab: Lab) -> None:
    lab.batch("steps: {one: {run: 'true'}}", "work")
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
    }
    command = [sys.executable, "-m", "cli", "plan", "work"]
    answer = subprocess.run(command, cwd=lab.path, env=environment, capture_output=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    assert re.fullmatch(rb"[\n -~]+", answer.stdout)


def test_a_broken_stdout_does_not_end_a_run(
    windlass: Windlass, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.batch("steps: {one: {run: 'true'}, two: {run: 'true'}}", "work")
    write = sys.stdout.write

    def gone(text: str) -> int:
        if text.startswith("{"):
            raise BrokenPipeError(32, "Broken pipe")
        return write(text)

    monkeypatch.setattr(sys.stdout, "write", gone)
    monkeypatch.setattr(terminal, "_give_up", lambda stream, name, error: terminal._closed.add(name))
    assert windlass("run", "work", "--json").status == 0
    assert len(lab.memory.effects) == 4
