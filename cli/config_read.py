"""`windlass config get, show, explain`: values, and where they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.config_options import meant, opened, path_argument, settings_options
from cli.environments import environment_option
from cli.exits import Exit
from cli.options import json_option, workspace_folder, workspace_option
from cli.terminal import Cell, clean, emit, note, out, say, table

if TYPE_CHECKING:
    from core.config.load import Link
    from core.config.tree import Entry
    from core.errors import Fault

VALUE_CHARS = 60


@click.command()
@path_argument()
@environment_option
@settings_options
@json_option
@workspace_option
def get(
    path: str, environment: str, settings: tuple[str, ...], texts: tuple[str, ...], as_json: bool
) -> Exit:
    """Print a value, worked out.

    PATH is web.port, hosts[0] or labels["a.b"]. Text is printed as it is, a mapping or a list as YAML. A secret
    is shown as <secret NAME>.
    """
    from core.config import paths
    from core.config.render import yaml_lines

    resolver = opened(meant(environment), settings, texts)
    wanted = paths.parse(path)
    value = resolver.value(wanted)
    if as_json:
        emit(jsonforms.setting(paths.show(wanted), value, resolver.config.find(wanted)))
        return Exit.OK
    for line in yaml_lines(value):
        out(clean(line))
    return Exit.OK


@click.command()
@path_argument(required=False)
@environment_option
@settings_options
@json_option
@workspace_option
def show(
    path: str, environment: str, settings: tuple[str, ...], texts: tuple[str, ...], as_json: bool
) -> Exit:
    """List the values, worked out, and where each was written.

    PATH narrows the list to what lies below it. Values that cannot be worked out are told on standard error, and
    the command ends with status 2.
    """
    from core.config import paths
    from core.config.check import secret_faults
    from core.config.load import leaves
    from core.config.render import one_line
    from core.errors import InputError
    from core.workspace.folder import Workspace

    resolver = opened(meant(environment), settings, texts)
    below = paths.parse(path) if path else ()
    if resolver.config.find(below) is None:
        resolver.value(below)  # says why it is not there
    rows: list[list[Cell]] = []
    faults: list[Fault] = []
    for found, entry in leaves(resolver.config, below):
        try:
            value = resolver.value(found)
        except InputError as error:
            faults += [fault for fault in error.faults if fault not in faults]
            rows.append([paths.show(found), ("! fault", "error"), str(entry.origin)])
            continue
        if as_json:
            emit(jsonforms.setting(paths.show(found), value, entry))
        rows.append([paths.show(found), clean(one_line(value), VALUE_CHARS), str(entry.origin)])
    if not as_json:
        for line in table(("PATH", "VALUE", "WRITTEN IN"), rows, max_chars=200) if rows else ():
            out(line)
    for fault in secret_faults(resolver, Workspace.load(workspace_folder()), below):
        say(clean(f"warning: {fault}"))
    if faults:
        raise InputError("some values cannot be worked out", faults=faults)
    return Exit.OK


@click.command()
@path_argument()
@environment_option
@settings_options
@json_option
@workspace_option
def explain(
    path: str, environment: str, settings: tuple[str, ...], texts: tuple[str, ...], as_json: bool
) -> Exit:
    """Tell where a value comes from, and what it overrides.

    The first line is what counts; each further one is a layer that it goes over.
    """
    from core.config import paths
    from core.config.render import one_line
    from core.errors import InputError

    resolver = opened(meant(environment), settings, texts)
    wanted = paths.parse(path)
    chain = resolver.config.chain(wanted)
    entry = resolver.config.find(wanted)
    if entry is None:
        resolver.value(wanted)  # says why it is not there; else a template gives it
    if as_json:
        for index, link in enumerate(chain):
            hides = None if link.hides is None else paths.show(link.hides)
            emit(jsonforms.link(paths.show(wanted), link, hides, effective=index == 0))
        return Exit.OK
    try:
        told = one_line(resolver.value(wanted))
    except InputError as error:
        for line in _chain(chain):
            out(line)
        raise error from None
    out(f"{paths.show(wanted)} = {clean(told, 200)}")
    for line in _chain(chain):
        out(line)
    if entry is not None and entry.kind == "mapping" and len(chain) > 1:
        note("the layers of a mapping are merged by key: explain a key of it")
    return Exit.OK


def _chain(chain: list[Link]) -> list[str]:
    """The layers as lines, each with what it says and what that means."""
    rows: list[list[Cell]] = []
    for index, link in enumerate(chain):
        rows.append(
            [link.entry.origin.layer.value, str(link.entry.origin), _written(link.entry), _role(chain, index)]
        )
    return table(("LAYER", "WRITTEN IN", "AS", ""), rows, max_chars=200)


def _role(chain: list[Link], index: int) -> str:
    from core.config import paths

    link = chain[index]
    if link.hides is not None:
        return f"{paths.show(link.hides)} hides what lies below"
    if link.entry.kind == "mapping" and all(other.entry.kind == "mapping" for other in chain[:index]):
        return "merged" if len(chain) > 1 else "counts"
    return "counts" if index == 0 else "overridden"


def _written(entry: Entry) -> str:
    from core.config.render import one_line

    if entry.kind == "mapping":
        count = len(entry.items)
        return f"mapping of {count} key{'' if count == 1 else 's'}"
    return clean(one_line(entry.data()), VALUE_CHARS)
