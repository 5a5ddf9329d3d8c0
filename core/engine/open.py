"""Opens a workspace: as its one engine, or only to read.

Reading imports neither the SSH side nor the batch models until they are needed: lists stay quick.
"""

from __future__ import annotations

import gc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from core.engine.lease import read_owner
from core.engine.reach import ssh_settings
from core.engine.reading import ReadingEngine
from core.store.reader import StoreReader
from core.workspace.folder import Workspace

if TYPE_CHECKING:
    from core.engine.api import Engine
    from core.engine.executor import Executor
    from core.engine.local import ExecutorFactory, LocalEngine, RunScope

COLLECTOR_THRESHOLDS = (10_000, 20, 50)
"""When Python looks for cycles. A task makes hundreds of objects that die by themselves and hardly a cycle;
with Python's own (700, 10, 10) looking takes a sixth of the engine's CPU.
"""


def rarely_collect() -> None:
    """Sets how often Python looks for cycles, in a process that makes and drops many objects."""
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


async def open_engine(
    path: Path, *, actor: str, executor_factory: ExecutorFactory | None = None, background: bool = False
) -> LocalEngine:
    """Opens a workspace as its owner, and settles what an ended engine left in flight.

    `background` says that it is to serve others.

    Raises WorkspaceOwned with the owner named, InputError, StoreError.
    """
    from core.engine.audited import AuditedEngine
    from core.engine.lease import Lease
    from core.store.store import Store

    rarely_collect()
    workspace = Workspace.open(path)
    lease = Lease.acquire(workspace.state_dir, background=background)
    try:
        store = await Store.open(workspace.database)
        try:
            engine = AuditedEngine(
                workspace,
                store,
                lease,
                executor_factory or ssh_executor,
                partial(read_owner, workspace.state_dir),
            )
            engine.others_variables = background
            await engine.recover(actor)
        except BaseException:
            await store.close()
            raise
    except BaseException:
        lease.release()
        raise
    return engine


async def open_reader(path: Path) -> Engine:
    """Opens a workspace to read, whoever owns it. Raises InputError, StoreError."""
    workspace = Workspace.open(path)
    reader = await StoreReader.open(workspace.database)
    return ReadingEngine(workspace, reader, partial(read_owner, workspace.state_dir))


def ssh_executor(scope: RunScope) -> Executor:
    """Runs attempts over SSH, and HTTP waits in the engine."""
    from core.engine.local_work import LocalExecutor, RoutingExecutor
    from core.ssh.executor import SshExecutor

    settings = ssh_settings(scope.workspace)
    servers = SshExecutor(settings, run_id=scope.run_id, folders_over=scope.folders_over)
    return RoutingExecutor(servers, LocalExecutor())
