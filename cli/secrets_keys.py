"""`windlass secrets init, list, recipients, rotate`: who can open the secrets, and which there are."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.audited import audited
from cli.exits import Exit
from cli.options import (
    changed_folder,
    changed_workspace,
    command,
    json_option,
    workspace_folder,
    workspace_option,
)
from cli.terminal import clean, emit, note, out, say, table
from cli.words import ago, plural

if TYPE_CHECKING:
    from core.secrets.store import SecretStore


def open_store() -> SecretStore:
    """The secrets of the workspace that the command is about. Raises InputError."""
    from core.secrets.store import SecretStore

    return SecretStore(workspace_folder().absolute())


def changed_store() -> SecretStore:
    """The same, to change something in it. Raises InputError, ReadOnlyWorkspace."""
    from core.secrets.store import SecretStore

    return SecretStore(changed_workspace().path)


@click.command()
@click.option(
    "--recipient",
    "lines",
    metavar="KEY",
    multiple=True,
    help="Name this age or SSH public key instead of making an identity; may be repeated.",
)
@workspace_option
def init(lines: Sequence[str]) -> Exit:
    """Make an identity, and name it as a recipient.

    The identity is your private key: it lies in your own settings folder (mode 0600), never in the workspace, and
    one that is there already is taken. WINDLASS_IDENTITY=FILE names another.
    """
    from core.secrets.identity import VARIABLE, identity_file, make_identity

    store = changed_store()
    if not lines:
        named = os.environ.get(VARIABLE)
        path = Path(named).expanduser() if named else identity_file()
        there = path.exists()
        lines = [make_identity(path)]
        note(
            f"identity {'found' if there else 'made'}: {clean(str(path))}; keep a copy of it in a safe place"
        )
    audited(changed_folder(), "secret.recipients", added=[line.strip() for line in lines])
    new = store.add_recipients(lines)
    for line in lines:
        out(clean(line.strip()))
    say("named as a recipient" if new else "named as a recipient already")
    if new and store.names():
        note(f"secrets that are there already are not encrypted for it yet: `{command('secrets', 'rotate')}`")
    return Exit.OK


@click.command("list")
@json_option
@workspace_option
def list_secrets(as_json: bool) -> Exit:
    """List the secrets, never their values."""
    infos = open_store().infos()
    if as_json:
        for info in infos:
            emit(jsonforms.secret(info))
        return Exit.OK
    now = time.time()
    rows = [
        (info.name, "unreadable" if info.recipients is None else str(info.recipients), ago(info.changed, now))
        for info in infos
    ]
    if rows:
        for line in table(("NAME", "RECIPIENTS", "CHANGED"), rows, right=("RECIPIENTS",), max_chars=200):
            out(line)
    else:
        note(f"there are no secrets; `{command('secrets', 'set', 'NAME')}` stores one")
    return Exit.OK


@click.command()
@click.argument("action", type=click.Choice(["list", "add", "remove"]), default="list")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@workspace_option
def recipients(action: str, keys: Sequence[str]) -> Exit:
    """List who can open the secrets; add, remove.

    KEY is an age public key (age1...) or the line of an SSH .pub file, in quotes. A change concerns what is
    encrypted from then on: rotate encrypts the rest anew.
    """
    store = open_store() if action == "list" else changed_store()
    if action == "list":
        if keys:
            raise click.UsageError("list takes no KEY; to name one: recipients add KEY")
        for line in store.recipient_lines():
            out(clean(line))
        return Exit.OK
    if not keys:
        raise click.UsageError(f"{action} which KEY?")
    audited(changed_folder(), "secret.recipients", **{"added" if action == "add" else "removed": list(keys)})
    if action == "add":
        new = store.add_recipients(keys)
        say(f"{plural(len(new), 'recipient')} added")
    else:
        for key in keys:
            store.remove_recipient(key)
        new = list(keys)
        say(f"{plural(len(keys), 'recipient')} removed")
        note("what was encrypted for them before they may have kept: change the secrets themselves as well")
    if new and store.names():
        note(f"the secrets that are there follow with `{command('secrets', 'rotate')}`")
    return Exit.OK


@click.command()
@workspace_option
def rotate() -> Exit:
    """Encrypt every secret anew, for the present recipients.

    A secret that you cannot open stays as it is and is named; the status is 4 then.
    """
    store = changed_store()
    audited(changed_folder(), "secret.rotate")
    rotated = store.rotate()
    for name in rotated.done:
        out(clean(name))
    for name, why in rotated.left.items():
        say(f"not rotated: {clean(name)}: {clean(why)}")
    if rotated.left:
        note("somebody who can open them runs the same command")
        return Exit.NEEDS_PERSON
    return Exit.OK
