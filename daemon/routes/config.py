"""The configuration: what an edit of it would mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel

from core.model.views import BatchChange
from daemon.access import Action, Caller
from daemon.context import TheEngine, may

router = APIRouter(tags=["config"])


class Edit(BaseModel):
    """A file of the configuration, by its path in the workspace, and the text that would stand in it."""

    file: str
    text: str
    environment: str = ""


@router.post("/config/effects")
async def effects(
    engine: TheEngine, caller: Annotated[Caller, may(Action.CONFIG_READ)], edit: Edit
) -> Sequence[BatchChange]:
    """What the saved batches would do otherwise; nothing is written."""
    return await engine.batch_effects(edit.file, edit.text, edit.environment)
