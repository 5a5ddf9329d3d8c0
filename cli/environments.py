"""Environments on the command line: the options, the words for a protected one, and typing its name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from cli.complete import complete_environments
from cli.terminal import ask, clean, interactive, paint, say

F = TypeVar("F", bound=Callable[..., Any])
PRODUCTION = "production"
VARIABLE = "WINDLASS_ENVIRONMENT"


def environment_option(function: F) -> F:
    """`--environment NAME`."""
    return click.option(
        "-e",
        "--environment",
        default="",
        metavar="NAME",
        envvar=VARIABLE,
        shell_complete=complete_environments,
        help=f"The environment, else that of {VARIABLE}; a run must name it where the workspace declares several.",
    )(function)


def confirm_option(function: F) -> F:
    """`--confirm NAME`."""
    return click.option(
        "--confirm",
        "typed",
        default="",
        metavar="NAME",
        help="WORKSPACE/ENVIRONMENT, where production asks for its name; --yes is not enough there.",
    )(function)


def tell_protection(name: str, protection: str) -> None:
    """Says on stderr that something happens in production."""
    if protection == PRODUCTION:
        say(f"{paint('PRODUCTION', 'error', sys.stderr)}: {clean(name)}")


def typed_name(name: str, why: str, given: str) -> str:
    """What a person types for `name`: what `--confirm` gave, else what is typed on a terminal, else "".

    Whether it is the right one is the engine's to say.
    """
    if given or not name or not interactive():
        return given
    say(clean(why))
    return ask(f"Type {clean(name)} to go on: ")
