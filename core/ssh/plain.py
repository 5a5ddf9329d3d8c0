"""Runs a command in a channel of its own, plainly: nothing is kept on the server.

What is certain. The command's text counts as handed over from the moment it is written to the channel.
Before that, and where the server tells an end without the marker that comes right before the command, it
certainly never ran. A connection that is lost in between leaves it in doubt: sshd lets a command live on,
and nobody writes down how it ended.

Output is handed on as it arrives, byte for byte; what start-up files print before the marker is left out.
A process that the command leaves in the background and that holds its output open is not waited for
longer than `linger_s` of silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal as signals
from collections.abc import Awaitable, Callable, Mapping

from core.display import display_line, display_lines
from core.engine.executor import (
    Answer,
    Command,
    Ended,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    StopAnswer,
    Trace,
)
from core.model.ids import AttemptRef
from core.model.states import Stream, from_the_start
from core.ssh import shell
from core.ssh.commands import Hello, Ledger, Running
from core.ssh.link import Channel, ChannelRefused, Ending, Link, LinkGone
from core.ssh.settings import SshSettings
from core.ssh.stopping import stop_group

NO_RECORD = "it ran without a supervisor, so the server keeps no record of its end"


class _ReadyWasDead(Exception):
    """The channel that was kept ready had ended by itself: nothing ran, and a new one is needed."""


class Receiver:
    """Where a channel's bytes go: our own lines are taken out, the rest is numbered and handed to the sink."""

    def __init__(self, marker: str) -> None:
        self.sink: OutputSink | None = None
        self.on_line: Callable[[bool, bytes], None] | None = None
        self.marker = marker
        self.streams = {stream: shell.MarkedStream(marker) for stream in Stream}
        self.offsets = from_the_start()

    def expect(self, marker: str) -> None:
        """What follows begins with another marker; what came without one is still noise."""
        self.marker = marker
        self.streams = {
            stream: shell.MarkedStream(marker, b"" if marked.line is not None else marked.noise)
            for stream, marked in self.streams.items()
        }
        self.offsets = from_the_start()

    @property
    def noise(self) -> bytes:
        """What somebody else said where a marker was waited for."""
        parts = (marked.noise for marked in self.streams.values() if marked.line is None)
        return b"\n".join(part for part in parts if part)

    def __call__(self, is_stderr: bool, data: bytes) -> Awaitable[None] | None:
        """Bytes arrived; what is returned is to be waited for before more are read."""
        stream = Stream.STDERR if is_stderr else Stream.STDOUT
        marked = self.streams[stream]
        waiting = marked.line is None
        own = marked.feed(data)
        if waiting and marked.line is not None and self.on_line is not None:
            self.on_line(is_stderr, marked.line)
        wait = self.deliver(stream, own) if own else None
        # What is needed to stop the command comes on the other stream: only then may reading pause.
        return wait if all(other.line is not None for other in self.streams.values()) else None

    def deliver(self, stream: Stream, data: bytes) -> Awaitable[None] | None:
        """Hands bytes to the sink."""
        start = self.offsets[stream]
        self.offsets[stream] = start + len(data)
        return self.sink(stream, start, data) if self.sink is not None else None

    @property
    def marked(self) -> bool:
        """Whether the marker was seen on either stream."""
        return any(stream.line is not None for stream in self.streams.values())

    def words(self) -> str:
        """The last lines of what came instead of a marker, for a person."""
        lines = [line.strip() for line in display_lines(self.noise[-4096:]) if line.strip()]
        return display_line("; ".join(lines[-3:]), max_chars=300)

    def deliver_noise(self) -> None:
        """Hands over what came instead of a command: the words of whoever refused to run it."""
        for stream, marked in self.streams.items():
            if marked.line is None and marked.noise:
                self.deliver(stream, marked.noise)


