"""The committed JSON Schema is what the program prints."""

from __future__ import annotations

import json
from pathlib import Path

from core.batch.schema import batch_schema

COMMITTED = Path(__file__).parents[3] / "docs" / "schema" / "batch.schema.json"


def test_the_committed_schema_is_current() -> None:
    assert json.loads(COMMITTED.read_text()) == batch_schema(), (
        "run: windlass schema batch > docs/schema/batch.schema.json"
    )
