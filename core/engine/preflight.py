"""What is known of servers before a run: from the last session with each, or by asking them now.

Asking opens a session with each server, runs nothing of the batch and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from core.engine.executor import Unreachable
from core.engine.reach import ssh_settings
from core.model.ids import new_run_id
from core.store.evidence import known_servers
from core.store.reader import StoreReader
from core.workspace.folder import Workspace
from providers.base import Server

AT_ONCE = 20
NAMED = 3


async def remembered(reader: StoreReader, names: Sequence[str]) -> list[str]:
    """What the last session with each server had to say."""
    known = await known_servers(reader, names)
    return grouped({name: server.notes for name, server in known.items()})


async def asked(
    workspace: Workspace, servers: Sequence[Server], sudo_users: Mapping[str, set[str]]
) -> list[str]:
    """What the servers say now: how commands run there, whether sudo lets us, and who does not answer."""
    from core.ssh.executor import SshExecutor

    executor = SshExecutor(ssh_settings(workspace), run_id=new_run_id())
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(server: Server) -> tuple[str, ...]:
        async with gate:
            try:
                facts = await executor.open(server)
                refused = [
                    await executor.sudo_refused(server, user)
                    for user in sorted(sudo_users.get(server.name, ()))
                ]
            except Unreachable as error:
                return (f"unreachable now: {error.why}",)
        return (*facts.notes, *filter(None, refused))

    try:
        found = await asyncio.gather(*(look(server) for server in servers))
    finally:
        await executor.close(over=True)
    return grouped({server.name: notes for server, notes in zip(servers, found, strict=True)})


def grouped(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each note, with the servers that it is about."""
    by_note: dict[str, list[str]] = {}
    for name, told in notes.items():
        for note in told:
            by_note.setdefault(note.replace(f"{name}: ", ""), []).append(name)
    sentences = []
    for note, names in by_note.items():
        shown = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
        sentences.append(f"{shown}: {note}")
    return sentences
