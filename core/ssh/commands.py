"""How commands travel over one connection: the seam inside the SSH side.

The executor knows connections, uploads and probes; everything about commands goes through a
`CommandPath`, one for each connection. `SupervisedCommands` keeps a supervisor session on the server and
records there; `PlainCommands` runs a command in a channel of its own and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from core.engine.executor import (
    NO_TRACE,
    Answer,
    Command,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    StopAnswer,
    Trace,
)
from core.model.ids import AttemptRef
from core.model.states import Stream
from core.ssh.shell import Started


@dataclass(frozen=True, slots=True)
class Hello:
    """What a server told when a connection was prepared: its boot id ("" where unknown), notes, and the
    run's folder ("" where it keeps no records).
    """

    boot_id: str = ""
    notes: tuple[str, ...] = ()
    folder: str = ""


@dataclass(slots=True)
class Running:
    """A command of this process: about to be handed over, running, or ended and not forgotten yet.

    `called_off` is set by a stop that comes before the hand-over, which then never happens. `record` is
    its name in the folder of `trace`, "" where it leaves none.
    """

    sudo: str | None
    trace: Trace = NO_TRACE
    record: str = ""
    handed_over: bool = False
    called_off: bool = False
    started: Started | None = None
    reported: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False


Ledger = dict[AttemptRef, Running]
"""The commands of one run that this process began and that are not forgotten yet."""


class CommandPath(Protocol):
    """Runs commands over one connection. Lost connections are answered, not raised."""

    hello: Hello

    async def run(self, ref: AttemptRef, command: Command, sink: OutputSink, trace: Trace) -> Answer:
        """Hands a command over and follows it to its end."""
        ...

    async def attach(
        self,
        ref: AttemptRef,
        command: Command,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace,
        found: Found | None,
    ) -> Answer:
        """Finds a command that was handed over earlier and follows it from `offsets`."""
        ...

    async def void(self, ref: AttemptRef, trace: Trace) -> NotStarted | InDoubt:
        """Makes sure that a command that never started never will."""
        ...

    async def stop(self, ref: AttemptRef, grace_s: float) -> StopAnswer:
        """Ends the command's process group."""
        ...

    async def forget(self, ref: AttemptRef) -> None:
        """Removes what the command left on the server."""
        ...

    async def sudo_refused(self, user: str) -> str:
        """Why sudo does not run a shell as `user`; "" where it does, or where that can't be asked."""
        ...

    @property
    def stale(self) -> bool:
        """Whether something was found missing on the server, so that `refresh` has something to mend."""
        ...

    async def refresh(self) -> None:
        """Mends what was found missing on the server since; `hello` then says how it is."""
        ...

    async def close(self, over: bool) -> None:
        """Ends what the path keeps open; where the run is `over`, its folder goes."""
        ...
