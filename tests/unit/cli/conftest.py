"""Commands called in this process, on a workspace whose servers are in memory; golden files.

`GOLDEN_WRITE=1 pytest tests/unit/cli` writes the golden files anew: read the difference before it is committed.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cli import terminal
from cli.main import main
from cli.options import GIVEN
from tests.support.lab import Lab

GOLDEN = Path(__file__).parent / "golden"
T = TypeVar("T")

CHANGING = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}"), "STAMP"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "HH:MM:SS"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "DIGEST"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ID"),
    (re.compile(r"\b\d\.\d s?s\b|\b\d\.\ds\b"), "0.0s"),
    (re.compile(r"\b\d+s ago\b|\bnow\b"), "now"),
)


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


Windlass = Callable[..., Answer]


@pytest.fixture(autouse=True)
def _plain_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(getpass, "getuser", lambda: "tester")
    monkeypatch.setattr("cli.actor._user", lambda: "tester")
    monkeypatch.setattr("cli.actor._process", lambda: 4711)
    for name in ("SUDO_USER", "SSH_CONNECTION", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "gethostname", lambda: "here")
    GIVEN.clear()
    terminal._closed.clear()
    terminal.lost.clear()


@pytest.fixture
def windlass(capsys: pytest.CaptureFixture[str]) -> Windlass:
    """Runs `windlass ARGUMENTS` in this process."""

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        printed = capsys.readouterr()
        return Answer(int(caught.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A workspace with two servers in memory, a and b; it is the working directory."""
    made = Lab(tmp_path / "lab")
    monkeypatch.setattr("core.engine.open.ssh_executor", made.memory.executor)
    monkeypatch.chdir(made.path)
    return made


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine of a test that is none itself."""
    return asyncio.run(work)


def golden(name: str, text: str, *, folder: Path | None = None) -> None:
    """Compares a text with its golden file, what changes from run to run left out."""
    if folder is not None:
        text = text.replace(str(folder), "FOLDER")
    for pattern, shown in CHANGING:
        text = pattern.sub(shown, text)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GOLDEN_WRITE"):
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; GOLDEN_WRITE=1 writes it anew"


@pytest.fixture(autouse=True)
def fresh_help_options() -> None:
    """click keeps each command's help option as its first caller's context had it; tests call in any order."""
    import sys

    import click

    for name, module in list(sys.modules.items()):
        if name == "cli" or name.startswith("cli."):
            for value in vars(module).values():
                if isinstance(value, click.Command):
                    value._help_option = None
