"""`windlass ui`, and `windlass` alone: the terminal interface."""

from __future__ import annotations

import click

from cli.exits import Exit
from cli.launch import interface, perform
from cli.options import workspace_folder, workspace_option
from cli.terminal import full_screen, out


@click.command()
@click.option("--low-bandwidth", is_flag=True, help="Draw changes at most twice a second, for a slow link.")
@click.option("--no-mouse", is_flag=True, help="Leave the mouse to the terminal, to select text with it.")
@workspace_option
def ui(low_bandwidth: bool, no_mouse: bool) -> Exit:
    """Open the terminal interface (also: windlass alone).

    While another engine owns the workspace it only shows.
    """
    folder = workspace_folder()
    if not full_screen():
        raise click.UsageError("the interface needs a terminal; `windlass runs list` and others work without")
    return Exit(perform(interface(folder, low_bandwidth=low_bandwidth, mouse=not no_mouse)))


def open_or_help(ctx: click.Context) -> Exit:
    """The interface on a terminal inside a workspace, else the help."""
    from core.errors import InputError

    if full_screen():
        try:
            folder = workspace_folder()
        except InputError:
            pass
        else:
            return Exit(perform(interface(folder)))
    out(ctx.get_help())
    return Exit.OK
