"""Fixtures of the fault tests: a workspace with running local servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.program import Program


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """The program on a workspace with three running local servers, stopped at the end."""
    made = Program(tmp_path / "lab")
    made.call("servers", "start")
    yield made
    made.call("servers", "stop")
