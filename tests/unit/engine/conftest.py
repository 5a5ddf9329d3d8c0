"""Fixtures of the engine's unit tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lab import Lab


@pytest.fixture
def own_lab(tmp_path: Path) -> Lab:
    """As `lab`, for what looks into the engine itself."""
    return Lab(tmp_path / "lab")


@pytest.fixture(params=["engine", "client"])
def lab(tmp_path: Path, request: pytest.FixtureRequest) -> Lab:
    """A workspace with servers a and b; its engine is spoken to directly, and by its client."""
    return Lab(tmp_path / "lab", served=request.param == "client")
