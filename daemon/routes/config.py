"""The configuration: its values and where they come from, edits of it, and what an edit would mean.

Variables of the engine's own process do not count here: whoever started it decides nothing for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from core.config import paths
from core.config.edit import Edited, append_value, set_value, unset_value
from core.config.files import change_file, file_of
from core.config.load import leaves, load_config
from core.config.open import given_here, open_config
from core.config.resolve import Resolver
from core.config.settings import read_settings
from core.config.tree import Entry
from core.engine.api import Engine
from core.engine.contexts import servers_data
from core.engine.protection import check_edit
from core.errors import Fault, InputError
from core.model.views import BatchChange
from core.workspace.folder import Workspace
from daemon.access import Action, Caller
from daemon.context import TheEngine, may

router = APIRouter(tags=["config"])

Reader = Annotated[Caller, may(Action.CONFIG_READ)]
Changer = Annotated[Caller, may(Action.CONFIG_CHANGE)]
Text = Annotated[str, Query(max_length=4096)]


class Setting(BaseModel):
    """A value, worked out, and where it was written; a secret in it stands as <secret NAME>."""

    path: str
    value: Any
    layer: str
    origin: str


class Settings(BaseModel):
    """The values of an environment, and everything wrong with those that cannot be worked out."""

    settings: list[Setting]
    faults: list[Fault]


class Link(BaseModel):
    """What one layer says about a value, as it is written there."""

    layer: str
    origin: str
    written: Any
    effective: bool


class Explained(BaseModel):
    """A value and the layers that it comes from, the one that counts first."""

    path: str
    value: Any
    links: list[Link]


class Change(BaseModel):
    """An edit of one value; `confirm` is the name that production asks for. `value` is not used to unset."""

    environment: str = ""
    path: str
    value: Any = None
    confirm: str = ""


class Changed(BaseModel):
    """The edit that was made; `edit` is null where nothing had to be changed."""

    edit: int | None
    file: str
    path: str


class Edit(BaseModel):
    """A file of the configuration, by its path in the workspace, and the text that would stand in it."""

    file: str
    text: str
    environment: str = ""


@router.get("/config")
async def settings(engine: TheEngine, caller: Reader, environment: Text = "", path: Text = "") -> Settings:
    """Every value below a path, worked out."""
    resolver = await _opened(engine, environment)

    def found() -> Settings:
        below = paths.parse(path) if path else ()
        if resolver.config.find(below) is None:
            resolver.value(below)  # says why it is not there
        shown, faults = [], []
        for at, entry in leaves(resolver.config, below):
            try:
                shown.append(_setting(at, resolver.value(at), entry))
            except InputError as error:
                faults += [fault for fault in error.faults if fault not in faults]
        return Settings(settings=shown, faults=faults)

    return await asyncio.to_thread(found)


@router.get("/config/explain")
async def explain(
    engine: TheEngine, caller: Reader, path: Annotated[str, Query(max_length=4096)], environment: Text = ""
) -> Explained:
    """Where a value comes from, and what it goes over."""
    resolver = await _opened(engine, environment)

    def found() -> Explained:
        at = paths.parse(path)
        value = resolver.value(at)
        chain = [
            Link(
                layer=link.entry.origin.layer.value,
                origin=str(link.entry.origin),
                written=link.entry.data(),
                effective=index == 0,
            )
            for index, link in enumerate(resolver.config.chain(at))
        ]
        return Explained(path=paths.show(at), value=value, links=chain)

    return await asyncio.to_thread(found)


@router.post("/config/set")
async def set_(engine: TheEngine, caller: Changer, asked: Change) -> Changed:
    """Writes one value in its file; comments and everything else there stay as they are."""
    return await _change(engine, caller, "set", asked)


@router.post("/config/unset")
async def unset(engine: TheEngine, caller: Changer, asked: Change) -> Changed:
    """Takes one value out of its file."""
    return await _change(engine, caller, "unset", asked)


@router.post("/config/append")
async def append(engine: TheEngine, caller: Changer, asked: Change) -> Changed:
    """Writes one value behind the last one of a list."""
    return await _change(engine, caller, "append", asked)


async def _change(
    engine: Engine, caller: Caller, action: Literal["set", "unset", "append"], asked: Change
) -> Changed:
    workspace = Workspace.load(Path((await engine.workspace()).path))
    file, at = file_of(workspace, asked.environment), paths.parse(asked.path)
    check_edit(workspace, file, asked.confirm)
    edits: dict[str, Callable[[str], Edited]] = {
        "set": lambda text: set_value(text, file, at, asked.value),
        "unset": lambda text: unset_value(text, file, at),
        "append": lambda text: append_value(text, file, at, asked.value),
    }

    def write() -> Changed:
        keep = read_settings(load_config(workspace.path, _given("")).root).history
        _, made = change_file(
            workspace, file, edits[action], actor=caller.name, action=action, path=paths.show(at), keep=keep
        )
        return Changed(edit=made.number if made is not None else None, file=file, path=paths.show(at))

    return await asyncio.to_thread(write)


@router.post("/config-effects")
async def effects(engine: TheEngine, caller: Reader, edit: Edit) -> Sequence[BatchChange]:
    """What the saved batches would do otherwise; nothing is written."""
    return await engine.batch_effects(edit.file, edit.text, edit.environment)


def _given(environment: str) -> Any:
    return replace(given_here(environment), environ={})


async def _opened(engine: Engine, environment: str) -> Resolver:
    """The configuration of an environment, the only declared one where none is named. Raises InputError."""
    workspace = Workspace.load(Path((await engine.workspace()).path))
    declared = workspace.environments
    name = declared[0].name if not environment and len(declared) == 1 else environment
    servers = servers_data(await engine.servers())
    return await asyncio.to_thread(open_config, workspace, _given(name), servers=lambda: servers)


def _setting(path: paths.Path, value: Any, entry: Entry) -> Setting:
    origin = entry.origin
    return Setting(path=paths.show(path), value=value, layer=origin.layer.value, origin=str(origin))
