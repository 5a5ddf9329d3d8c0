"""`windlass servers start, stop, trust`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cli.actor import actor
from cli.complete import complete_servers
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import changed_folder, command, workspace_option
from cli.terminal import clean, confirm, interactive, note, out, say


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_servers)
@workspace_option
def start(names: Sequence[str]) -> Exit:
    """Start servers that their provider can start.

    Without NAME all of them. One that runs already stays as it is.
    """
    return perform(_start(names))


async def _start(names: Sequence[str]) -> Exit:
    async with reader(changed_folder()) as engine:
        for name in await engine.start_servers(names):
            out(clean(name))
    return Exit.OK


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=complete_servers)
@workspace_option
def stop(names: Sequence[str]) -> Exit:
    """Stop servers, with what was started on them.

    Without NAME all of them. Refused for servers on which a run executes.
    """
    return perform(_stop(names))


async def _stop(names: Sequence[str]) -> Exit:
    async with reader(changed_folder()) as engine:
        stopped = await engine.stop_servers(names)
    for name in stopped:
        out(clean(name))
    if not stopped:
        note("none was running")
    return Exit.OK


@click.command()
@click.argument("name", shell_complete=complete_servers)
@click.option(
    "--fingerprint", metavar="SHA256:...", help="What the server must show; needed without a terminal."
)
@workspace_option
def trust(name: str, fingerprint: str | None) -> Exit:
    """Trust the host key that a server shows.

    It is stored in the workspace's known_hosts. Compare the fingerprint with what the server's console or its
    administrator says; a key that changed is refused.
    """
    return perform(_trust(name, fingerprint))


async def _trust(name: str, fingerprint: str | None) -> Exit:
    from core.errors import NeedsPerson, NotPossible

    async with reader(changed_folder()) as engine:
        key = await engine.host_key(name)
        say(f"{clean(name)} ({clean(key.address)}, port {key.port}) shows {clean(key.fingerprint)}")
        if fingerprint is not None and fingerprint != key.fingerprint:
            raise NotPossible(
                f"{name} shows {key.fingerprint}, not {fingerprint}: nothing was stored",
                hint="somebody may be in between; ask the server's console which one is its own",
            )
        if fingerprint is None:
            if not interactive():
                how = command("servers", "trust", name, "--fingerprint", key.fingerprint)
                raise NeedsPerson(
                    "without a terminal the fingerprint must be given",
                    hint=f"if it is the server's own: {how}",
                )
            if not confirm("Is this the server's own key?"):
                say("nothing was stored")
                return Exit.NEEDS_PERSON
        await engine.trust(key, actor=actor())
    out(f"{clean(name)} {key.fingerprint}")
    return Exit.OK
