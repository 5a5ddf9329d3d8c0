"""`windlass webhooks list, dead, replay, test`: who is told of events, and what could not be told."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli import jsonforms
from cli.actor import actor
from cli.exits import Exit
from cli.launch import owner, perform, reader
from cli.lazy import Lazy, LazyGroup
from cli.options import command, json_option, workspace_folder, workspace_option
from cli.terminal import Cell, clean, emit, note, out, say, table
from cli.words import duration, plural, stamp

if TYPE_CHECKING:
    from pathlib import Path

    from core.model.views import OutletInfo

TABLE = {
    "list": Lazy("cli.webhooks:list_outlets", "List who is told of events, and how that fares.", "Webhooks"),
    "dead": Lazy("cli.webhooks:dead", "List events that could not be told.", "Webhooks"),
    "replay": Lazy("cli.webhooks:replay", "Tell events that were put aside once more.", "Webhooks"),
    "test": Lazy("cli.webhooks:test", "Send a test event, now and once.", "Webhooks"),
}


@click.group(cls=LazyGroup, table=TABLE)
@workspace_option
def webhooks() -> None:
    """See who is told of events: webhooks and programs."""


@click.command("list")
@json_option
@workspace_option
def list_outlets(as_json: bool) -> Exit:
    """List who is told of events, and how that fares.

    The configuration names them: app.webhooks.NAME and app.notify.NAME. An engine tells them while it runs; what is
    owed waits for the next one.
    """
    return perform(_list(as_json))


async def _list(as_json: bool) -> Exit:
    async with reader() as engine:
        found = await engine.outlets()
    if as_json:
        for info in found:
            emit(jsonforms.outlet(info))
        return Exit.OK
    if not found:
        note("nobody is told of events: app.webhooks and app.notify of the configuration name who is")
        return Exit.OK
    rows: list[list[Cell]] = [
        [
            clean(info.name),
            clean(" ".join(info.types)),
            str(info.told),
            str(info.owed),
            str(info.dead),
            _fares(info),
        ]
        for info in found
    ]
    headers = ("NAME", "TYPES", "TOLD", "OWED", "PUT ASIDE", "STATE")
    for line in table(headers, rows, right=("TOLD", "OWED", "PUT ASIDE"), max_chars=100):
        out(line)
    if any(info.dead for info in found):
        note(f"what was put aside: {command('webhooks', 'dead')}")
    return Exit.OK


def _fares(info: OutletInfo) -> str:
    if info.fault:
        return clean(f"told nothing: {info.fault}", 300)
    if info.failing_since is not None:
        since = duration(time.time() - info.failing_since)
        return clean(f"failing for {since}, {plural(info.tries, 'try', 'tries')}: {info.why}", 300)
    return "ok"


@click.command()
@click.argument("name", required=False)
@json_option
@workspace_option
def dead(name: str | None, as_json: bool) -> Exit:
    """List events that could not be told.

    One that is refused five times, or could not be told for the time that its outlet gives (give_up_after), is put
    aside; what comes behind it is told.
    """
    return perform(_dead(name, as_json))


async def _dead(name: str | None, as_json: bool) -> Exit:
    async with reader() as engine:
        full = await asyncio.to_thread(_full_name, workspace_folder(), name) if name else ""
        found = await engine.dead_letters(full)
    if as_json:
        for letter in found:
            emit(jsonforms.dead_letter(letter))
        return Exit.OK
    if not found:
        note("no event was put aside")
        return Exit.OK
    rows: list[list[Cell]] = [
        [
            clean(letter.outlet),
            str(letter.event.seq),
            clean(letter.event.type),
            str(letter.event.run or ""),
            stamp(letter.time),
            ("is told again; " if letter.again else "") + clean(letter.why, 200),
        ]
        for letter in found
    ]
    headers = ("NAME", "EVENT", "TYPE", "RUN", "PUT ASIDE", "WHY")
    for line in table(headers, rows, right=("EVENT", "RUN"), max_chars=100):
        out(line)
    note(f"tell them once more: {command('webhooks', 'replay', 'NAME')}")
    return Exit.OK


@click.command()
@click.argument("name")
@click.argument("events", nargs=-1, type=click.IntRange(min=1))
@workspace_option
def replay(name: str, events: Sequence[int]) -> Exit:
    """Tell events that were put aside once more.

    EVENTS are their numbers; all of NAME's where none is given. Each is tried once; what is taken is forgotten, what is
    not stays put aside.
    """
    return perform(_replay(name, events))


async def _replay(name: str, seqs: Sequence[int]) -> Exit:
    async with owner() as engine:
        full = await asyncio.to_thread(_full_name, workspace_folder(), name)
        asked = await engine.replay(full, list(seqs), actor=actor())
    say(f"{plural(asked, 'event')} told again; how that went: {command('webhooks', 'list')}")
    return Exit.OK


@click.command()
@click.argument("name")
@workspace_option
def test(name: str) -> Exit:
    """Send a test event, now and once.

    Its type is windlass.test; it stands in no log and is not tried again.
    """
    return perform(_test(name))


async def _test(name: str) -> Exit:
    from core.model.events import Event
    from core.outgoing.look import named, wanted_outlets
    from core.outgoing.message import cloud_event
    from core.outgoing.senders import SendFailed
    from core.outgoing.service import make_sender
    from core.workspace.folder import Workspace

    workspace = Workspace.load(workspace_folder())
    wanted = wanted_outlets(workspace)
    full = named(wanted, name)
    sender = make_sender(workspace, wanted[full])
    incarnation = f"test-{secrets.token_hex(8)}"
    event = Event(0, "test", None, None, None, None, actor(), time.time(), {"outlet": full})
    body = cloud_event(event, workspace.name, incarnation)
    try:
        await sender.send(json.loads(body)["id"], body)
    except SendFailed as error:
        say(clean(f"error: {full} did not take it: {error.why}"))
        return Exit.RUN_FAILED
    finally:
        await sender.close()
    out(clean(f"{full} took it"))
    return Exit.OK


def _full_name(folder: Path, name: str) -> str:
    """The name of an outlet in full; one that the settings no longer name is taken as it stands."""
    from core.errors import InputError
    from core.outgoing.look import named, wanted_outlets
    from core.workspace.folder import Workspace

    try:
        return named(wanted_outlets(Workspace.load(folder)), name)
    except InputError:
        if name.partition("/")[0] in ("webhook", "notify") and "/" in name:
            return name
        raise
