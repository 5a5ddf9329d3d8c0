"""Fixtures of the engine's unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A workspace with servers a and b."""
    return Lab(tmp_path / "lab")
