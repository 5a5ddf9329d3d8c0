"""Which module holds which provider; only the one that is named gets imported.

A provider module exports `create`, a `ProviderFactory`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType

from providers.base import InputError, ProviderFactory

MODULES: Mapping[str, str] = MappingProxyType(
    {
        "local": "providers.local.provider",
        "static": "providers.static.provider",
    }
)


def refuse_provider(name: str) -> str:
    """Why no provider is called `name`, with a did-you-mean; "" when there is one."""
    if name in MODULES:
        return ""
    close = difflib.get_close_matches(name, MODULES, n=1)
    meant = f"; did you mean '{close[0]}'?" if close else ""
    return f"no provider is called '{name}'{meant} (there are: {', '.join(MODULES)})"


def load(name: str) -> ProviderFactory:
    """The factory of the provider called `name`. Raises InputError when there is none."""
    why = refuse_provider(name)
    if why:
        raise InputError(why)
    factory: ProviderFactory = importlib.import_module(MODULES[name]).create
    return factory
