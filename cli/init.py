"""`windlass init`: a workspace from a template."""

from __future__ import annotations

from pathlib import Path

import click

from cli.exits import Exit
from cli.terminal import clean, note, out


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--template",
    default="empty",
    show_default=True,
    metavar="NAME",
    help="empty, or demo: twelve servers on this machine and three batches.",
)
def init(folder: Path, template: str) -> Exit:
    """Make a workspace in a new or an empty folder.

    A folder with anything in it is refused.
    """
    from core.workspace.template import create_workspace

    made = create_workspace(folder, template)
    for name in made:
        out(clean(str(folder / name)))
    note(f"a workspace: `cd {folder}`, then `windlass validate`, `windlass servers list` or `windlass`")
    return Exit.OK
