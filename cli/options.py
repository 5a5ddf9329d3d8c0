"""Options that many commands share, and what they mean.

`-w DIR` may stand before or after the command; the last one counts.
"""

from __future__ import annotations

import functools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from cli.complete import complete_workspace_place

if TYPE_CHECKING:
    from core.workspace.folder import Workspace

F = TypeVar("F", bound=Callable[..., Any])
TOLD: set[Path] = set()
"""Workspaces of which this process has told why it took them."""
GIVEN: dict[str, str] = {}
"""What `-w` said ("workspace"), for the whole of this process: a report of an error needs it after the command."""


def _remember(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        GIVEN["workspace"] = value


def workspace_option(function: F) -> F:
    """`-w DIR`."""
    return click.option(
        "-w",
        "--workspace",
        metavar="DIR|NAME",
        type=click.Path(file_okay=False),
        shell_complete=complete_workspace_place,
        expose_value=False,
        is_eager=True,
        callback=_remember,
        help="The workspace, a folder or a registered name; else WINDLASS_WORKSPACE, else the nearest folder "
        "upward with a workspace.yaml, else the one of `windlass workspace use`.",
    )(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line on stdout.")(function)


def workspace_folder() -> Path:
    """The workspace that the current command is about. Raises InputError."""
    from core.workspace.find import find_workspace

    return find_workspace(GIVEN.get("workspace"))


def changed_folder() -> Path:
    """As `workspace_folder`, for a command that changes something: tells which it is where that is not plain."""
    from core.workspace.find import choose_workspace

    chosen = choose_workspace(GIVEN.get("workspace"))
    if chosen.why and chosen.path not in TOLD:
        from cli.terminal import clean, note

        TOLD.add(chosen.path)
        note(clean(f"workspace {chosen.path}: {chosen.why}"))
    return chosen.path


def changed_workspace() -> Workspace:
    """As `changed_folder`, for what is changed without an engine. Raises InputError, ReadOnlyWorkspace."""
    from core.engine.protection import check_changeable
    from core.workspace.folder import Workspace

    workspace = Workspace.load(changed_folder())
    check_changeable(workspace)
    return workspace


def command(*words: str) -> str:
    """A command as a person can paste it here: with `-w` where this one needed it."""
    given = ["-w", GIVEN["workspace"]] if "workspace" in GIVEN else []
    return shlex.join(["windlass", *given, *words])


def parse_params(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """`--param K=V`, repeated, as a mapping."""
    params: dict[str, str] = {}
    for text in value:
        name, sign, given = text.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", ctx=ctx, param=parameter)
        if name.strip() in params:
            raise click.BadParameter(f"'{name.strip()}' is given twice", ctx=ctx, param=parameter)
        params[name.strip()] = given
    return params


def parse_cursor(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    """A position in the event log, `SEQ` or `INCARNATION:SEQ`, as the incarnation ("" for any) and the number."""
    incarnation, _, number = value.rpartition(":")
    if not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise click.BadParameter(
            f"{value!r} is not of the form SEQ or INCARNATION:SEQ", ctx=ctx, param=parameter
        )
    return incarnation, int(number)


def follow_options(function: F) -> F:
    """`--json`, `--output` and `--in-doubt`, given to the command as one `how` (a `cli.follow.Following`)."""

    @functools.wraps(function)
    def command(*args: Any, as_json: bool, output: bool, in_doubt: str, **kwargs: Any) -> Any:
        from cli.follow import Following
        from core.model.states import InDoubtPolicy

        return function(*args, how=Following(as_json, output, InDoubtPolicy(in_doubt)), **kwargs)

    return click.option(
        "--in-doubt",
        type=click.Choice(["retry", "skip", "fail"]),
        default="fail",
        show_default=True,
        help="What becomes of tasks of which nobody knows whether they ran; fail decides nothing (status 4).",
    )(
        click.option("--output", is_flag=True, help="Print what the tasks print as well.")(
            json_option(cast("F", command))
        )
    )


def foreground_option(function: F) -> F:
    """`--foreground`: this process carries the run out, also on a terminal."""
    return click.option(
        "--foreground",
        is_flag=True,
        help="Carry it out in this process, also on a terminal: Ctrl-C then ends it.",
    )(function)


def _selector(ctx: click.Context, parameter: click.Parameter, value: str) -> str:
    from cli.selectors import check_selector
    from core.errors import InputError

    try:
        return check_selector(value)
    except InputError as error:
        raise click.BadParameter(error.message, ctx=ctx, param=parameter) from None


def selector_option(text: str) -> Callable[[F], F]:
    """`--limit SELECTOR`, explained by `text`."""
    from cli.complete import complete_selectors

    return click.option(
        "--limit",
        metavar="SELECTOR",
        default="",
        callback=_selector,
        shell_complete=complete_selectors,
        help=text,
    )


def batch_arguments(function: F) -> F:
    """BATCH, `--param` and `--limit`: what is planned."""
    from cli.complete import complete_batches, complete_params

    function = selector_option(
        "Only these of the batch's servers: a name, name:web-*, group:db, label:role=db, and/or/not."
    )(function)
    function = click.option(
        "-p",
        "--param",
        "params",
        metavar="NAME=VALUE",
        multiple=True,
        callback=parse_params,
        shell_complete=complete_params,
        help="A parameter of the batch; may be repeated.",
    )(function)
    return click.argument("batch", shell_complete=complete_batches)(function)
