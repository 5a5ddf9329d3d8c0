"""`windlass secrets`: the group. Its commands live in modules of their own."""

from __future__ import annotations

import click

from cli.lazy import Lazy, LazyGroup
from cli.options import workspace_option

TABLE = {
    "init": Lazy("cli.secrets_keys:init", "Make an identity, and name it as a recipient.", "Begin"),
    "set": Lazy("cli.secrets_values:set_secret", "Store a secret from a prompt or standard input.", "Values"),
    "get": Lazy("cli.secrets_values:get", "Print a secret; a terminal is asked first.", "Values"),
    "edit": Lazy("cli.secrets_values:edit", "Change a secret in your editor.", "Values"),
    "list": Lazy("cli.secrets_keys:list_secrets", "List the secrets, never their values.", "Values"),
    "recipients": Lazy("cli.secrets_keys:recipients", "List who can open the secrets; add, remove.", "Keys"),
    "rotate": Lazy(
        "cli.secrets_keys:rotate", "Encrypt every secret anew, for the present recipients.", "Keys"
    ),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def secrets() -> None:
    """Keep, show, edit and re-encrypt the workspace's secrets."""
