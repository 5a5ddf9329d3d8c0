"""`windlass config migrate`: variables of the environment, taken over into the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.actor import actor
from cli.config_change import kept_edits, warn
from cli.environments import environment_option
from cli.exits import Exit
from cli.options import changed_workspace, command, json_option, workspace_option
from cli.terminal import Cell, clean, emit, note, out, say, table
from cli.words import plural

if TYPE_CHECKING:
    from core.config.migrate import Migration, Move
    from core.config.resolve import Resolver
    from core.config.variables import Wanted

VALUE_CHARS = 40


@click.command()
@click.option("--prefix", metavar="PREFIX_", default="", help="Take the variables whose names begin so.")
@click.option(
    "--mapping",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Take the variables that FILE names: YAML, VARIABLE: path or VARIABLE: {path: …, secret: true}.",
)
@environment_option
@click.option("--apply", "write", is_flag=True, help="Write it; without this it is only shown.")
@click.option("--force", is_flag=True, help="Replace values that are there and differ.")
@json_option
@workspace_option
def migrate(
    prefix: str, mapping: str | None, environment: str, write: bool, force: bool, as_json: bool
) -> Exit:
    """Take variables of the environment over into the configuration.

    PREFIX_WEB_PORT goes to web.port in config/base.yaml, with --environment in that environment's file; where a
    name has __ that separates the keys, else _ does. What looks like a secret, or is marked as one, goes to
    `windlass secrets`, and the configuration refers to it. A value that is there and differs stays, without --force.
    """
    from core.config.files import file_of
    from core.config.load import Given
    from core.config.migrate import Status, apply, plan
    from core.config.open import open_config
    from core.secrets.store import SecretStore

    if bool(prefix.strip("_")) == bool(mapping):
        raise click.UsageError("name the variables with either --prefix or --mapping")
    workspace = changed_workspace()
    file = file_of(workspace, environment)
    resolver = open_config(workspace, Given(environment))
    wanted = _wanted(prefix, mapping, resolver)
    store = SecretStore(workspace.path)
    found = plan(workspace, file, wanted, os.environ, resolver, store, environment=environment, force=force)
    refused, conflicts = found.count(Status.REFUSED), found.count(Status.CONFLICT)
    written = write and not refused and found.count(Status.MOVE) > 0
    change = None
    if written:
        change = apply(workspace, found, store, actor=actor(), keep=kept_edits())
    _show(found, written=written, as_json=as_json)
    if not found.moves:
        note(f"no variable begins with {clean(prefix)}")
    if change is not None:
        note(f"edit {change.number}; `{command('config', 'revert', str(change.number))}` takes it back")
    if written:
        warn(environment)
    elif refused:
        say(f"{plural(refused, 'variable')} cannot be moved; nothing was written")
    elif found.count(Status.MOVE):
        note("nothing was written; --apply writes it")
    if conflicts and not refused:
        note(f"{plural(conflicts, 'value')} in conflict, not changed; --force replaces what is there")
    return Exit.BAD_INPUT if refused else Exit.NEEDS_PERSON if conflicts else Exit.OK


def _wanted(prefix: str, mapping: str | None, resolver: Resolver) -> list[Wanted]:
    from core.config.variables import by_mapping, by_prefix

    if mapping:
        return by_mapping(Path(mapping), mapping)
    return by_prefix(os.environ, prefix if prefix.endswith("_") else f"{prefix}_", resolver.config.root)


def _show(found: Migration, *, written: bool, as_json: bool) -> None:
    if as_json:
        for move in found.moves:
            emit(jsonforms.migration(move, found.file, written=written))
        return
    rows: list[list[Cell]] = [_row(move, written=written) for move in found.moves]
    for line in table(("VARIABLE", "PATH", "WHAT", "VALUE"), rows, max_chars=200) if rows else ():
        out(line)


def _row(move: Move, *, written: bool) -> list[Cell]:
    from core.config import paths
    from core.config.migrate import Status
    from core.config.render import one_line

    words: dict[Status, Cell] = {
        Status.MOVE: ("moved", "success") if written else "to move",
        Status.EQUAL: ("already equal", "muted"),
        Status.CONFLICT: ("! conflict", "warning"),
        Status.REFUSED: ("! refused", "error"),
        Status.UNSET: ("not set", "muted"),
    }
    told = f"secret {move.secret}" if move.secret else ""
    if not move.secret and move.status in (Status.MOVE, Status.EQUAL, Status.CONFLICT):
        told = clean(one_line(move.value), VALUE_CHARS)
        if move.status is not Status.EQUAL and move.before is not None:
            told += f", before {clean(one_line(move.before), VALUE_CHARS)}"
    told = "; ".join(filter(None, (told, move.why)))
    return [move.variable, paths.show(move.path) if move.path else "-", words[move.status], told]
