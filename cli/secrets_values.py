"""`windlass secrets set, get, edit`: values go by prompt, pipe and editor, never by argument."""

from __future__ import annotations

import getpass
import sys

import click

from cli.audited import audited
from cli.complete import complete_secrets
from cli.exits import Exit
from cli.options import changed_folder, workspace_option
from cli.secrets_keys import changed_store, open_store
from cli.terminal import clean, confirm, interactive, out, out_bytes, say

force_option = click.option(
    "--force",
    is_flag=True,
    help="Store one of less than 8 bytes too (redaction may then hide ordinary text), or with a NUL in it.",
)


@click.command("set")
@click.argument("name", shell_complete=complete_secrets)
@force_option
@workspace_option
def set_secret(name: str, force: bool) -> Exit:
    """Store a secret from a prompt or standard input.

    On a terminal it is asked for twice and not shown. From standard input it is taken as it is, without the
    newline at its end.
    """
    store = changed_store()
    store.check_name(name)
    value = _asked(name) if sys.stdin.isatty() else _piped()
    audited(changed_folder(), "secret.set", name=name)
    store.put(name, value, force=force)
    say(f"stored: {clean(name)}")
    return Exit.OK


def _asked(name: str) -> bytes:
    from core.errors import InputError

    try:
        value = getpass.getpass(f"value of {clean(name)} (not shown): ", stream=sys.stderr)
        again = getpass.getpass("once more: ", stream=sys.stderr)
    except EOFError:
        say()
        raise KeyboardInterrupt from None
    if value != again:
        raise InputError("the two values differ; nothing was stored")
    return value.encode("utf-8", "surrogateescape")


def _piped() -> bytes:
    from core.secrets.store import MAX_BYTES

    return without_newline(sys.stdin.buffer.read(MAX_BYTES + 3))


def without_newline(value: bytes) -> bytes:
    """The value without one newline at its end."""
    return value.removesuffix(b"\n").removesuffix(b"\r") if value.endswith(b"\n") else value


@click.command()
@click.argument("name", shell_complete=complete_secrets)
@workspace_option
def get(name: str) -> Exit:
    """Print a secret; a terminal is asked first.

    Into a pipe or a file it goes byte for byte, and nobody is asked.
    """
    from core.errors import NeedsPerson

    value = open_store().get(name)
    if not sys.stdout.isatty():
        out_bytes(value)
        return Exit.OK
    if not interactive():
        raise NeedsPerson(
            f"the secret {name!r} is not shown on a terminal without asking, and nobody can be asked",
            hint="send it to a pipe or a file",
        )
    if not confirm(f"Show the secret {clean(name)} on this terminal?"):
        return Exit.NEEDS_PERSON
    for line in value.split(b"\n"):
        out(clean(line))
    return Exit.OK


@click.command()
@click.argument("name", shell_complete=complete_secrets)
@force_option
@workspace_option
def edit(name: str, force: bool) -> Exit:
    """Change a secret in your editor.

    VISUAL or EDITOR opens a private file, in memory where the machine has such a folder; it is removed
    afterwards. One that does not exist yet is made.
    """
    from cli.editor import edited

    store = changed_store()
    before = store.get(name) if store.exists(name) else b""
    after = edited(before)
    if not before.endswith(b"\n"):
        after = without_newline(after)  # most editors end the last line
    if after == before:
        say("unchanged")
        return Exit.OK
    audited(changed_folder(), "secret.set", name=name)
    store.put(name, after, force=force)
    say(f"stored: {clean(name)}")
    return Exit.OK
