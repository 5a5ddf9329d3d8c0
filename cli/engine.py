"""`windlass engine`: the engine as a process, who owns the workspace, and how to free it from one that hangs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.actor import actor
from cli.audited import audited
from cli.exits import Exit
from cli.launch import perform, reader
from cli.lazy import Lazy, LazyGroup
from cli.options import changed_folder, command, json_option, workspace_folder, workspace_option
from cli.terminal import clean, confirm, emit, interactive, note, out, say
from cli.words import duration, stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.model.views import OwnerInfo, RunInfo

TABLE = {
    "start": Lazy("cli.engine_process:start", "Start an engine that no terminal ends.", "Act"),
    "stop": Lazy("cli.engine_process:stop", "Stop the background engine.", "Act"),
    "logs": Lazy("cli.engine_process:logs", "Show what the background engine wrote into its log.", "Look"),
    "status": Lazy("cli.engine:status", "Show which engine owns the workspace, and what it does.", "Look"),
    "agent": Lazy("cli.engine:agent", "Let the background engine use this session's SSH agent.", "Act"),
    "take-over": Lazy("cli.engine:take_over", "Kill an engine that hangs, and free its workspace.", "Act"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def engine() -> None:
    """Start, stop and watch the engine; take over from one that hangs."""


@click.command()
@json_option
@workspace_option
def status(as_json: bool) -> Exit:
    """Show which engine owns the workspace, and what it does.

    An engine that has died owns nothing. One that is stopped, or hangs, owns the workspace until it is
    continued or killed.
    """
    return perform(_status(as_json))


async def _status(as_json: bool) -> Exit:
    from core.processes import process_state

    async with reader() as engine:
        info = await engine.workspace()
        runs = await _executing()
    does = process_state(info.owner.pid) if info.owner else ""
    if as_json:
        emit(jsonforms.engine(info, does, [run.number for run in runs]))
        return Exit.OK
    out(f"workspace:   {clean(info.path)}")
    if info.owner is None:
        out("owner:       none")
    else:
        out(f"owner:       {clean(str(info.owner))}, since {_since(info.owner)}")
        out(f"process:     {does}")
        if info.owner.background:
            out(f"background:  yes, Windlass {clean(info.owner.version)}, on {clean(info.owner.socket)}")
            if info.owner.logout:
                out(f"logout:      {clean(info.owner.logout)}")
        else:
            out("background:  no: it ends with the command that is it")
        await _tell_agent(info.owner)
    for run in runs:
        told = "is interrupted" if run.interrupted else "is executing"
        out(f"run:         {run.number} ({clean(run.batch)}) {told}")
    for watcher in info.watchers:
        where = f"run {watcher.run}" if watcher.run is not None else "the workspace"
        out(f"here:        {clean(watcher.actor)}, {watcher.how}: {where}, since {stamp(watcher.since)}")
    if info.incarnation:
        out(f"incarnation: {info.incarnation}, event {info.last_seq}")
    if does == "stopped":
        note(
            f"it does nothing until it is continued (kill -CONT {info.owner.pid if info.owner else ''}); "
            f"`{command('engine', 'take-over')}` kills it and frees the workspace"
        )
    for run in runs:
        if run.interrupted:
            note(f"carry on with: {command('runs', 'resume', str(run.number))}")
    return Exit.OK


async def _tell_agent(owner: OwnerInfo) -> None:
    """What the background engine's keys depend on; nothing where it does not answer."""
    from cli.launch import background
    from core.errors import WindlassError
    from core.ssh.agents import how_long

    if not owner.background:
        return
    try:
        client = await background(workspace_folder())
        if client is None:
            return
        try:
            told = await client.version()
        finally:
            await client.close()
    except WindlassError:
        return
    path = str(told.get("agent", ""))
    if not path:
        out("keys:        from files: it has no SSH agent")
    elif told.get("agent_answers"):
        out(f"keys:        files, and the SSH agent at {clean(path)}: {how_long(path)}")
    else:
        out(f"keys:        files; the SSH agent at {clean(path)} does not answer")
        note(f"give it another one: {command('engine', 'agent')}")


