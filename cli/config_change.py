"""`windlass config set, unset, append`: one value of a file, changed where it stands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.actor import actor
from cli.config_options import path_argument
from cli.environments import environment_option
from cli.exits import Exit
from cli.options import changed_workspace, command, json_option, workspace_folder, workspace_option
from cli.terminal import clean, emit, note, out, paint, say

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from core.config.edit import Edited, Sharing
    from core.config.paths import Path

    F = TypeVar("F", bound=Callable[..., Any])


def sharing_options(function: F) -> F:
    """`--everywhere` and `--here`."""
    function = click.option(
        "--here",
        is_flag=True,
        help="Where an alias or a merge key shares the value: give this place its own.",
    )(function)
    return click.option(
        "--everywhere",
        is_flag=True,
        help="Where an alias or a merge key shares the value: change all places.",
    )(function)


def text_option(function: F) -> F:
    """`--string`."""
    return click.option("--string", is_flag=True, help="VALUE is text; else it is read as YAML.")(function)


@click.command("set")
@path_argument()
@click.argument("value")
@text_option
@environment_option
@sharing_options
@json_option
@workspace_option
def set_command(
    path: str, value: str, string: bool, environment: str, everywhere: bool, here: bool, as_json: bool
) -> Exit:
    """Set a value in a file of the configuration.

    It is written to config/base.yaml, with --environment to that environment's file; keys that are missing are
    added. Comments, quotes and everything else in the file stay as they are.
    """
    from core.config.edit import set_value

    given = _value(value, string=string)
    return _change(
        "set",
        path,
        environment,
        as_json,
        lambda text, file, at: set_value(text, file, at, given, _sharing(everywhere, here)),
    )


@click.command("append")
@path_argument()
@click.argument("value")
@text_option
@environment_option
@click.option("--everywhere", is_flag=True, help="Where an alias shares the list: change all places.")
@json_option
@workspace_option
def append(path: str, value: str, string: bool, environment: str, everywhere: bool, as_json: bool) -> Exit:
    """Add an entry to the end of a list in a file of the configuration."""
    from core.config.edit import append_value

    given = _value(value, string=string)
    return _change(
        "append",
        path,
        environment,
        as_json,
        lambda text, file, at: append_value(text, file, at, given, _sharing(everywhere, False)),
    )


@click.command("unset")
@path_argument()
@environment_option
@click.option(
    "--everywhere", is_flag=True, help="Where an alias or a merge key shares it: remove it in all places."
)
@json_option
@workspace_option
def unset(path: str, environment: str, everywhere: bool, as_json: bool) -> Exit:
    """Take a key, or an entry of a list, out of a file of the configuration."""
    from core.config.edit import unset_value

    return _change(
        "unset",
        path,
        environment,
        as_json,
        lambda text, file, at: unset_value(text, file, at, _sharing(everywhere, False)),
    )


def _sharing(everywhere: bool, here: bool) -> Sharing:
    from core.config.edit import Sharing

    if everywhere and here:
        raise click.UsageError("--everywhere and --here exclude each other")
    return Sharing.ALL if everywhere else Sharing.HERE if here else Sharing.REFUSE


def _value(text: str, *, string: bool) -> Any:
    """VALUE as plain data. Raises InputError."""
    if string:
        return text
    from core.batch.yaml_source import Document
    from core.config.sources import parse_value

    return Document(parse_value(text, "VALUE"), text, "VALUE").data()


def _change(
    action: str, path: str, environment: str, as_json: bool, edit: Callable[[str, str, Path], Edited]
) -> Exit:
    from core.config import paths
    from core.config.files import change_file, file_of

    workspace = changed_workspace()
    file, at = file_of(workspace, environment), paths.parse(path)
    edited, change = change_file(
        workspace,
        file,
        lambda text: edit(text, file, at),
        actor=actor(),
        action=action,
        path=paths.show(at),
        keep=kept_edits(),
    )
    if change is None:
        note(f"{file} says so already; nothing was changed")
        return Exit.OK
    if as_json:
        emit(jsonforms.edit(change, [paths.show(other) for other in edited.elsewhere]))
    else:
        show_changes(change.before or "", change.after, file)
    for other in edited.elsewhere:
        say(clean(f"changed with it: {paths.show(other)}"))
    note(f"edit {change.number}; `{command('config', 'revert', str(change.number))}` takes it back")
    warn(environment)
    return Exit.OK


def kept_edits() -> int:
    """How many edits are kept: the setting, or its default where the configuration cannot be read."""
    from core.config.load import load_config
    from core.config.open import given_here
    from core.config.settings import built_in, read_settings
    from core.errors import InputError

    try:
        return read_settings(load_config(workspace_folder(), given_here()).root).history
    except InputError:
        return built_in().history


def show_changes(before: str, after: str, file: str) -> None:
    """The lines that changed, as a diff."""
    import difflib

    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), file, file, lineterm="", n=1)
    for line in lines:
        out(clean(line))


def warn(environment: str) -> None:
    """Tells what is wrong with the configuration as it is now: an edit may have been half of what is meant."""
    from cli.config_options import opened
    from cli.failures import fault_line
    from core.config.check import all_faults
    from core.errors import InputError

    try:
        faults = all_faults(opened(environment), workspace_folder())
    except InputError as error:
        faults = list(error.faults)
    for fault in faults:
        told = fault_line(fault.file, fault.line, fault.column, fault.message, fault.hint)
        say(f"{paint('warning:', 'warning', sys.stderr)} {clean(told)}")