class PlainCommands:
    """The commands of one connection. `another` makes a further connection, for a stop that finds no room."""

    def __init__(
        self,
        link: Link,
        settings: SshSettings,
        ledger: Ledger,
        another: Callable[[], Awaitable[Link]],
    ) -> None:
        self.hello = Hello()
        self._link = link
        self._settings = settings
        self._ledger = ledger
        self._another = another
        self._ready: tuple[Channel, Receiver] | None = None

    async def prepare(self) -> None:
        """Says hello over the channel that the first command will use, so that it costs no second one.

        Raises LinkGone. A server without a POSIX shell is noted, not refused: uploads may still work.
        """
        link, settings = self._link, self._settings
        receiver = Receiver(shell.new_marker())
        told = asyncio.Event()
        receiver.on_line = lambda is_stderr, line: told.set()
        try:
            channel = await link.execute(
                shell.exec_line(settings.shell), receiver, wait_s=settings.channel_wait_s
            )
        except ChannelRefused as error:
            self.hello = Hello(notes=(f"commands cannot be run: {error}",))
            return
        with contextlib.suppress(LinkGone):
            channel.write(shell.opening_line(settings.shell, receiver.marker, hello=True))
        closed = asyncio.ensure_future(channel.session.closed.wait())
        heard = asyncio.ensure_future(told.wait())
        try:
            await asyncio.wait(
                {closed, heard}, timeout=settings.hello_wait_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            closed.cancel()
            heard.cancel()
        if link.gone:
            raise LinkGone(link.lost_why)
        line = receiver.streams[Stream.STDOUT].line
        if line is None or channel.session.closed.is_set():
            said = receiver.words()
            channel.close()
            self.hello = Hello(
                notes=(f"no POSIX shell answers{': ' + said if said else ''}; commands will fail",)
            )
            return
        self.hello = Hello(boot_id=shell.parse_boot_id(line))
        self._ready = (channel, receiver)
        link.spare = self._drop_ready

    # ------------------------------------------------------------ running

    async def run(self, ref: AttemptRef, command: Command, sink: OutputSink, trace: Trace) -> Answer:
        """Hands a command over and follows it to its end; see the module for what is certain when."""
        try:
            marker = shell.new_marker()
            text = f"exec >/dev/null 2>&1\n{command.text}" if command.discard else command.text
            lines = [shell.command_line(text, command.env, marker)]
            if command.sudo is not None:
                lines.insert(0, shell.sudo_line(self._settings.shell, command.sudo))
        except shell.NotExpressible as error:
            return Ended(2, why=str(error), evidence="it was not handed over")
        running = self._ledger.setdefault(ref, Running(command.sudo))
        ready = self._take_ready()
        try:
            answer = await self._run(running, command, lines, marker, sink, ready)
        except _ReadyWasDead:
            running.handed_over = False
            answer = await self._run(running, command, lines, marker, sink, None)
        running.ended = not isinstance(answer, InDoubt)
        return answer

    async def _run(
        self,
        running: Running,
        command: Command,
        lines: list[bytes],
        marker: str,
        sink: OutputSink,
        ready: tuple[Channel, Receiver] | None,
    ) -> Answer:
        """One try, over the channel that was kept ready or a new one. Raises _ReadyWasDead."""
        receiver = ready[1] if ready is not None else Receiver(marker)

        heard = receiver.noise

        def reported(is_stderr: bool, line: bytes) -> None:
            if is_stderr:
                running.started = shell.parse_started(line)
                running.reported.set()

        try:
            if ready is not None:
                channel = ready[0]
                receiver.expect(marker)
            else:
                channel = await self._link.execute(
                    shell.exec_line(self._settings.shell), receiver, wait_s=self._settings.channel_wait_s
                )
                lines = [shell.opening_line(self._settings.shell, marker), *lines]
            receiver.on_line, receiver.sink = reported, sink
            if running.called_off:
                channel.close()
                return NotStarted("it was stopped by us before it was handed over")
        except LinkGone as error:
            return NotStarted(
                f"the connection to {self._link.resolved.name} was lost before: {error}", again=True
            )
        except ChannelRefused as error:
            return NotStarted(str(error))
        try:
            channel.write(b"".join(lines))
        except LinkGone as error:
            if self._link.gone:
                return NotStarted(
                    f"the connection to {self._link.resolved.name} was lost before: {error}", again=True
                )
            if ready is not None:
                raise _ReadyWasDead from None
            receiver.deliver_noise()
            return _refused(channel.session.ending, receiver, command)
        running.handed_over = True
        channel.write_eof()
        try:
            lingering = await self._follow(channel)
        except asyncio.CancelledError:
            # Abandoned: the channel stays, so that the command does not notice, and says nothing more.
            receiver.sink = None
            raise
        answer = self._answer(channel.session.ending, receiver, lingering)
        if answer is not None:
            return answer
        if ready is not None and receiver.noise == heard:
            raise _ReadyWasDead
        receiver.deliver_noise()
        return _refused(channel.session.ending, receiver, command)

    async def _follow(self, channel: Channel) -> bool:
        """Waits for the end. True where the channel was closed by us while something still held it open."""
        session = channel.session
        await session.exited.wait()
        while not session.closed.is_set():
            before = session.received_bytes
            try:
                async with asyncio.timeout(self._settings.linger_s):
                    await session.closed.wait()
            except TimeoutError:
                if session.received_bytes == before and not session.paused:
                    channel.close()
                    return True
        return False

    def _answer(self, ending: Ending, receiver: Receiver, lingering: bool) -> Answer | None:
        """What the end of the channel proves; None where it proves that the command never ran."""
        name = self._link.resolved.name
        if not ending.known:
            how = "was evaluated" if receiver.marked else "was handed over"
            lost = (
                ending.lost or self._link.lost_why or "the server closed the channel without an exit status"
            )
            return InDoubt(f"the command {how} on {name}, then the connection was lost: {lost}; {NO_RECORD}")
        if not receiver.marked:
            return None
        evidence = "exit status"
        if lingering:
            evidence += "; something it left in the background still held its output open"
        elif ending.lost is not None:
            evidence += (
                f"; the connection was lost right after it, the last output may be missing: {ending.lost}"
            )
        if ending.exit_status is None:
            number = _signal_number(ending.signal)
            return Ended(128 + number, signal=ending.signal, evidence=evidence)
        return Ended(ending.exit_status, evidence=evidence)

    def _take_ready(self) -> tuple[Channel, Receiver] | None:
        ready, self._ready = self._ready, None
        self._link.spare = None
        if ready is not None and ready[0].session.exited.is_set():
            ready[0].close()
            return None
        return ready

    def _drop_ready(self) -> bool:
        ready = self._take_ready()
        if ready is None:
            return False
        ready[0].close()
        return True

    # ------------------------------------------------------------ the other verbs

    async def attach(
        self,
        ref: AttemptRef,
        command: Command,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace,
        found: Found | None,
    ) -> Answer:
        """Without a record on the server no evidence can be had."""
        return InDoubt(NO_RECORD)

    async def void(self, ref: AttemptRef, trace: Trace) -> NotStarted | InDoubt:
        """A command that was never handed over here is void; of others nothing can be proved."""
        running = self._ledger.get(ref)
        if running is not None and not running.handed_over:
            return NotStarted("it was never handed over")
        return InDoubt(NO_RECORD)

    async def stop(self, ref: AttemptRef, grace_s: float) -> StopAnswer:
        """Ends the command's process group."""
        return await stop_group(self._link, self._another, self._settings, self._ledger.get(ref), grace_s)

    async def forget(self, ref: AttemptRef) -> None:
        """Nothing is kept on the server."""
        self._ledger.pop(ref, None)

    async def sudo_refused(self, user: str) -> str:
        """Asked by the command itself."""
        return ""

    stale = False

    async def refresh(self) -> None:
        """Nothing is kept on the server."""

    async def close(self, over: bool) -> None:
        """Nothing is kept on the server; the channel that was kept ready goes."""
        self._drop_ready()


def _refused(ending: Ending, receiver: Receiver, command: Command) -> Ended:
    """The end of a channel in which the command never ran: sudo or the login shell refused."""
    said = receiver.words()
    if command.sudo is not None:
        why = f"sudo did not start it as {command.sudo}: {said or 'it said nothing'}"
        if "password is required" in said or "a terminal is required" in said:
            why += " (allow /bin/sh without a password in sudoers: NOPASSWD)"
    else:
        why = f"the server's shell did not start it: {said or 'it said nothing'}"
    status = ending.exit_status
    if status is None:
        status = 128 + _signal_number(ending.signal)
    return Ended(
        status or 1, signal=ending.signal, why=why, evidence="the server ended it before the command began"
    )


def _signal_number(name: str) -> int:
    try:
        return int(signals.Signals[f"SIG{name}"])
    except KeyError:
        return 0
