"""`windlass runs report`: what happened to a run, for a ticket or a colleague."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click

from cli.complete import complete_runs
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import workspace_option
from cli.terminal import out, say
from cli.version import __version__


@click.command()
@click.argument("run", required=False, type=click.IntRange(1), shell_complete=complete_runs)
@click.option(
    "--format",
    "form",
    type=click.Choice(["markdown", "html"]),
    default="markdown",
    show_default=True,
    help="As Markdown, or as one HTML page that fetches and runs nothing.",
)
@click.option(
    "--out", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a new file (0600)."
)
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@workspace_option
def report(run: int | None, form: str, file: Path | None, force: bool) -> Exit:
    """Write down what happened to a run: what is certain, what is in doubt, what to do.

    It is made of what is stored, so of a run that goes on as well. Values of secrets are not in it.
    """
    return perform(_report(run, form, file, force))


async def _report(number: int | None, form: str, file: Path | None, force: bool) -> Exit:
    from cli.choose import pick
    from core.errors import InputError
    from core.report.gather import gather
    from core.report.markdown import markdown
    from core.report.page import page

    async with reader() as engine:
        run = await pick(engine, number)
        found = await gather(engine, run.number, made=time.time(), version=__version__)
    text = page(found) if form == "html" else markdown(found)
    if file is None:
        out(text.rstrip("\n"))
        return Exit.OK
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(file, flags | (os.O_TRUNC if force else os.O_EXCL), 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8", "replace"))
    except FileExistsError:
        raise InputError(f"{file} is there already", hint="--force writes over it") from None
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror or error}") from error
    say(f"the report of run {run.number} is in {file}")
    return Exit.OK
