"""What is told of the providers: one line for each settings file of servers, whether it could be read or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.errors import Fault
from core.inventory import Faulty, Source, check
from core.model.views import ProviderInfo
from providers.base import ProviderContext


def provider_infos(found: Sequence[Source | Faulty]) -> list[ProviderInfo]:
    """One for each settings file, in their order; with the faults that only all files together show."""
    together: dict[str, list[Fault]] = {}
    for file, fault in check([each for each in found if isinstance(each, Source)]):
        together.setdefault(file, []).append(fault)
    return [
        _faulty(each) if isinstance(each, Faulty) else _listed(each, tuple(together.get(each.file, ())))
        for each in found
    ]


def _listed(source: Source, faults: tuple[Fault, ...]) -> ProviderInfo:
    return ProviderInfo(
        kind=source.provider.name,
        file=source.file,
        line=source.read.line if source.read is not None else 0,
        starts_servers=source.provider.starts_servers,
        states=dict(Counter(server.state.value for server in source.servers)),
        listed=source.listed,
        took_s=source.took_s,
        why=source.note.removeprefix(f"{source.file}: "),
        faults=faults,
    )


def _faulty(faulty: Faulty) -> ProviderInfo:
    kind = str(faulty.context.settings["provider"]) if faulty.context is not None else ""
    return ProviderInfo(
        kind, faulty.file, _line(faulty.context), starts_servers=False, states={}, faults=tuple(faulty.faults)
    )


def _line(context: ProviderContext | None) -> int:
    """Where the file names its provider; 0 where it could not be read."""
    return context.at("provider")[0] if context is not None else 0
