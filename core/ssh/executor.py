"""Runs attempts on servers over SSH: the engine's executor for everything that touches a server.

It knows connections, uploads and probes; commands go through the connection's `CommandPath`. A lost
connection is an answer, not an exception: only `open` and `attach` raise Unreachable.

| work | start | attach | void |
| --- | --- | --- | --- |
| Command | the command path's answer | the command path's answer | the command path's answer |
| Upload | placed atomically | the target's digest: done, or not started | not started: it repeats safely |
| PortProbe | one probe | not started: it changes nothing | not started |
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.engine.executor import (
    NO_TRACE,
    Answer,
    Command,
    Ended,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    PortProbe,
    ServerFacts,
    StopAnswer,
    Stopped,
    StopUnconfirmed,
    Trace,
    Unreachable,
    Upload,
    Work,
)
from core.model.ids import AttemptRef
from core.model.states import Stream
from core.ssh.commands import CommandPath, Ledger, Running
from core.ssh.link import ChannelRefused, Link, LinkGone
from core.ssh.plain import PlainCommands
from core.ssh.pool import Connection, SshPool
from core.ssh.port import probe_port
from core.ssh.settings import SshSettings
from core.ssh.supervised import SupervisedCommands
from core.ssh.supervisor.folder import FoldersOver
from core.ssh.supervisor.record import record_id
from core.ssh.transfer import TransferFailed, digest, upload
from providers.base import Server


class SshExecutor:
    """The executor of one run.

    `known_hosts` is the workspace's own file and wins over that of `settings`. `run_id` names the run's
    folders on servers; without one (a command outside any run) nothing is supervised. `folders_over` tells
    which folders found beside them may go.
    """

    def __init__(
        self,
        settings: SshSettings | None = None,
        *,
        known_hosts: Path | None = None,
        run_id: str = "",
        folders_over: FoldersOver | None = None,
    ) -> None:
        settings = settings or SshSettings()
        if known_hosts is not None:
            settings = replace(settings, known_hosts=known_hosts)
        self._settings = settings
        self._ledger: Ledger = {}
        self._short: dict[AttemptRef, asyncio.Task[Answer]] = {}
        self._repeatable: set[AttemptRef] = set()
        self._run_id = run_id
        self._folders_over = folders_over
        self._folders: dict[str, str] = {}
        self._closed = False
        self._pool: SshPool[CommandPath] = SshPool(settings, self._prepare)

    # ------------------------------------------------------------ the executor's verbs

    async def open(self, server: Server) -> ServerFacts:
        """Connects where there is no connection. Raises Unreachable."""
        connection = await self._pool.open(server)
        await connection.prepared.refresh()
        self._folders[server.name] = connection.prepared.hello.folder
        return self._facts(connection)

    def at_hand(self, server: Server) -> ServerFacts | None:
        """The facts of a connection that is open and lacks nothing."""
        connection = self._pool.current(server)
        if connection is None or connection.prepared.stale:
            return None
        return self._facts(connection)

    async def sudo_refused(self, server: Server, user: str) -> str:
        """Why sudo does not run a shell as `user` on the server; "" where it does. Raises Unreachable."""
        connection = await self._pool.open(server)
        return await connection.prepared.sudo_refused(user)

    async def start(
        self, server: Server, ref: AttemptRef, work: Work, sink: OutputSink, trace: Trace = NO_TRACE
    ) -> Answer:
        """Hands the work over and follows it to its end."""
        match work:
            case Command():
                self._ledger[ref] = Running(work.sudo)
                try:
                    connection = await self._pool.open(server)
                except Unreachable as error:
                    return NotStarted(error.why)
                return await connection.prepared.run(ref, work, sink, trace)
            case Upload() | PortProbe():
                self._repeatable.add(ref)
                return await self._shortly(ref, self._start_short(server, work))
            case _:
                return NotStarted(f"{type(work).__name__} is not run over SSH")

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
        """What became of an attempt that was started earlier. Raises Unreachable."""
        connection = await self._pool.open(server)
        match work:
            case Command():
                return await connection.prepared.attach(ref, work, offsets, sink, trace, found)
            case Upload():
                self._repeatable.add(ref)
                return await self._look_at(connection.link, work)
            case _:
                self._repeatable.add(ref)
                return NotStarted("a probe changes nothing and is run again")

    async def void(self, server: Server, ref: AttemptRef, trace: Trace = NO_TRACE) -> NotStarted | InDoubt:
        """Makes sure that an attempt that never started never will. Raises Unreachable.

        Of uploads and probes this holds always, once `start` or `attach` told that it is one.
        """
        if ref in self._repeatable:
            return NotStarted("it repeats safely")
        connection = await self._pool.open(server)
        return await connection.prepared.void(ref, trace)

    async def stop(
        self,
        server: Server,
        ref: AttemptRef,
        grace_s: float,
        work: Work | None = None,
        trace: Trace = NO_TRACE,
    ) -> StopAnswer:
        """Ends the attempt; never raises."""
        if ref not in self._ledger and isinstance(work, Command) and trace.folder:
            earlier = Running(work.sudo, trace, record_id(ref), handed_over=True)
            earlier.reported.set()
            self._ledger[ref] = earlier
        short = self._short.get(ref)
        if short is not None:
            short.cancel()
            await asyncio.wait([short], timeout=grace_s)
            if not short.done():
                return StopUnconfirmed("the transfer did not end in time")
            return Stopped("it was ended" if short.cancelled() else "it had just taken effect")
        running = self._ledger.get(ref)
        if running is not None and not running.handed_over:
            running.called_off = True
            return Stopped("it was never handed over")
        try:
            connection = await self._pool.open(server)
            return await connection.prepared.stop(ref, grace_s)
        except Unreachable as error:
            pids = (running.started.pid,) if running is not None and running.started is not None else ()
            return StopUnconfirmed(f"the stop could not be sent: {error.why}", pids)

    async def forget(self, server: Server, ref: AttemptRef) -> None:
        """The outcome is durable: what the attempt left may go; never raises."""
        connection = self._pool.current(server)
        if connection is not None:
            await connection.prepared.forget(ref)
        self._ledger.pop(ref, None)
        self._repeatable.discard(ref)

    async def close(self, *, over: bool = False) -> None:
        """Closes every connection; what is in flight is abandoned. Where the run is `over`, its records go."""
        if not self._closed:
            self._closed = True
            paths = [connection.prepared for connection in self._pool.connections()]
            await asyncio.gather(*(path.close(over) for path in paths), return_exceptions=True)
        for task in self._short.values():
            task.cancel()
        await asyncio.gather(*self._short.values(), return_exceptions=True)
        await self._pool.close()

    # ------------------------------------------------------------ inside

    async def _prepare(self, server: Server, link: Link) -> CommandPath:
        try:
            return await self._command_path(server, link)
        except LinkGone as error:
            raise Unreachable(
                f"{server.name}: the connection was lost right after the login: {error}"
            ) from None

    async def _command_path(self, server: Server, link: Link) -> CommandPath:
        settings = self._settings
        plain = PlainCommands(link, settings, self._ledger, lambda: self._pool.another(server))
        if not (settings.supervise and self._run_id):
            await plain.prepare()
            return plain
        commands = SupervisedCommands(
            link,
            settings,
            self._ledger,
            plain,
            run_id=self._run_id,
            folder=self._folders.get(server.name, ""),
            folders_over=self._folders_over,
        )
        await commands.prepare()
        return commands

    async def _start_short(self, server: Server, work: Upload | PortProbe) -> Answer:
        try:
            connection = await self._pool.open(server)
        except Unreachable as error:
            return NotStarted(error.why)
        if isinstance(work, PortProbe):
            return await probe_port(connection.link, work)
        return await upload(connection.link, work, wait_s=self._settings.channel_wait_s)

    def _facts(self, connection: Connection[CommandPath]) -> ServerFacts:
        resolved, hello = connection.link.resolved, connection.prepared.hello
        notes = hello.notes
        if resolved.forward_agent:
            notes = (*notes, f"the agent is forwarded, as {resolved.forward_agent_place} asks")
        return ServerFacts(hello.boot_id, resolved.user, notes, hello.folder)

    async def _shortly(self, ref: AttemptRef, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Runs an upload or a probe, so that `stop` can end it and the caller still gets an answer."""
        task = asyncio.ensure_future(work)
        self._short[ref] = task
        task.add_done_callback(lambda done: self._short.pop(ref) if self._short.get(ref) is done else None)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                task.cancel()
                raise
            return NotStarted("it was stopped by us before it took effect")

    async def _look_at(self, link: Link, work: Upload) -> Answer:
        name = link.resolved.name
        try:
            found = await digest(link, work.target, wait_s=self._settings.channel_wait_s)
        except LinkGone as error:
            raise Unreachable(f"{name}: the connection was lost: {error}") from None
        except (ChannelRefused, TransferFailed) as error:
            return InDoubt(f"the digest of {work.target} on {name} cannot be read: {error}")
        if found == work.digest:
            return Ended(0, evidence=f"the digest of {work.target} on {name} matches")
        told = "is not there" if found is None else f"has another digest ({found[:12]}…)"
        return NotStarted(f"{work.target} {told} on {name}: the file was not placed")
