"""Selectors as people type them on the command line: a server's name alone is one, and none in vain."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.errors import InputError
from core.model.names import refuse_server_name

if TYPE_CHECKING:
    from core.model.views import Plan, ServerInfo

WORDS = frozenset({"all", "and", "or", "not"})


def as_selector(text: str) -> str:
    """`web-3` as `name:web-3`; everything else as it is."""
    name = text.strip()
    return f"name:{name}" if name not in WORDS and not refuse_server_name(name) else text


def check_selector(text: str) -> str:
    """A selector as the engine takes it; "" is none. Raises InputError for one that cannot be read."""
    from core.batch.selector import SelectorError, parse_selector

    if text:
        text = as_selector(text)
        try:
            parse_selector(text)
        except SelectorError as error:
            raise InputError(f"the selector '{text}' cannot be read: {error.message}") from None
    return text


def choose(servers: Sequence[ServerInfo], text: str) -> list[ServerInfo]:
    """The servers that a selector takes. Raises InputError for one that cannot be read."""
    from core.batch.selector import parse_selector

    if text == "all":
        return list(servers)
    wanted = parse_selector(check_selector(text))
    return [server for server in servers if wanted.matches(server)]


def nothing_matches(servers: Sequence[ServerInfo], text: str) -> InputError:
    """What to say of a selector that takes no server, with a near one."""
    name = text.strip().removeprefix("name:")
    known = [
        f"group:{group}" for group in dict.fromkeys(group for server in servers for group in server.groups)
    ]
    if f"group:{name}" in known:
        return InputError(f"no server is called '{name}'", hint=f"did you mean group:{name}?")
    close = difflib.get_close_matches(name, [*known, *(server.name for server in servers)], n=1)
    hint = f"did you mean {close[0]}?" if close else "`windlass servers list` shows the inventory"
    return InputError(f"no server matches '{text}'", hint=hint)


def check_limit(plan: Plan, limit: str) -> None:
    """Raises InputError where `--limit` leaves a plan without a server."""
    if limit and not plan.servers:
        raise InputError(
            f"--limit {limit}: it takes none of the batch's servers",
            hint="`windlass servers list` shows names and groups; a group is group:NAME",
        )
