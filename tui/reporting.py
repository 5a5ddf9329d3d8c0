"""The report of a run, written into the workspace's own folder for saved texts."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from pathlib import Path

from core.report.gather import gather
from core.report.markdown import markdown
from tui.saving import save_text
from tui.session import Session


async def write_report(session: Session, number: int, now: float) -> Path:
    """Writes the report of a run as Markdown and returns where it is. Raises WindlassError, OSError."""
    found = await gather(session.engine, number, made=now, version=version("windlass"))
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    folder = session.workspace.path if session.workspace else "."
    return await asyncio.to_thread(save_text, folder, f"run-{number}-{stamp}.md", markdown(found))
