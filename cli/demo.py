"""`windlass demo`: a workspace with twelve servers on this machine, opened, or run without a terminal.

The copy is the person's own and stays between demos; `--fresh` makes it anew. It is only ever removed where a
mark says that a demo made it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.actor import actor
from cli.launch import interface, owner, perform, reader
from cli.options import GIVEN, command
from cli.terminal import full_screen, note, out, say
from cli.words import plural

if TYPE_CHECKING:
    from core.engine.api import Engine

BATCH = "rollout"
MARK = "demo"
"""A file in the state folder of a workspace that `windlass demo` made."""


@click.command()
@click.option("--headless", is_flag=True, help="Run the batch without the interface, also on a terminal.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), help="Where the demo's workspace is kept.")
@click.option("--fresh", is_flag=True, help="Make the demo's workspace anew.")
@click.option("--keep-servers", is_flag=True, help="Leave the servers running.")
def demo(headless: bool, folder: Path | None, fresh: bool, keep_servers: bool) -> int:
    """Try Windlass: twelve servers on this machine and a batch.

    On a terminal it opens the interface, with the batch ready to start. Without one, or with --headless, it runs
    the batch, prints its progress, and leaves nothing running. The servers are real SSH servers on 127.0.0.1;
    what runs on them runs with your own rights.
    """
    workspace = (_usual_folder() if folder is None else folder).absolute()
    if fresh:
        _remove(workspace)
    _make(workspace)
    GIVEN["workspace"] = str(workspace)
    if not headless and full_screen():
        return perform(_open(workspace, keep_servers))
    return perform(_run(workspace, keep_servers))


def _usual_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("windlass")) / "demo"


def _make(folder: Path) -> None:
    from core.workspace.folder import STATE_DIR, Workspace
    from core.workspace.template import create_workspace
    from core.workspace.trust import trust_own

    if (folder / "workspace.yaml").exists():
        Workspace.load(folder)
        return
    create_workspace(folder, "demo")
    (folder / STATE_DIR / MARK).touch(mode=0o600)
    trust_own(folder)
    say(f"made the demo's workspace in {folder}")


def _remove(folder: Path) -> None:
    """Removes an earlier demo: its servers are stopped, and nothing that is not a demo is touched."""
    from core.engine.lease import read_owner
    from core.errors import NotPossible, WorkspaceOwned
    from core.workspace.folder import STATE_DIR

    if not folder.exists():
        return
    if folder.is_symlink() or not (folder / STATE_DIR / MARK).is_file():
        raise NotPossible(
            f"{folder} was not made by `windlass demo`: it stays as it is",
            hint="name another folder with --dir",
        )
    live = read_owner(folder / STATE_DIR)
    if live is not None:
        raise WorkspaceOwned(f"the demo in {folder} is in use: {live}", hint="leave it first")
    perform(_stop(folder))
    shutil.rmtree(folder)


async def _open(folder: Path, keep_servers: bool) -> int:
    await _start(folder)
    # Where a run of an earlier demo is open, the dashboard shows first what it needs.
    batch = None if await _has_open_run(folder) else BATCH
    try:
        return await interface(folder, batch=batch, notice=f"This is the demo, kept in {folder}.")
    finally:
        if keep_servers or await _has_open_run(folder):
            note(f"the servers go on; stop them: {command('servers', 'stop')}")
        else:
            await _end_engine(folder)
            await _stop(folder)


async def _end_engine(folder: Path) -> None:
    """Ends the engine that the demo started in the background: nothing is left for it to do."""
    from cli.launch import background

    engine = await background(folder)
    if engine is not None:
        try:
            await engine.drain()
        finally:
            await engine.close()


async def _run(folder: Path, keep_servers: bool) -> int:
    from cli.follow import Following
    from cli.run import start
    from core.engine.api import PlanRequest, RunRequest

    try:
        await _start(folder)
        async with owner(folder) as engine:
            await _tell_open(engine)
            request = RunRequest(PlanRequest(BATCH), actor(), alongside=True)
            status = await start(engine, request, Following(), ask=False)
    finally:
        if keep_servers:
            note(f"the servers go on; stop them: {command('servers', 'stop')}")
        else:
            await _stop(folder)
    out(f"The demo's workspace is kept in {folder}. Try next:")
    activate = _activate()
    if activate is not None:
        out(f"  . {activate}")
    out(f"  {command('runs', 'show')}")
    out("  windlass demo" if folder == _usual_folder() else f"  windlass demo --dir {folder}")
    return status


def _activate() -> Path | None:
    """What puts `windlass` on the path, where it was started from a virtual environment and is not on it."""
    script = Path(sys.argv[0]).absolute().with_name("activate")
    if shutil.which("windlass") is not None or not script.is_file():
        return None
    return script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script


async def _start(folder: Path) -> None:
    async with reader(folder) as engine:
        running = await engine.start_servers()
    say(f"{plural(len(running), 'server')} on this machine, each with a home of its own")


async def _stop(folder: Path) -> None:
    async with reader(folder) as engine:
        stopped = await engine.stop_servers()
    if stopped:
        say(f"stopped {plural(len(stopped), 'server')}")


async def _has_open_run(folder: Path) -> bool:
    from core.model.states import OPEN_RUNS

    async with reader(folder) as engine:
        return bool(await engine.runs(states=list(OPEN_RUNS), limit=1))


async def _tell_open(engine: Engine) -> None:
    from core.model.states import OPEN_RUNS

    for run in await engine.runs(states=list(OPEN_RUNS), limit=3):
        note(f"run {run.number} of an earlier demo is still open: {command('runs', 'show', str(run.number))}")
