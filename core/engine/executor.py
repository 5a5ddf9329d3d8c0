"""The seam between the engine and whatever runs an attempt.

Five verbs for an attempt: start, attach, void, stop, forget. Each answer says what is certain and what
is in doubt, with evidence. Nothing here assumes that the process that started an attempt is the one
that attaches to it. `SshExecutor` (core/ssh) runs attempts on servers, `LocalExecutor`
(core/engine/local_work.py) those that the engine runs itself; tests bring an executor in memory.

Work is what an attempt does, already rendered: no template is left in it. The values of secrets are in the
environment of what is handed to `start`, and nowhere else: `HandOver` puts them in right before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.model.ids import AttemptRef
from core.model.states import Stream
from providers.base import Server

# ---------------------------------------------------------------- work


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command for `/bin/sh`. `sudo` is None, or the user to become ("root" for plain sudo).

    `supervise` asks for a record on the server, so that the command survives its connection and its
    engine; `repeats` says that it changes nothing and may be run again under the same name (a guard, a
    wait); `discard` that nobody wants its output.
    """

    text: str
    env: Mapping[str, str] = field(default_factory=dict)
    sudo: str | None = None
    supervise: bool = True
    repeats: bool = False
    discard: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to place on a server, atomically. `target` is absolute or relative to the login directory.

    `digest` is the sha256 of the content in hexadecimal, `mode` the permission bits.
    """

    source: Path
    target: str
    digest: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class PortProbe:
    """Whether something accepts TCP connections at `host:port`, seen from the server."""

    port: int
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """Whether an HTTP answer, seen from the engine, has one of `status` and contains `contains`."""

    url: str
    status: tuple[int, ...] = (200,)
    contains: str = ""
    timeout_s: float = 10.0


Work = Command | Upload | PortProbe | HttpProbe

# ---------------------------------------------------------------- answers


@dataclass(frozen=True, slots=True)
class Ended:
    """Certain: the work ended. `exit_status` 0 is success.

    Death by a signal has `exit_status` 128 + the signal's number and `signal` its name ("TERM").
    `why` explains a non-zero end in words ("no such file: /srv/www"); `evidence` says how it is known
    ("exit status", "digest").
    """

    exit_status: int
    signal: str = ""
    why: str = ""
    evidence: str = "exit status"


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Certain: nothing was handed over, or what was handed over never ran and never will.

    `again` says that another attempt may be made at once: what hindered this one is mended.
    """

    why: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class InDoubt:
    """Nobody can know whether the work ran or ended. `evidence` says what was looked at.

    `lost` says that the server could not be asked: once it answers again, `attach` may tell more. `over`
    says that it is certain that nothing of it runs any more, however it ended.
    """

    evidence: str
    lost: bool = False
    over: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """Certain: no process of the attempt is left."""

    evidence: str = ""


@dataclass(frozen=True, slots=True)
class StopUnconfirmed:
    """The stop was sent, or could not be; processes may be left. `pids` are those seen."""

    evidence: str
    pids: tuple[int, ...] = ()


Answer = Ended | NotStarted | InDoubt
StopAnswer = Stopped | StopUnconfirmed


@dataclass(frozen=True, slots=True)
class Trace:
    """Where evidence of an attempt is to be found: stored with its intent, before it is handed over.

    `folder` is the run's folder on the server, with its marker in the name ("" where no record is kept),
    `boot_id` the server's boot then.
    """

    boot_id: str = ""
    folder: str = ""


NO_TRACE = Trace()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a session learnt when it opened: `boot_id` ("" where unknown), and notes for the plan and log.

    `folder` is where records of supervised commands are kept, "" where the server keeps none.
    """

    boot_id: str = ""
    user: str = ""
    notes: tuple[str, ...] = ()
    folder: str = ""


class Unreachable(Exception):
    """No session with the server; nothing was handed over.

    `why` is for a person, `hint` the next step (for an unknown host key: the exact command that
    trusts it). `credentials` is True where no key or password was accepted or available; `gone` where that is for want
    of something that a person gives: an agent that does not answer or sign, a passphrase, a touch.
    """

    def __init__(self, why: str, *, hint: str = "", credentials: bool = False, gone: bool = False) -> None:
        super().__init__(why)
        self.gone = gone
        self.why = why
        self.hint = hint
        self.credentials = credentials


class OutputSink(Protocol):
    """Where remote bytes go. Called from the event loop; it never blocks and never raises."""

    def __call__(self, stream: Stream, start: int, data: bytes) -> Awaitable[None] | None:
        """`data` are the raw remote bytes of `stream` from offset `start`; calls are in order for each stream.

        A `start` beyond the end of the call before tells a gap: bytes that cannot be had any more. What is
        handed over is always taken. None says: go on. An awaitable says that the store is behind: the
        caller takes nothing more from the server until it is done (a channel that pushes is paused, one
        that is asked is not asked), so that what is printed waits there and not in our memory.
        """
        ...


Found = Callable[[float | None], None]
"""Told when an attempt was found still running: for how many seconds already, None where that is unknown."""


class Executor(Protocol):
    """Runs attempts. One executor serves one run; all methods may be called concurrently."""

    async def open(self, server: Server) -> ServerFacts:
        """Makes sure that the server can be handed work; cheap when a session is already open.

        Raises Unreachable. Nothing is started.
        """
        ...

    def at_hand(self, server: Server) -> ServerFacts | None:
        """What `open` would return, where it would return at once; else None."""
        ...

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        """Hands the work over, streams its output to `sink` and returns when it ended.

        `trace` is what was stored with the intent: where its folder is missing nothing is started.
        Returns NotStarted only where it is certain that nothing was handed over. Cancelling the
        coroutine abandons the attempt: whoever cancels calls `stop` or records the doubt.
        """
        ...

    async def attach(
        self,
        server: Server,
        ref: AttemptRef,
        work: Work,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace = NO_TRACE,
        found: Found | None = None,
    ) -> Answer:
        """Finds an attempt that this or another process started, follows it from `offsets` (raw bytes
        already stored) and returns its end; InDoubt where no evidence can be had.

        An attempt that never started is voided on the way: it never will. Raises Unreachable.
        """
        ...

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        """Makes sure that the attempt, if it never started, never will. Raises Unreachable."""
        ...

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        """Ends the attempt's process group: TERM, then KILL after `grace_s`; never raises.

        `work` and `trace` are needed only for an attempt that this process neither started nor attached to.
        """
        ...

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        """The outcome is durable: whatever the attempt left on the server may go; never raises."""
        ...

    async def close(self, *, over: bool = False) -> None:
        """Closes every session. Attempts still in flight are abandoned.

        `over` says that the run is closed: what it left on servers goes.
        """
        ...
