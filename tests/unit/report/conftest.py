"""Fixtures of the tests of reports."""

from __future__ import annotations

from tests.unit.engine.conftest import lab, own_lab

__all__ = ["lab", "own_lab"]
