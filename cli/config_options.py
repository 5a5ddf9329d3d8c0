"""What the commands about the configuration share: `--set`, paths, and how they open it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli.complete import complete_config_paths
from cli.options import workspace_folder
from cli.terminal import clean, say

if TYPE_CHECKING:
    from core.config.resolve import Resolver

F = TypeVar("F", bound=Callable[..., Any])


def settings_options(function: F) -> F:
    """`--set` and `--set-string`: values over those of the configuration."""
    function = click.option(
        "--set-string",
        "texts",
        metavar="PATH=TEXT",
        multiple=True,
        help="As --set, with the value taken as text.",
    )(function)
    return click.option(
        "--set",
        "settings",
        metavar="PATH=VALUE",
        multiple=True,
        help="A value over all others, read as YAML; may be repeated.",
    )(function)


def path_argument(*, required: bool = True) -> Callable[[F], F]:
    """PATH, a value's path such as web.port."""
    if required:  # a default of any kind would count as given
        return click.argument("path", shell_complete=complete_config_paths)
    return click.argument("path", required=False, default="", shell_complete=complete_config_paths)


def meant(environment: str) -> str:
    """The environment that is looked at: the one that is named, else the only one that the workspace declares."""
    from core.workspace.folder import Workspace

    declared = Workspace.load(workspace_folder()).environments
    return declared[0].name if not environment and len(declared) == 1 else environment


def opened(
    environment: str,
    settings: tuple[str, ...] = (),
    texts: tuple[str, ...] = (),
    replaced: Mapping[str, str] | None = None,
) -> Resolver:
    """The configuration of the workspace at hand, `replaced` texts in place of those of files.

    Raises InputError with every fault.
    """
    from dataclasses import replace

    from core.config.open import given_here, open_config
    from core.workspace.folder import Workspace

    workspace = Workspace.load(workspace_folder())
    given = replace(given_here(environment, settings, texts), replaced=replaced or {})
    resolver = open_config(workspace, given, servers=_servers)
    for notice in resolver.config.notices:
        say(clean(f"note: {notice}"))
    return resolver


def _servers() -> Mapping[str, Mapping[str, Any]]:
    """The servers of the inventory as templates see them."""
    from cli.launch import perform, reader
    from core.engine.contexts import servers_data

    async def ask() -> Mapping[str, Mapping[str, Any]]:
        async with reader() as engine:
            return servers_data(await engine.servers())

    return perform(ask())
