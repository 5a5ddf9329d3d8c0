"""`windlass servers list, show`: the inventory as the providers describe it; no server is connected to."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.complete import complete_selectors, complete_servers
from cli.exits import Exit
from cli.launch import perform, reader
from cli.options import command, json_option, workspace_option
from cli.terminal import Cell, clean, emit, note, out, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.model.views import ServerInfo


@click.command("list")
@click.argument("selector", default="all", shell_complete=complete_selectors)
@json_option
@workspace_option
def list_servers(selector: str, as_json: bool) -> Exit:
    """List the servers.

    SELECTOR narrows the list: a name, name:web-*, group:db, label:role=db, provider:local, and/or/not.
    """
    return perform(_list(selector, as_json))


async def _list(selector: str, as_json: bool) -> Exit:
    from cli.selectors import choose, nothing_matches

    async with reader() as engine:
        every = await engine.servers()
    found = choose(every, selector)
    if as_json:
        for server in found:
            emit(jsonforms.server(server))
    elif found:
        headers = ("NAME", "PROVIDER", "STATE", "ADDRESS", "USER", "GROUPS", "LABELS", "HELD BY")
        for line in table(headers, [_row(server) for server in found]):
            out(line)
    elif every:
        raise nothing_matches(every, selector)
    else:
        note("no server yet: write a settings file into servers/")
    return Exit.OK


def _row(server: ServerInfo) -> list[Cell]:
    labels = ",".join(f"{key}={value}" for key, value in server.labels.items())
    held = f"run {server.held_by}" if server.held_by is not None else ""
    return [
        server.name,
        server.provider,
        server.state,
        _address(server),
        server.user,
        ",".join(server.groups),
        labels,
        held,
    ]


def _address(server: ServerInfo) -> str:
    if not server.address:
        return ""
    host = f"[{server.address}]" if ":" in server.address else server.address
    return f"{host}:{server.port}" if server.port else host


@click.command()
@click.argument("name", shell_complete=complete_servers)
@json_option
@workspace_option
def show(name: str, as_json: bool) -> Exit:
    """Show a server: how it is reached, what holds it."""
    return perform(_show(name, as_json))


async def _show(name: str, as_json: bool) -> Exit:
    async with reader() as engine:
        server = one_of(await engine.servers(), name)
    if as_json:
        emit(jsonforms.server(server))
        return Exit.OK
    labels = ", ".join(f"{key}={value}" for key, value in server.labels.items())
    for label, value in (
        ("name", server.name),
        ("provider", server.provider),
        ("state", server.state),
        ("address", _address(server)),
        ("user", server.user),
        ("groups", ", ".join(server.groups)),
        ("labels", labels),
        ("written in", server.source),
        ("note", server.note),
        ("held by", f"run {server.held_by}" if server.held_by is not None else ""),
        ("last run", f"run {server.last_run}" if server.last_run is not None else ""),
    ):
        if value:
            out(f"{label + ':':<12}{clean(value)}")
    for number, option in enumerate(server.options_ignored):
        out(f"{'ignored:' if number == 0 else '':<12}{clean(option)}")
    if server.options_ignored:
        note(
            f"these ssh_config options hold for ssh but not for runs; `{command('servers', 'ssh', name)}` is ssh"
        )
    return Exit.OK


def one_of(servers: Sequence[ServerInfo], name: str) -> ServerInfo:
    """The server of that name. Raises InputError with a near one."""
    from core.errors import InputError

    for server in servers:
        if server.name == name:
            return server
    close = difflib.get_close_matches(name, [server.name for server in servers], n=1)
    hint = f"did you mean '{close[0]}'?" if close else "`windlass servers list` shows the inventory"
    raise InputError(f"there is no server '{name}'", hint=hint)
