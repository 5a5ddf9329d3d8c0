"""Fixtures of the end-to-end tests: a workspace with running local servers, and a terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.terminals import Tmux
from tests.support.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The program on a workspace with three running local servers, stopped at the end."""
    made = Program(tmp_path / "lab")
    made.call("servers", "start")
    yield made
    made.call("servers", "stop")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Tmux]:
    """A terminal of 120 × 40."""
    # A Unix socket's path is short: the test's own folder may be too deep for it.
    folder = Path("/tmp") / f"windlass-t{os.getpid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = Tmux(folder, 120, 40)
    yield made
    made.end()
    shutil.rmtree(folder, ignore_errors=True)
