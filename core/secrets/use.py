"""The secrets of one run: read when it is to be executed, in memory only, and taken out of all that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from core.errors import CredentialsNeeded, InputError
from core.secrets.redact import NO_FORMS, Forms
from core.secrets.reference import parts_of
from core.secrets.sealed import Sealed

EMPTY: Mapping[str, str] = {}


class RunSecrets:
    """What a run's references stand for.

    `forms` covers every value read so far, also one that has changed since: a command may still print it. `files` are
    the digests of the encrypted files that were read, `made_with` those of when the run was made.
    """

    def __init__(
        self,
        workspace: Path,
        references: Iterable[str],
        made_with: Mapping[str, str] = EMPTY,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """`variables` are those that whoever asked for the run gave; None where that is this process itself."""
        self._variables = None if variables is None else dict(variables)
        self._workspace = workspace
        self._references = sorted(references)
        self._values: dict[str, bytes] | None = None
        self._seen: set[bytes] = set()
        self._made_with = made_with
        self.files: dict[str, str] = {}
        self.forms = NO_FORMS

    async def prepare(self, *, anew: bool = False) -> list[str]:
        """Reads every value, once unless `anew`. Raises InputError with all that cannot be read, CredentialsNeeded
        where variables were not given.

        Returns those that are others than when this process read them before, or were written anew since the run was
        made: by that time only what is encrypted in the workspace is known, and nothing of its value.
        """
        if not self._references or (self._values is not None and not anew):
            return []
        if missing := self.missing:
            raise CredentialsNeeded(
                f"waiting for credentials: {', '.join(missing)} of whoever goes on with the run",
                names=missing,
                hint="this engine never had them, or ended since; a command where they are set gives them along: "
                "`windlass runs resume`",
            )
        values, why, hints = await asyncio.to_thread(self._read)
        if why:
            count = f"{len(why)} secret{'s' if len(why) > 1 else ''}"
            lines = "\n".join(why)
            raise InputError(
                f"{count} of the run cannot be read, so nothing is started:\n{lines}", hint=hints[0]
            )
        before, self._values = self._values, values
        if not self._seen.issuperset(values.values()):
            self._seen.update(values.values())
            self.forms = Forms(self._seen)
        if before is not None:
            return [name for name in self._references if before[name] != values[name]]
        return [name for name, digest in self._made_with.items() if self.files.get(name, digest) != digest]

    @property
    def missing(self) -> tuple[str, ...]:
        """Variables that secrets are read from and that nobody gave."""
        if self._variables is None:
            return ()
        wanted = (parts_of(reference) for reference in self._references)
        return tuple(name for kind, name in wanted if kind == "env" and name not in self._variables)

    def give(self, variables: Mapping[str, str]) -> None:
        """Takes variables, into memory only; they are read at the next `prepare`."""
        if self._variables is not None:
            self._variables.update(variables)

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

        sources = Sources.of(Workspace.open(self._workspace), self._variables)
        values: dict[str, bytes] = {}
        why: list[str] = []
        hints: list[str] = []
        for reference in self._references:
            try:
                values[reference] = sources.read(reference)
                if digest := sources.file_digest(reference):
                    self.files[reference] = digest
            except InputError as error:
                why.append(error.message)
                hints.append(error.hint)
        return values, why, hints
