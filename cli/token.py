"""`windlass token create, list, revoke`: who may reach the engine over TCP, and as what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.audited import audited
from cli.exits import Exit
from cli.lazy import Lazy, LazyGroup
from cli.options import changed_folder, json_option, workspace_folder, workspace_option
from cli.terminal import clean, emit, note, out, say
from cli.words import stamp

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.tokens import Tokens

ROLES = ("viewer", "operator", "admin", "auditor")
TABLE = {
    "create": Lazy("cli.token:create", "Make a token and show it, this once.", "Tokens"),
    "list": Lazy("cli.token:list_tokens", "List the tokens, without what they are.", "Tokens"),
    "revoke": Lazy("cli.token:revoke", "Take a token back: the next request with it is refused.", "Tokens"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def token() -> None:
    """Make, list and revoke tokens for the engine's REST API."""


@click.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True, help="What it may do.")
@click.option(
    "--expires", metavar="DURATION", help="How long it is good for: 12h, 30d; for ever where not given."
)
@json_option
@workspace_option
def create(name: str, role: str, expires: str | None, as_json: bool) -> Exit:
    """Make a token and show it, this once.

    Send it as `Authorization: Bearer TOKEN`, never in an address. What is kept here is a digest: a token that is lost
    is revoked and made anew.
    """
    from daemon.access import Role

    folder, lasts_s = changed_folder(), _seconds(expires)
    audited(folder, "token.create", name=name, role=role, expires=expires)
    made = _tokens(folder).create(name, Role(role), lasts_s)
    if as_json:
        emit(jsonforms.token_made(name, role, made))
    else:
        out(made)
    note("it is shown this once; whoever has it may act with its role")
    return Exit.OK


@click.command("list")
@json_option
@workspace_option
def list_tokens(as_json: bool) -> Exit:
    """List the tokens, without what they are."""
    import time

    found = _tokens(workspace_folder()).all()
    now = time.time()
    if as_json:
        for one in found:
            emit(jsonforms.token(one, now))
        return Exit.OK
    for one in found:
        until = (
            ""
            if one.expires is None
            else f"  {'expired' if one.expired(now) else 'until'} {stamp(one.expires)}"
        )
        out(f"{clean(one.name):20}  {one.role.value:9}  since {stamp(one.created)}{until}")
    if not found:
        note("there are none; `windlass token create NAME` makes one")
    return Exit.OK


@click.command()
@click.argument("name")
@workspace_option
def revoke(name: str) -> Exit:
    """Take a token back: the next request with it is refused."""
    folder = changed_folder()
    audited(folder, "token.revoke", name=name)
    _tokens(folder).revoke(name)
    say(clean(f"revoked {name}"))
    return Exit.OK


def _tokens(folder: Path) -> Tokens:
    from core.workspace.folder import Workspace
    from daemon.tokens import Tokens

    return Tokens(Workspace.open(folder).state_dir)


def _seconds(text: str | None) -> float | None:
    from core.batch.values import seconds

    if text is None:
        return None
    try:
        days = text.strip().lower()
        found = float(days[:-1]) * 86400 if days.endswith("d") else seconds(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    if not 0 < found <= 10 * 365 * 86400:
        raise click.BadParameter("it is more than nothing and at most ten years", param_hint="--expires")
    return found
