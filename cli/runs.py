"""`windlass runs`: the group. Its commands live in modules of their own: reading, following, changing."""

from __future__ import annotations

import click

from cli.lazy import Lazy, LazyGroup
from cli.options import workspace_option

TABLE = {
    "list": Lazy("cli.runs_read:list_runs", "List the runs, newest first.", "Look"),
    "show": Lazy(
        "cli.runs_read:show", "Show a run or a task: where it stands, why, what to do next.", "Look"
    ),
    "logs": Lazy("cli.runs_logs:logs", "Print what tasks printed.", "Look"),
    "watch": Lazy("cli.runs_read:watch", "Follow a run live, whoever executes it.", "Look"),
    "diff": Lazy(
        "cli.runs_diff:diff", "Show how a batch file differs from what a run was made from.", "Look"
    ),
    "wait": Lazy("cli.runs_read:wait", "Wait until a run ends; end with its status.", "Look"),
    "report": Lazy(
        "cli.runs_report:report",
        "Write down what happened to a run: what is certain, what is in doubt, what to do.",
        "Look",
    ),
    "resume": Lazy("cli.runs_change:resume", "Carry on a paused or interrupted run.", "Act"),
    "retry": Lazy("cli.runs_change:retry", "Open failed tasks again and carry on.", "Act"),
    "decide": Lazy("cli.runs_change:decide", "Decide a task in doubt: retry, done, failed or skip.", "Act"),
    "pause": Lazy("cli.runs_change:pause", "Start no further task of a run.", "Act"),
    "cancel": Lazy("cli.runs_change:cancel", "End a run without finishing it.", "Act"),
    "control": Lazy(
        "cli.runs_change:control", "Take the control of a run, so that nobody else changes it.", "Act"
    ),
    "rollback": Lazy("cli.runs_change:rollback", "Undo what a run did, in reverse order.", "Act"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def runs() -> None:
    """List, show, follow, resume, retry, decide, roll back runs.

    RUN is a run's number; left out, it is the newest run that fits. A task is STEP@SERVER.
    """
