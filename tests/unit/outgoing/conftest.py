"""Fixtures of the tests of what goes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lab import Lab


@pytest.fixture
def own_lab(tmp_path: Path) -> Lab:
    """A workspace with servers a and b in memory."""
    return Lab(tmp_path / "lab")
