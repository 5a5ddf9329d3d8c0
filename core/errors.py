"""The exception tree. Every error that a person may meet descends from WindlassError.

    WindlassError                     exit status
    ├── InputError                    2    bad input: documents, options, names; carries every fault
    │   ├── WorkspaceNewer            2    the workspace was made by a newer Windlass
    │   └── NotFound                  2    there is no run, task or server of that name
    ├── WorkspaceOwned                3    another engine holds the lease; names the owner
    ├── NeedsPerson                   4    a decision, a confirmation, an unknown host key
    │   ├── CredentialsNeeded         4    variables of whoever asks, from which secrets are read
    │   └── ConfirmationNeeded        4    a protected environment: its name must be typed
    ├── ServersUnreachable            6    servers (or the engine) cannot be reached
    │   └── EngineGone                6    the engine does not answer, or no longer
    ├── NotPossible                   2    the run is in no state for this action; says why
    │   ├── ReadOnlyWorkspace         2    the workspace says `read_only: true`
    │   └── NotTrusted                2    a program named by a workspace that its user does not trust
    ├── NotAllowed                    2    an engine elsewhere refuses the caller: its token, its role, its pace
    ├── CursorGone                    2    a position in the event log of another incarnation
    ├── StoreError                    70   the database: newer, corrupt, locked, fenced
    │   ├── StoreNewer, StoreCorrupt  2
    │   ├── DiskFull                  4    no space: nothing starts until there is some
    │   └── Fenced                    3    the lease was overtaken: nothing more is written
    └── ProviderError                 6    a provider could not answer

`exit_status` is what the command line ends with when the error reaches it. The text is for a person:
what happened, where, what is certain, what to do next (`hint`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input. Lines and columns count from 1; 0 means "the whole file"."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class WindlassError(Exception):
    """Base of all errors meant for people. `hint` says what to do next; it may be empty."""

    exit_status = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class InputError(WindlassError):
    """Bad input. `faults` holds every fault found, in source order; it may be empty for a plain message."""

    exit_status = 2

    def __init__(self, message: str, *, hint: str = "", faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        lines = [self.message, *(str(fault) for fault in self.faults)]
        if self.hint:
            lines.append(self.hint)
        return "\n".join(lines)


class WorkspaceNewer(InputError):
    """`workspace.yaml` has a format that this Windlass does not know."""


class NotFound(InputError):
    """There is nothing of the name or number that was asked for."""


class WorkspaceOwned(WindlassError):
    """Another engine owns the workspace; the message names pid, user, host and since when."""

    exit_status = 3


class NeedsPerson(WindlassError):
    """Nothing can go on without a person's decision."""

    exit_status = 4


class ConfirmationNeeded(NeedsPerson):
    """A protected environment: what was asked needs `name` typed. Nothing was changed."""

    def __init__(self, message: str, *, name: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.name = name


class CredentialsNeeded(NeedsPerson):
    """A run reads secrets from variables that only whoever asks for it has. `names` are those variables."""

    def __init__(self, message: str, *, names: Sequence[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.names = tuple(names)


class ServersUnreachable(WindlassError):
    """Servers, or the engine, cannot be reached, and nothing else is wrong."""

    exit_status = 6


class EngineGone(ServersUnreachable):
    """The engine in another process does not answer; what became of a request is not known by this."""


class NotPossible(WindlassError):
    """The action does not fit the state of the run, task or server; nothing was changed."""

    exit_status = 2


class ReadOnlyWorkspace(NotPossible):
    """The workspace is declared read-only: only pausing and cancelling are possible."""


class NotTrusted(NotPossible):
    """A workspace names a program to run, and who runs Windlass does not trust that workspace."""


class NotAllowed(WindlassError):
    """An engine elsewhere refuses who asks: the token is not good, its role allows less, or it asks too much."""

    exit_status = 2


class CursorGone(WindlassError):
    """A position in the event log means nothing any more: the state must be read again, from its beginning."""

    exit_status = 2


class StoreError(WindlassError):
    """The database cannot be used as it is."""


class StoreNewer(StoreError):
    """The database was written by a newer Windlass; nothing was changed."""

    exit_status = 2


class StoreCorrupt(StoreError):
    """The database fails its integrity check; nothing was changed."""

    exit_status = 2


class DiskFull(StoreError):
    """There is no space left where the database lies."""

    exit_status = 4


class Fenced(StoreError):
    """Another engine has taken over: this one may write nothing more."""

    exit_status = 3


class ProviderError(WindlassError):
    """A provider could not list, start or stop its servers."""

    exit_status = 6
