"""The run's folder on a server: made once in the first place that can be trusted; folders of ended runs go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from core.ssh.settings import SshSettings
from core.ssh.supervisor.record import is_folder, new_folder_name
from core.ssh.supervisor.session import Session

SWEEP_AT_ONCE = 100

FoldersOver = Callable[[list[str]], Awaitable[set[str]]]
"""Which of these folders are of runs of ours that are over."""


async def make_folder(
    session: Session, settings: SshSettings, run_id: str, folders_over: FoldersOver | None
) -> tuple[str, str]:
    """Makes a new folder for a run: its path, or "" with the reason. Raises SessionLost."""
    refused = []
    for base in settings.record_bases:
        path, why, others = await session.new_folder(new_folder_name(run_id), [base])
        if path and not is_folder(path):
            return "", "its folder has an odd name"
        if path:
            await _sweep(session, others, folders_over)
            return path, ""
        if why:
            refused.append(why)
    return "", "no private folder can be made: " + (" ".join(refused) or "none is known")


async def _sweep(session: Session, others: list[str], folders_over: FoldersOver | None) -> None:
    """Removes those of the other folders whose runs are over."""
    if folders_over is None or not others:
        return
    old = sorted(await folders_over([path for path in others if is_folder(path)]))
    if old:
        await session.sweep(old[:SWEEP_AT_ONCE])
