"""Opens what the commands work on: an engine that owns the workspace, one that reads it, or the interface.

The one module of the command line that may import the terminal interface, and only inside a function.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cli.actor import actor
from cli.options import changed_folder, workspace_folder
from cli.terminal import clean, paint, say

if TYPE_CHECKING:
    from core.engine.api import Engine

T = TypeVar("T")


def perform(work: Coroutine[Any, Any, T]) -> T:
    """Runs a command's work to its end, in a loop whose clock counts sleep."""
    from core.clock import UptimeLoop

    with asyncio.Runner(loop_factory=UptimeLoop) as runner:
        return runner.run(work)


@asynccontextmanager
async def owner(folder: Path | None = None) -> AsyncIterator[Engine]:
    """The engine of a workspace (the one the command names), in this process. Raises WorkspaceOwned.

    What the operator must know of this opening is told on stderr.
    """
    from core.engine.open import open_engine

    engine = await open_engine(changed_folder() if folder is None else folder, actor=actor())
    try:
        for notice in (await engine.workspace()).notices:
            say(f"{paint('warning:', 'warning', sys.stderr)} {clean(notice)}")
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def reader(folder: Path | None = None) -> AsyncIterator[Engine]:
    """A reading engine of a workspace, whoever owns it."""
    from core.engine.open import open_reader

    engine = await open_reader(workspace_folder() if folder is None else folder)
    try:
        yield engine
    finally:
        await engine.close()


async def interface(folder: Path, *, batch: str | None = None, notice: str = "") -> int:
    """Opens the terminal interface and returns its exit status; it only shows what another engine owns.

    Where another workspace is chosen there, goes on with that one; one that does not open leads back.
    """
    from core.errors import WindlassError
    from tui.app import run_app

    before: Path | None = None
    while True:
        try:
            engine = await _engine(folder)
        except WindlassError as error:
            if before is None:
                raise
            folder, before, notice = before, None, f"{folder} was not opened: {error}"
            continue
        try:
            told = " ".join(filter(None, (notice, *(await engine.workspace()).notices)))
            ended = await run_app(engine, actor=actor(), start_batch=batch, started_notice=told)
        finally:
            await engine.close()
        if isinstance(ended, int):
            return ended
        folder, before, batch, notice = ended, folder, None, ""


async def _engine(folder: Path) -> Engine:
    """An engine of a workspace: its owner, or a reader where another one owns it."""
    from core.engine.open import open_engine, open_reader
    from core.errors import WorkspaceOwned

    try:
        return await open_engine(folder, actor=actor())
    except WorkspaceOwned:
        return await open_reader(folder)
