"""How the outlets of a workspace fare, from its settings and its database: whoever owns it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from core.config.open import workspace_settings
from core.config.settings import Notification, Webhook
from core.errors import InputError, WindlassError
from core.model.views import OutletInfo
from core.outgoing.message import signing_key
from core.outgoing.service import outlet_settings
from core.secrets.sources import Sources
from core.store.outlets import Told, count_dead, count_owed, outlets_told
from core.store.reader import StoreReader
from core.workspace.folder import Workspace
from core.workspace.trust import check_trusted


def wanted_outlets(workspace: Workspace) -> dict[str, Webhook | Notification]:
    """Every outlet that the settings name. Blocks; raises InputError with every fault."""
    return dict(outlet_settings(workspace_settings(workspace)))


def outlet_fault(workspace: Workspace, outlet: Webhook | Notification) -> str:
    """Why it is told nothing, "" where nothing is in its way. Blocks."""
    try:
        if isinstance(outlet, Webhook):
            signing_key(Sources.of(workspace).read(outlet.secret))
        else:
            check_trusted(workspace, f"the program {outlet.command[0]}")
    except WindlassError as error:
        return f"{error.message}; {error.hint}" if error.hint else error.message
    return ""


async def outlet_infos(
    reader: StoreReader, wanted: dict[str, Webhook | Notification], faults: dict[str, str]
) -> Sequence[OutletInfo]:
    """Each outlet, also one that is no longer named and has events put aside."""
    told, dead = await outlets_told(reader), await count_dead(reader)
    found = []
    last = await reader.last_seq()
    for name, outlet in wanted.items():
        so_far = told.get(name, Told(last))
        owed = await count_owed(reader, so_far.seq, outlet.types)
        target = outlet.url if isinstance(outlet, Webhook) else shlex.join(outlet.command)
        found.append(
            OutletInfo(
                name,
                target,
                tuple(outlet.types),
                owed=owed,
                told=so_far.told,
                tries=so_far.tries,
                failing_since=so_far.failing_since,
                why=so_far.why,
                dead=dead.get(name, 0),
                fault=faults[name],
            )
        )
    gone = [
        OutletInfo(
            name,
            "",
            (),
            told=told.get(name, Told(0)).told,
            dead=count,
            fault="the settings name it no longer",
        )
        for name, count in dead.items()
        if name not in wanted
    ]
    return [*found, *gone]


def named(wanted: dict[str, Webhook | Notification], name: str) -> str:
    """The full name of an outlet that a person named, with or without `webhook/`. Raises InputError."""
    fits = [full for full in wanted if name in (full, full.partition("/")[2])]
    if len(fits) == 1:
        return fits[0]
    known = ", ".join(wanted) or "none; `app.webhooks` and `app.notify` of the configuration name them"
    told = f"{name!r} is more than one" if fits else f"nobody who is told of events is named {name!r}"
    raise InputError(told, hint=f"there is: {known}")
