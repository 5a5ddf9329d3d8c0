"""The `windlass` program: its commands, and how it ends.

`--version` and `--help` import click and nothing heavier. Every way out goes through `main`: errors become
a message and an exit status of `cli.exits`, never a traceback.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from cli import terminal
from cli.exits import Exit
from cli.lazy import Lazy, LazyGroup
from cli.options import GIVEN, TOLD, workspace_option
from cli.version import __version__

PROGRAM = "windlass"

TABLE = {
    "demo": Lazy("cli.demo:demo", "Try Windlass: twelve servers on this machine and a batch.", "Begin"),
    "init": Lazy("cli.init:init", "Make a workspace in a new or an empty folder.", "Begin"),
    "ui": Lazy("cli.ui:ui", "Open the terminal interface (also: windlass alone).", "Begin"),
    "validate": Lazy(
        "cli.validate:validate", "Check the workspace: every fault with file:line:column.", "Work"
    ),
    "plan": Lazy("cli.plan:plan", "Show what a run of a batch would do; change nothing.", "Work"),
    "run": Lazy("cli.run:run", "Run a batch and follow it.", "Work"),
    "attach": Lazy("cli.runs_read:attach", "Follow a run that goes on elsewhere (also: runs watch).", "Work"),
    "watch": Lazy("cli.runs_read:watch", "Follow a run live, whoever executes it.", "Work"),
    "runs": Lazy("cli.runs:runs", "List, show, follow, resume, retry, decide, roll back runs.", "Work"),
    "servers": Lazy("cli.servers:servers", "List, show, start, stop, reach and trust servers.", "Work"),
    "config": Lazy("cli.config:config", "Read, explain, check and change the configuration.", "Work"),
    "secrets": Lazy(
        "cli.secrets:secrets", "Keep, show, edit and re-encrypt the workspace's secrets.", "Work"
    ),
    "engine": Lazy(
        "cli.engine:engine", "Start, stop and watch the engine; take over from one that hangs.", "Work"
    ),
    "token": Lazy("cli.token:token", "Make, list and revoke tokens for the engine's REST API.", "More"),
    "webhooks": Lazy("cli.webhooks:webhooks", "See who is told of events: webhooks and programs.", "More"),
    "audit": Lazy("cli.audit:audit", "Look at the audit log: who decided and changed what.", "More"),
    "workspace": Lazy(
        "cli.workspace:workspace", "Register, choose, export, import and trust workspaces.", "More"
    ),
    "schema": Lazy("cli.schema:schema", "Print the JSON Schema of batch documents.", "More"),
    "completion": Lazy("cli.completion:completion", "Print the completion script of a shell.", "More"),
}


@click.group(
    cls=LazyGroup,
    table=TABLE,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit statuses: 0 ok, 1 run failed, 2 bad input, 3 workspace owned by another engine, 4 needs a "
    "person, 5 rolled back, 6 unreachable, 70 internal error, 130 interrupted and resumable.",
)
@click.version_option(__version__, "--version", "-V", prog_name=PROGRAM, message="%(prog)s %(version)s")
@workspace_option
@click.pass_context
def cli(ctx: click.Context) -> int | None:
    """Run batches of work on servers over SSH: checkpointed, resumable, watched live.

    Without a command, on a terminal and inside a workspace, it opens the terminal interface.
    """
    if ctx.invoked_subcommand is not None:
        return None
    from cli.ui import open_or_help

    return open_or_help(ctx)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the program and ends the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    GIVEN.clear()
    TOLD.clear()
    try:
        status = cli.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        if terminal.lost:
            terminal.say(f"error: {terminal.lost[0]}")
            status = status or Exit.INTERNAL
    except BaseException as error:
        from cli.failures import report

        status = report(error)
    sys.exit(int(status or 0))
