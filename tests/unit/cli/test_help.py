"""`--help` and `--version`: golden files, lines of the tables that match the commands, nothing heavy loaded."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from cli.lazy import LazyGroup
from cli.main import cli
from cli.version import __version__
from tests.unit.cli.conftest import Windlass, golden


def commands(
    command: click.Command = cli, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with the words that call it."""
    yield path, command
    if isinstance(command, LazyGroup):
        for name in command.table:
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from commands(found, (*path, name))


ALL = list(commands())


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=lambda path: "-".join(path) or "windlass")
def test_help(windlass: Windlass, path: tuple[str, ...]) -> None:
    answer = windlass(*path, "--help")
    assert answer.status == 0
    assert answer.err == ""
    golden("-".join(("help", *path)), answer.out)


def test_every_command_has_help_of_its_own_for_each_option() -> None:
    for path, command in ALL:
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (path, parameter.name)


def test_the_tables_say_what_the_commands_say() -> None:
    for path, command in ALL:
        if isinstance(command, LazyGroup):
            for name, entry in command.table.items():
                found = command.get_command(click.Context(command), name)
                assert found is not None and found.help is not None
                assert found.name == name, (path, name)
                assert found.help.split("\n\n")[0].replace("\n", " ") == entry.help, (path, name)


def test_version(windlass: Windlass) -> None:
    answer = windlass("--version")
    assert (answer.status, answer.out, answer.err) == (0, f"windlass {__version__}\n", "")
    assert windlass("-V") == answer


def test_without_a_command_and_a_terminal_it_prints_the_help(windlass: Windlass) -> None:
    assert windlass() == windlass("--help")


def test_a_group_without_a_command_is_a_usage_error(windlass: Windlass) -> None:
    assert windlass("runs").status == 2


def test_a_wrong_command_names_a_near_one(windlass: Windlass) -> None:
    answer = windlass("rusn")
    assert (answer.status, answer.out) == (2, "")
    assert "'rusn'" in answer.err and "runs" in answer.err
    assert "windlass --help" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("run",),
        ("run", "work", "--nope"),
        ("run", "work", "--param", "novalue"),
        ("run", "work", "--param", "a=1", "--param", "a=2"),
        ("run", "work", "--in-doubt", "maybe"),
        ("runs", "list", "--limit", "many"),
        ("runs", "watch", "0"),
        ("completion", "powershell"),
        ("schema", "nope"),
        ("servers", "exec", "all"),
        ("runs", "decide", "a@b", "done"),
    ],
)
def test_usage_errors_are_2_and_on_stderr(windlass: Windlass, arguments: tuple[str, ...]) -> None:
    answer = windlass(*arguments)
    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert "Traceback" not in answer.err
