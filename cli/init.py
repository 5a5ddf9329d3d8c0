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

    A folder with anything in it is refused. It is yours: programs that it names are trusted.
    """
    from core.workspace.template import create_workspace
    from core.workspace.trust import trust_own

    made = create_workspace(folder, template)
    untrusted = trust_own(folder)
    for name in made:
        out(clean(str(folder / name)))
    if untrusted:
        note(clean(f"it is not trusted: {untrusted}"))
    note(f"a workspace: `cd {folder}`, then `windlass validate`, `windlass servers list` or `windlass`")
    return Exit.OK
