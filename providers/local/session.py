"""One SSH session on a local server: a command, a login shell or SFTP, behaving as OpenSSH's server does.

A command without a terminal outlives its client: only its pipes are closed. One with a terminal gets
SIGHUP with it. The end of a command is told when it has ended and its output has been read; output that
a background process still holds open keeps the channel open, as with OpenSSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import termios
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import asyncssh
from asyncssh.stream import SSHServerStreamSession

from providers.local.children import Children
from providers.local.sftp import HomeSftp
from providers.local.streams import InputPipe, OutputPipe

log = logging.getLogger(__name__)

STDERR = asyncssh.EXTENDED_DATA_STDERR
TERMINAL_DRAIN_S = 0.2
SHELL = "/bin/sh"
_TAKE_TERMINAL = ': <"$0"; exec "$@"'
"""Opening a terminal makes it the controlling one of a session leader that has none."""

SIGNALS = frozenset(
    {"ABRT", "ALRM", "FPE", "HUP", "ILL", "INT", "KILL", "PIPE", "QUIT", "SEGV", "TERM", "USR1", "USR2"}
)
"""The names that RFC 4254, section 6.10, gives."""


class SessionHost(Protocol):
    """The server that a session belongs to."""

    children: Children
    home: Path
    accepting: bool

    def environment(
        self, client: Mapping[bytes, bytes], connection: object, terminal: tuple[str, str] | None
    ) -> dict[str, str]:
        """The environment of a command."""
        ...


class Session(asyncssh.SSHServerSession[bytes]):
    """Callbacks of one session channel; bytes in, bytes out."""

    def __init__(self, host: SessionHost) -> None:
        self._host = host
        self.open = True
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._sftp: SSHServerStreamSession[bytes] | None = None
        self._terminal: tuple[str, tuple[int, int, int, int]] | None = None
        self._master = -1
        self._pid = 0
        self._status: int | None = None
        self._stdin: InputPipe | None = None
        self._outputs: list[OutputPipe] = []

    # ------------------------------------------------------------ what the client asks for

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """The channel is open."""
        self._chan = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """A terminal is wanted; it is opened with the command."""
        kept = "".join(letter for letter in term_type if letter.isprintable())[:64]
        self._terminal = (kept, term_size)
        return True

    def shell_requested(self) -> bool:
        """A login shell is wanted."""
        return True

    def exec_requested(self, command: str) -> bool:
        """A command is wanted."""
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only SFTP is there."""
        chan = self._chan
        if subsystem != "sftp" or chan is None:
            return False
        home = os.fsencode(self._host.home)
        self._sftp = SSHServerStreamSession[bytes](None, lambda _: HomeSftp(chan, home), 3, False)
        self._sftp.connection_made(chan)
        return True

    def session_started(self) -> None:
        """Starts what was asked for."""
        if self._sftp is not None:
            self._sftp.session_started()
            return
        if not self._host.accepting:
            self._fail("this server is being stopped\n")
            return
        try:
            self._start()
        except (OSError, ValueError) as error:
            log.warning("a command could not be started: %s", error)
            self._close_all()
            self._fail(f"{SHELL}: {error}\n")

    # ------------------------------------------------------------ starting

    def _start(self) -> None:
        assert self._chan is not None
        command = self._chan.get_command()
        arguments: list[str | bytes] = [SHELL, "-l"] if command is None else [SHELL, "-c", command.encode()]
        if self._terminal is None:
            self._start_on_pipes(arguments)
        else:
            self._start_on_terminal(arguments)

    def _start_on_pipes(self, arguments: list[str | bytes]) -> None:
        assert self._chan is not None
        pairs: list[tuple[int, int]] = []
        try:
            pairs = [os.pipe(), os.pipe(), os.pipe()]
            self._spawn(arguments, (pairs[0][0], pairs[1][1], pairs[2][1]), None)
        except BaseException:
            for pair in pairs:
                os.close(pair[0])
                os.close(pair[1])
            raise
        for descriptor in (pairs[0][0], pairs[1][1], pairs[2][1]):
            os.close(descriptor)
        self._stdin = InputPipe(pairs[0][1], self._chan.pause_reading, self._chan.resume_reading)
        self._outputs = [
            OutputPipe(pairs[1][0], self._send_stdout, self._output_ended),
            OutputPipe(pairs[2][0], self._send_stderr, self._output_ended),
        ]

    def _start_on_terminal(self, arguments: list[str | bytes]) -> None:
        assert self._chan is not None and self._terminal is not None
        kind, size = self._terminal
        master, slave = os.openpty()
        try:
            device = os.ttyname(slave)
            set_window(master, size[0], size[1])
            self._spawn(
                [SHELL, "-c", _TAKE_TERMINAL, device, *arguments], (slave, slave, slave), (kind, device)
            )
            writer = os.dup(master)
        except BaseException:
            os.close(master)
            raise
        finally:
            os.close(slave)
        self._master = master
        self._stdin = InputPipe(writer, self._chan.pause_reading, self._chan.resume_reading)
        self._outputs = [OutputPipe(master, self._send_stdout, self._output_ended)]

    def _spawn(
        self, arguments: list[str | bytes], streams: tuple[int, int, int], terminal: tuple[str, str] | None
    ) -> None:
        assert self._chan is not None
        environment = self._host.environment(
            self._chan.get_environment_bytes(), self._chan.get_connection(), terminal
        )
        self._pid = self._host.children.start(
            arguments,
            environment=environment,
            directory=self._host.home,
            streams=streams,
            on_exit=self._exited,
        )

    # ------------------------------------------------------------ bytes

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Input from the client."""
        if self._sftp is not None:
            self._sftp.data_received(data, datatype)
        elif self._stdin is not None:
            self._stdin.feed(data)

    def eof_received(self) -> bool:
        """The client sends nothing more; output goes on. A terminal has no half-closing."""
        if self._sftp is not None:
            return bool(self._sftp.eof_received())
        if self._stdin is not None and self._terminal is None:
            self._stdin.end()
        return True

    def pause_writing(self) -> None:
        """The client does not read fast enough."""
        if self._sftp is not None:
            self._sftp.pause_writing()
        for output in self._outputs:
            output.pause()

    def resume_writing(self) -> None:
        """The client reads again."""
        if self._sftp is not None:
            self._sftp.resume_writing()
        for output in self._outputs:
            output.resume()

    def _send_stdout(self, data: bytes) -> None:
        self._send(data, None)

    def _send_stderr(self, data: bytes) -> None:
        self._send(data, STDERR)

    def _send(self, data: bytes, datatype: int | None) -> None:
        if self._chan is None:
            return
        try:
            self._chan.write(data, datatype)
        except OSError:  # the channel is closing: connection_lost follows
            self._close_all()

    # ------------------------------------------------------------ signals and size

    def signal_received(self, signal_name: str) -> None:
        """A signal for the command's process group."""
        number = getattr(signal, f"SIG{signal_name}", None) if signal_name in SIGNALS else None
        if number is not None and self._host.children.lives(self._pid):
            try:
                os.killpg(self._pid, number)
            except OSError as error:
                log.warning("signal %s was not delivered: %s", signal_name, error)

    def break_received(self, msec: int) -> bool:
        """A break: on a terminal an interrupt."""
        if self._terminal is None:
            return False
        self.signal_received("INT")
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The client's window changed."""
        if self._outputs and self._outputs[0].open and self._master >= 0:
            set_window(self._master, width, height)

    # ------------------------------------------------------------ ends

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is gone; a command without a terminal lives on."""
        if self._sftp is not None:
            self._sftp.connection_lost(exc)
        self._chan = None
        self.open = False
        self._close_all()

    def _exited(self, status: int) -> None:
        self._status = status
        if self._stdin is not None:
            self._stdin.close()
        if self._master >= 0:
            # Background processes may hold the terminal: what is in it is read, then it goes.
            asyncio.get_running_loop().call_later(TERMINAL_DRAIN_S, self._leave_terminal)
        self._finish()

    def _leave_terminal(self) -> None:
        if any(output.open and output.paused for output in self._outputs):
            asyncio.get_running_loop().call_later(TERMINAL_DRAIN_S, self._leave_terminal)
        else:
            self._close_all()

    def _output_ended(self) -> None:
        if any(output.open for output in self._outputs):
            return
        if self._status is None and self._chan is not None and self._terminal is None:
            with contextlib.suppress(OSError):
                self._chan.write_eof()
        self._finish()

    def _finish(self) -> None:
        """Tells the end once the command has ended and its output is read."""
        if self._status is None or self._chan is None or any(output.open for output in self._outputs):
            return
        if os.WIFSIGNALED(self._status):
            number = os.WTERMSIG(self._status)
            self._chan.exit_with_signal(signal_name(number), os.WCOREDUMP(self._status))
        else:
            self._chan.exit(os.WEXITSTATUS(self._status))

    def _fail(self, text: str) -> None:
        if self._chan is not None:
            self._chan.write(text.encode(), STDERR)
            self._chan.exit(1)

    def _close_all(self) -> None:
        self._master = -1
        if self._stdin is not None:
            self._stdin.close()
        for output in self._outputs:
            output.close()


def set_window(descriptor: int, width: int, height: int) -> None:
    """Sets a terminal's size in characters, within what it can hold."""
    rows, columns = (min(max(value, 0), 65535) for value in (height, width))
    try:
        termios.tcsetwinsize(descriptor, (rows, columns))
    except (termios.error, OSError) as error:
        log.warning("the window size was not set: %s", error)


def signal_name(number: int) -> str:
    """A signal's name as SSH writes it: RFC 4254's, or NAME@openssh.com for others."""
    try:
        name = signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        name = f"SIG{number}"
    return name if name in SIGNALS else f"{name}@openssh.com"
