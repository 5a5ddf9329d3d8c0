"""The program on the server as text: every part is one line that every shell takes, and forks nothing needless."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from core.ssh.supervisor import program
from tests.support.hosts import SHELLS, link_shell

PARTS = sorted(program._parts())


def test_the_parts_are_those_that_are_asked_for() -> None:
    source = Path(program.__file__).with_name("session.py").read_text()
    asked = set(re.findall(r'(?:_define|_load|_ask)\(\s*"([a-z]+)"', source))
    assert asked | {"greeting", "leader", "run", "guard"} == set(PARTS)


@pytest.mark.parametrize("shell", sorted(SHELLS))
@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_one_line_that_every_shell_takes(shell: str, name: str, tmp_path: Path) -> None:
    line = program.part(name).replace("@BOUND@", "1000")
    assert "\n" not in line
    assert not re.search("@[A-Z]+@", line), "a number was not filled in"
    path = link_shell(shell, tmp_path)
    done = subprocess.run([path, "-n", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/busybox sh"])
def test_what_starts_a_session_are_lines(shell: str) -> None:
    lines = program.core_lines(shell, "0123abcd", 1000)
    assert all("\n" not in line and "@BOUND@" not in line for line in lines)
    assert not any("WL0123abcd" in line for line in lines), "a shell that shows its input shows the marker"
    assert max(map(len, lines)) < 4096, "a line is as long as some terminals and shells take"


@pytest.mark.parametrize("marker", ["", "a b", "a;b", "$(x)", "a\nb"])
def test_a_marker_is_letters_and_digits(marker: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        program.core_lines("/bin/sh", marker, 1)


def test_every_name_is_ours() -> None:
    """Nothing else may change in the session's shell: a later command would find it."""
    no_variables = {"stat", "pid", "pgid", "KillUserProcesses"}  # columns of ps, a line of logind's
    for name in PARTS:
        text = program.part(name)
        assigned = set(re.findall(r"(?:^|[;{ ])([A-Za-z_][A-Za-z0-9_]*)(?:=|\(\))", text)) - no_variables
        assert {word for word in assigned if not word.startswith("wl_")} <= {"LC_ALL", "IFS"}


def test_comments_and_joins() -> None:
    text = "# a comment\nif a\nthen\n    b # kept\nelse\n    c |\n    d\nfi\n{\n    e\n}\n"
    assert program.one_line(text) == "if a; then b # kept; else c | d; fi; { e; }"


def test_no_line_of_the_program_ends_with_a_comment() -> None:
    source = Path(program.__file__).with_name("program.sh").read_text()
    for line in source.splitlines():
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            assert not re.search(r"\s#\s", stripped), stripped