@click.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask; needed without a terminal.")
@workspace_option
def agent(yes: bool) -> Exit:
    """Let the background engine use this session's SSH agent.

    For its connections from here on, until it ends or is given another one: as after a login, when the agent that it
    was started with is gone. A run that was paused for it is then resumed.
    """
    return perform(_agent(yes))


async def _agent(yes: bool) -> Exit:
    from cli.launch import background
    from core.errors import InputError, NeedsPerson
    from core.ssh.agents import agent_socket, how_long

    path = agent_socket()
    if not path:
        raise InputError(
            "this session has no SSH agent", hint="SSH_AUTH_SOCK names one: eval $(ssh-agent); ssh-add"
        )
    folder = changed_folder()
    client = await background(folder)
    if client is None:
        raise InputError(
            "no background engine runs here", hint="the next one takes this session's agent by itself"
        )
    try:
        if not yes:
            if not interactive():
                raise NeedsPerson(
                    "the engine would use this session's keys: without a terminal that needs --yes"
                )
            if not confirm(clean(f"Let the engine use the agent at {path}?")):
                say("nothing was changed")
                return Exit.NEEDS_PERSON
        await client.use_agent(path)
    finally:
        await client.close()
    out(clean(f"the engine uses the agent at {path}: {how_long(path)}"))
    return Exit.OK


@click.command("take-over")
@click.option(
    "-y", "--yes", is_flag=True, help="Do not ask. Without a terminal nothing is killed unless this is given."
)
@json_option
@workspace_option
def take_over(yes: bool, as_json: bool) -> Exit:
    """Kill an engine that hangs, and free its workspace.

    The holder is named first. It is killed (SIGKILL, so also when it is stopped) only where its pid and its start
    time are those it wrote down; then its locks are waited for. Commands that it had in flight go on on their
    servers, and are found when their runs are resumed. An engine of another user, host or container is refused.
    """
    return perform(_take_over(yes, as_json))


async def _take_over(yes: bool, as_json: bool) -> Exit:
    from core.engine.takeover import find_holder, take_over
    from core.errors import NeedsPerson
    from core.processes import process_state
    from core.workspace.folder import Workspace

    workspace = Workspace.open(changed_folder())
    owner = find_holder(workspace.state_dir)
    runs = await _executing()
    say(
        f"{clean(str(owner))} owns {clean(str(workspace.path))}, since {_since(owner)}; "
        f"the process is {process_state(owner.pid)}"
    )
    for run in runs:
        say(
            f"run {run.number} ({clean(run.batch)}) is executing: its commands in flight go on on their servers"
        )
    if not yes:
        if not interactive():
            raise NeedsPerson(
                f"this kills pid {owner.pid}: without a terminal that needs --yes",
                hint=f"nothing was killed; `{command('engine', 'take-over', '--yes')}` does it",
            )
        if not confirm(f"Kill pid {owner.pid}?"):
            say("nothing was killed")
            return Exit.NEEDS_PERSON
    audited(workspace.path, "engine.take_over", pid=owner.pid, owner=str(owner))
    done = await take_over(workspace.state_dir, workspace.database, owner, actor=actor())
    runs = await _executing()
    if as_json:
        emit(jsonforms.take_over(done.owner, done.waited_s, [run.number for run in runs]))
    else:
        out(f"killed pid {owner.pid}; the workspace is free after {duration(done.waited_s)}")
    _tell_next(runs)
    return Exit.OK


def _tell_next(runs: Sequence[RunInfo]) -> None:
    if not runs:
        note("no run was executing: there is nothing to resume")
    for run in runs:
        note(
            f"run {run.number} ({clean(run.batch)}) is interrupted; carry on with: "
            f"{command('runs', 'resume', str(run.number))}"
        )


async def _executing() -> Sequence[RunInfo]:
    """Runs whose state says that an engine is at work, oldest first."""
    from core.model.states import RunState

    async with reader() as engine:
        found = await engine.runs(states=[RunState.RUNNING, RunState.ROLLING_BACK], limit=100)
    return list(reversed(found))


def _since(owner: OwnerInfo) -> str:
    return f"{stamp(owner.since)} ({duration(time.time() - owner.since)})"
