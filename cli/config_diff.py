"""`windlass config diff`: how two environments, or two moments of one, differ by their values."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from cli import jsonforms
from cli.complete import complete_environments
from cli.config_options import opened, path_argument
from cli.exits import Exit
from cli.options import json_option, workspace_folder, workspace_option
from cli.terminal import Cell, clean, emit, note, out, say, table

if TYPE_CHECKING:
    from core.config.paths import Path

VALUE_CHARS = 60
RUN = "run:"


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared: an environment now or at a moment, or what a run was frozen with."""

    name: str
    environment: str
    values: Any
    paths: tuple[Path, ...] = field(default=())
    """The only values that a run has; all others are not known of it."""


@click.command()
@click.argument("left", shell_complete=complete_environments)
@click.argument("right", shell_complete=complete_environments, required=False)
@path_argument(required=False)
@json_option
@workspace_option
def diff(left: str, right: str | None, path: str, as_json: bool) -> Exit:
    """Tell how two environments or moments differ, by their values.

    LEFT and RIGHT are environments; - is the workspace without one. With @ behind it comes a moment: prod@2h (90m,
    3d ago), prod@2026-03-01T14:00, prod@12 (after edit 12 of `config history`), @2h
    (without an environment). run:41 is what run 41 was frozen with.
    Without RIGHT, LEFT is compared with its environment as it is now.

    Values are compared as they are worked out: what is written differently and comes to the same is no difference.
    PATH narrows it to what lies below.
    """
    from core.config import paths
    from core.config.compare import ABSENT, differences

    below = paths.parse(path) if path else ()
    first = _side(left, below)
    second = _side(right if right is not None else first.environment or "-", below)
    rows: list[list[Cell]] = []
    for found in differences(*_comparable(first, second, below), below):
        values = [found.left, found.right]
        if as_json:
            shown = [None if value is ABSENT else value for value in values]
            absent = first.name if values[0] is ABSENT else second.name if values[1] is ABSENT else None
            emit(jsonforms.difference(paths.show(found.path), (first.name, second.name), shown, absent))
        rows.append([paths.show(found.path), *map(_shown, values)])
    if not as_json and rows:
        for line in table(("PATH", first.name, second.name), rows):
            out(line)
    if not rows:
        note(clean(f"{first.name} and {second.name} come to the same values"))
    return Exit.OK


def _comparable(first: Side, second: Side, below: Path) -> tuple[Any, Any]:
    """The values of both sides; of one beside a run only what the run has."""
    known = first.paths or second.paths
    if not known:
        return first.values, second.values
    return _narrowed(first.values, known, below), _narrowed(second.values, known, below)


def _narrowed(values: Any, known: tuple[Path, ...], below: Path) -> Any:
    """The parts of values (which lie below a path) at the known paths, nested as they were."""
    from core.config.paths import look_up

    found: dict[str, Any] = {}
    for path in known:
        if path[: len(below)] != below:
            continue
        inner = path[len(below) :]
        if not inner:
            return values
        try:
            value = look_up(values, inner)
        except KeyError:
            continue
        around = found
        for part in inner[:-1]:
            around = around.setdefault(str(part), {})
        around[str(inner[-1])] = value
    return found


def _side(text: str, below: Path) -> Side:
    """What one argument names. Raises InputError."""
    if text.startswith(RUN):
        return _run_side(text, below)
    name, at, moment = text.partition("@")
    environment = "" if name == "-" else name
    replaced: dict[str, str] | None = None
    if at:
        from core.config.moments import files_then
        from core.workspace.folder import Workspace

        then = files_then(Workspace.load(workspace_folder()), moment, time.time())
        replaced = then.texts
        for notice in then.notices:
            say(clean(f"note: {text}: {notice}"))
    return Side(text, environment, _values(text, environment, replaced, below))


def _run_side(text: str, below: Path) -> Side:
    from cli.launch import perform, reader
    from core.config.paths import look_up, parse
    from core.errors import InputError

    number = text.removeprefix(RUN)
    if not number.isdecimal():
        raise InputError(f"{text!r} names no run", hint="write run:41")

    async def ask() -> Side:
        async with reader() as engine:
            run = await engine.run(int(number))
            used = {parse(one.path): one.value for one in await engine.used_values(run.number)}
            values: dict[str, Any] = {}
            for path, value in used.items():
                around = values
                for part in path[:-1]:
                    around = around.setdefault(str(part), {})
                around[str(path[-1])] = value
            try:
                return Side(text, run.environment, look_up(values, below), tuple(used))
            except KeyError:
                return Side(text, run.environment, {}, tuple(used))

    side = perform(ask())
    if not side.paths:
        raise InputError(f"run {number} uses no value of the configuration")
    return side


def _values(name: str, environment: str, replaced: dict[str, str] | None, below: Path) -> Any:
    """The values of an environment below a path; what stands for nothing where it has none there."""
    from core.config.compare import ABSENT
    from core.errors import InputError

    resolver = opened(environment, replaced=replaced)
    faults = resolver.faults(below)
    if faults:
        told = f"the values of {name} cannot be worked out" if name != "-" else "values are faulty"
        raise InputError(told, faults=faults)
    if below and resolver.config.find(below) is None:
        return ABSENT
    return resolver.value(below)


def _shown(side: Any) -> Cell:
    from core.config.compare import ABSENT
    from core.config.render import one_line

    return ("(not there)", "muted") if side is ABSENT else clean(one_line(side), VALUE_CHARS)
