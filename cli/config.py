"""`windlass config`: the group. Its commands live in modules of their own."""

from __future__ import annotations

import click

from cli.lazy import Lazy, LazyGroup
from cli.options import workspace_option

TABLE = {
    "get": Lazy("cli.config_read:get", "Print a value, worked out.", "Look"),
    "show": Lazy("cli.config_read:show", "List the values, worked out, and where each was written.", "Look"),
    "explain": Lazy(
        "cli.config_read:explain", "Tell where a value comes from, and what it overrides.", "Look"
    ),
    "validate": Lazy(
        "cli.config_check:validate", "Check the configuration: every fault with its place.", "Look"
    ),
    "diff": Lazy(
        "cli.config_diff:diff", "Tell how two environments or moments differ, by their values.", "Look"
    ),
    "set": Lazy("cli.config_change:set_command", "Set a value in a file of the configuration.", "Change"),
    "unset": Lazy(
        "cli.config_change:unset",
        "Take a key, or an entry of a list, out of a file of the configuration.",
        "Change",
    ),
    "append": Lazy(
        "cli.config_change:append",
        "Add an entry to the end of a list in a file of the configuration.",
        "Change",
    ),
    "edit": Lazy(
        "cli.config_edit:edit", "Change a file of the configuration in your editor, checked.", "Change"
    ),
    "migrate": Lazy(
        "cli.config_migrate:migrate",
        "Take variables of the environment over into the configuration.",
        "Change",
    ),
    "history": Lazy(
        "cli.config_history:history", "List the edits that commands made, newest first.", "Change"
    ),
    "revert": Lazy("cli.config_history:revert", "Take an edit back, the newest by default.", "Change"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def config() -> None:
    """Read, explain, check and change the configuration."""
