"""Asking about a host key: fetched, shown with its fingerprint, trusted only when a person says so."""

from __future__ import annotations

from typing import Any

from core.engine.api import HostKey
from core.errors import WindlassError
from tui.screens.base import Keyed
from tui.screens.sheets import TrustSheet


def ask_to_trust(page: Keyed[Any], server: str) -> None:
    """Fetches the key that a server presents, shows it, and trusts it when a person says so."""
    engine, actor = page.session.engine, page.session.actor

    async def ask() -> None:
        try:
            key: HostKey = await engine.host_key(server)
        except WindlassError as error:
            page.say_error(error)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                page.perform(engine.trust(key, actor=actor), f"the host key of {server} is trusted")

        page.app.push_screen(TrustSheet(page.session, key), answered)

    page.undertake(ask, "trust")
