"""`windlass servers exec`: one command on many servers, as a run like any other: recorded, limited, resumable.

The command becomes a batch of one step (`core.engine.adhoc`), so that its history, doubt and output are kept where
those of every run are. What it prints goes to stdout, each line with its server's name.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.actor import actor
from cli.complete import complete_selectors
from cli.environments import confirm_option, environment_option, tell_protection, typed_name
from cli.exits import Exit
from cli.launch import carrier, perform
from cli.options import changed_folder, follow_options, foreground_option, workspace_option
from cli.selectors import as_selector
from cli.terminal import confirm, interactive, say

if TYPE_CHECKING:
    from cli.follow import Following
    from core.engine.api import RunRequest


@click.command("exec", context_settings={"allow_interspersed_args": False})
@click.argument("selector", shell_complete=complete_selectors)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--parallel",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="At most so many at once.",
)
@click.option("--timeout", metavar="TIME", help="Stop it on a server after this: 30s, 5m.")
@click.option("--sudo", is_flag=True, help="As root.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, also on a terminal.")
@click.option("--alongside", is_flag=True, help="Also on servers that another open run holds.")
@environment_option
@confirm_option
@foreground_option
@follow_options
@workspace_option
def exec_command(
    selector: str,
    command: Sequence[str],
    parallel: int,
    timeout: str | None,
    sudo: bool,
    yes: bool,
    alongside: bool,
    environment: str,
    typed: str,
    foreground: bool,
    how: Following,
) -> Exit:
    """Run a command on servers, as a recorded run.

    SELECTOR is a name, name:web-*, group:db, label:role=db, and/or/not; options come before it. One word after it
    is a shell command as it stands; several are quoted.

    \b
    windlass servers exec group:web -- uptime
    windlass servers exec 'name:web-* and not label:zone=b' 'df -h | tail -1'
    """
    from core.engine.adhoc import adhoc_batch

    words = list(command[1:] if command[0] == "--" else command)
    text = words[0] if len(words) == 1 else shlex.join(words)
    document = adhoc_batch(as_selector(selector), text, parallel=parallel, timeout=timeout, sudo=sudo)
    how.exec_lines = True
    from core.engine.api import PlanRequest, RunRequest

    asked = RunRequest(PlanRequest("", environment=environment), actor(), alongside, confirm=typed)
    return perform(
        _exec(
            changed_folder(),
            selector,
            document,
            asked,
            how,
            ask=not yes and interactive(),
            foreground=foreground,
        )
    )


async def _exec(
    folder: Path,
    selector: str,
    document: str,
    asked: RunRequest,
    how: Following,
    *,
    ask: bool,
    foreground: bool,
) -> Exit:
    from dataclasses import replace

    from cli.follow import act_and_follow
    from cli.selectors import choose, nothing_matches
    from core.engine.adhoc import keep_adhoc
    from core.engine.protection import check_changeable
    from core.errors import InputError
    from core.workspace.folder import Workspace

    workspace = Workspace.load(folder)
    check_changeable(workspace)  # the engine would say it too late: the document is written before
    async with carrier(folder, foreground=foreground) as engine:
        servers = await engine.servers()
        if not choose(servers, selector):
            raise nothing_matches(servers, selector)
        path = keep_adhoc(workspace, document)
        request = replace(asked.plan, batch=str(path))
        try:
            plan = await engine.plan(request)
        except InputError as error:
            path.unlink()
            if not error.faults:
                raise
            # The document is ours: its lines mean nothing to who typed the command.
            told = dict.fromkeys(fault.message for fault in error.faults)
            raise InputError("; ".join(told), hint=error.faults[0].hint) from error
        tell_protection(plan.place, plan.protection)
        typed = typed_name(plan.confirm, f"needs its name: {'; '.join(plan.confirm_why)}", asked.confirm)
        if ask and not plan.confirm:
            names = " ".join(plan.servers)
            if not confirm(f"Run it on {len(plan.servers)} servers ({names[:200]})?"):
                say("nothing was started")
                path.unlink()
                return Exit.NEEDS_PERSON
        final = replace(asked, plan=request, digest=plan.digest, confirm=typed)
        return await act_and_follow(engine, lambda: engine.start(final), how)
