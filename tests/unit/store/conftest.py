"""A store in a folder of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.store.store import Store


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the database of a workspace lies; it does not exist yet."""
    return tmp_path / ".windlass" / "state.db"


@pytest.fixture
async def store(database: Path) -> AsyncIterator[Store]:
    """An open store."""
    opened = await Store.open(database)
    yield opened
    await opened.close()
