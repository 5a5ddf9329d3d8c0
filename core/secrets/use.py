"""The secrets of one run: read when it is to be executed, in memory only, and taken out of all that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.errors import InputError
from core.secrets.redact import NO_FORMS, Forms
from core.secrets.sealed import Sealed


class RunSecrets:
    """What a run's references stand for.

    `forms` covers every value read so far, also one that has changed since: a command may still print it.
    """

    def __init__(self, workspace: Path, references: Iterable[str]) -> None:
        self._workspace = workspace
        self._references = sorted(references)
        self._values: dict[str, bytes] | None = None
        self._seen: set[bytes] = set()
        self.forms = NO_FORMS

    async def prepare(self, *, anew: bool = False) -> None:
        """Reads every value, once unless `anew`. Raises InputError with all that cannot be read."""
        if not self._references or (self._values is not None and not anew):
            return
        values, why, hints = await asyncio.to_thread(self._read)
        if why:
            count = f"{len(why)} secret{'s' if len(why) > 1 else ''}"
            lines = "\n".join(why)
            raise InputError(
                f"{count} of the run cannot be read, so nothing is started:\n{lines}", hint=hints[0]
            )
        self._values = values
        if not self._seen.issuperset(values.values()):
            self._seen.update(values.values())
            self.forms = Forms(self._seen)

    def clear(self, env: Mapping[str, str]) -> dict[str, str]:
        """An environment with the values in it. Nothing of it may be stored or shown."""
        return {
            name: text.open(self._value) if isinstance(text, Sealed) else text for name, text in env.items()
        }

    def _value(self, reference: str) -> str:
        if self._values is None:
            raise RuntimeError("the secrets of the run were not read")
        return self._values[reference].decode("utf-8", "surrogateescape")

    def _read(self) -> tuple[dict[str, bytes], list[str], list[str]]:
        from core.secrets.sources import Sources  # runs without secrets need no cryptography
        from core.workspace.folder import Workspace

        sources = Sources.of(Workspace.open(self._workspace))
        values: dict[str, bytes] = {}
        why: list[str] = []
        hints: list[str] = []
        for reference in self._references:
            try:
                values[reference] = sources.read(reference)
            except InputError as error:
                why.append(error.message)
                hints.append(error.hint)
        return values, why, hints
