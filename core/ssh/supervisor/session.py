"""One supervisor session: a shell on the server that starts commands and answers short requests.

Invariants: requests are answered in the order in which they were made; a session that says something
unexpected is closed, not guessed at, and whatever it was asked counts as unanswered; commands live on.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from core.display import display_line, display_lines
from core.model.states import Stream
from core.ssh import shell
from core.ssh.link import Channel, Link, LinkGone
from core.ssh.settings import SshSettings
from core.ssh.supervisor import program
from core.ssh.supervisor.frames import AnswerReader, Frame, Garbled, NoticeReader
from core.ssh.supervisor.record import State

LAST = frozenset("GVKCS")
"""The kinds of frame that end an answer."""

MAX_FRAMES = 2000
"""More than any answer has."""

_ODD = re.compile(r"[^\w.@:+/ -]", re.ASCII)

Deliver = Callable[[Stream, int, bytes], None]
Notice = Callable[[Frame | None], None]
"""Told what the server says of a command by itself; None when the session is over."""


class SessionLost(Exception):
    """The session ended or was closed before it answered; the text says why. Commands live on."""


class NoShell(Exception):
    """No POSIX shell answered; the text has the server's own words."""


@dataclass(slots=True)
class Question:
    """What was asked and is not answered yet."""

    answer: asyncio.Future[list[Frame]]
    asked_s: float
    frames: list[Frame] = field(default_factory=list)
    deliver: Deliver | None = None


class Session:
    """An open session. `boot_id` is "" and `group` "-" where the server cannot tell."""

    def __init__(self, link: Link, settings: SshSettings) -> None:
        self._link = link
        self._settings = settings
        marker = shell.new_marker()
        self._marker = marker
        self._answers = AnswerReader(shell.marker_bytes(marker), self._answered)
        self._notices = NoticeReader(shell.marker_bytes(marker), self._noticed)
        self._questions: deque[Question] = deque()
        self._listeners: dict[str, Notice] = {}
        self._outgoing: list[bytes] = []
        self._flushing = False
        self._known_parts: set[str] = set()
        self._channel: Channel | None = None
        self._begun_s = 0.0
        self._hello_late: asyncio.TimerHandle | None = None
        self._greeted: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self.why_lost = ""
        self.answer_s = 0.0
        """How long the last answer took to come."""
        self.boot_id = ""
        self.group = "-"

    @classmethod
    async def begin(cls, link: Link, settings: SshSettings) -> Session:
        """Starts a session, and does not wait for its greeting: requests may be made at once.

        Raises LinkGone, ChannelRefused.
        """
        session = cls(link, settings)
        channel = await link.execute(
            shell.exec_line(settings.shell), session._received, wait_s=settings.channel_wait_s
        )
        session._channel = channel
        channel.session.on_end = session._channel_ended
        if channel.session.closed.is_set():
            session._channel_ended()
        loop = asyncio.get_running_loop()
        session._begun_s = loop.time()
        session._hello_late = loop.call_later(settings.hello_wait_s, session._no_greeting)
        lines = program.core_lines(settings.shell, session._marker, settings.output_bound_bytes)
        session._outgoing.extend(f"{line}\n".encode() for line in lines)
        return session

    async def greet(self) -> None:
        """Waits for the greeting. Raises LinkGone, NoShell."""
        if not self.gone:
            self._flush_soon()
        try:
            greeting = await asyncio.shield(self._greeted)
        except SessionLost as error:
            if self._link.gone:
                raise LinkGone(self._link.lost_why) from None
            raise NoShell(self._words() or str(error)) from None
        except BaseException:
            self.close("it was not waited for")
            raise
        self.boot_id = shell.parse_boot_id(greeting.words[0]) if greeting.text(0) != "-" else ""
        self.group = greeting.text(3) or "-"

    @classmethod
    async def open(cls, link: Link, settings: SshSettings) -> Session:
        """Starts a session and waits for its greeting. Raises LinkGone, ChannelRefused, NoShell."""
        session = await cls.begin(link, settings)
        await session.greet()
        return session

    @property
    def gone(self) -> bool:
        """Whether the session is over."""
        return bool(self.why_lost)

    @property
    def asked(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._questions)

    def close(self, why: str = "it was closed") -> None:
        """Ends the session; commands live on."""
        self._lose(why)
        if self._channel is not None:
            self._channel.close()

    # ------------------------------------------------------------ requests

    def run(self, folder: str, record: str, line: bytes, kind: bytes, name: Sequence[str]) -> None:
        """Claims and starts a command. What comes of it is told to whoever listens. Raises SessionLost."""
        # For whoever looks at the process list: nothing that a line or a terminal would take amiss.
        told = _ODD.sub("_", " ".join(name)).encode()
        where = f"wl_run {shell.quote_text(folder)} {record} ".encode()
        self._send(b"%s%s %s %s" % (where, _quote(line), _quote(kind), told))
        self._flush()
        if self.gone:
            raise SessionLost(self.why_lost)

    async def get(
        self,
        folder: str,
        record: str,
        offsets: dict[Stream, int],
        deliver: Deliver,
        hints: tuple[str, str] = ("-", "-"),
    ) -> State:
        """Hands what was printed since `offsets` to `deliver`, and returns the record. Raises SessionLost."""
        asked = f"{offsets[Stream.STDOUT]} {offsets[Stream.STDERR]} {hints[0]} {hints[1]}"
        frames = await self._ask(
            "get", f"wl_get {_path(folder, record)} {record} {asked}".encode(), deliver=deliver
        )
        return State.of(frames[-1])

    async def new_folder(self, name: str, bases: Sequence[str]) -> tuple[str, str, list[str]]:
        """Makes a run's folder: its path ("" with the reason), and the other folders beside it."""
        frames = await self._ask("folder", f"wl_new {name} {' '.join(bases)}".encode())
        told = next((frame.text(0) for frame in frames if frame.kind == "F"), "- no answer")
        others = [frame.text(0) for frame in frames if frame.kind == "N"]
        return ("", told[2:], others) if told.startswith("- ") else (told, "", others)

    async def void(self, folder: str, record: str) -> str:
        """Writes the claim of an attempt that never started: "void", "claimed" or "gone"."""
        frames = await self._ask("void", f"wl_void {_path(folder, record)} {record}".encode())
        return frames[-1].text(1)

    async def kill(self, folder: str, record: str, signal: str, sudo: str = "") -> list[str]:
        """Signals the process group ("-" only looks): the pids that are left, "nopid" or "?"."""
        frames = await self._ask("stop", f"wl_kill {_path(folder, record)} {record} {signal} {sudo}".encode())
        return [word.decode("ascii", "replace") for word in frames[-1].words[1:]]

    async def may_sudo(self, sudo: str) -> str:
        """Whether the shell may be run by these words: "" or sudo's own words. May take what sudo takes."""
        frames = await self._ask("sudo", f"wl_may {sudo}".encode())
        said = b" ".join(frames[-1].words[1:])
        return "" if frames[-1].text(0) == "0" else display_line(said, max_chars=300) or "it was refused"

    def ask_survives_logout(self) -> Question:
        """Asks; the answer is fetched by `survives_logout`. Raises SessionLost."""
        return self._put("logout", b"wl_logout")

    async def survives_logout(self, asked: Question) -> str:
        """ "" where commands outlive the session, else what ends them. Raises SessionLost."""
        frames = await self._answer(asked)
        return "" if frames[-1].text(0) == "0" else frames[-1].text(1)

    def leave_scope(self) -> None:
        """Starts commands so that they survive a logout, as an earlier session found that they must be."""
        self._define("logout")
        self._send(b"wl_logout >/dev/null")

    def forget(self, records: Sequence[tuple[str, str]]) -> None:
        """Removes what attempts left, but for their claims. Raises SessionLost."""
        self._define("clean")
        self._send(b"wl_forget " + b" ".join(_path(folder, record).encode() for folder, record in records))

    async def sweep(self, folders: Sequence[str]) -> None:
        """Removes folders of runs that are over."""
        await self._ask("clean", b"wl_sweep " + b" ".join(_quote(folder.encode()) for folder in folders))

    async def leave(self, folder: str) -> None:
        """Removes the folder of a run that is over, as the session's last act. Raises SessionLost.

        The session becomes the process that does it: that is one less for the server, and its end the answer.
        """
        self._send(b"exec rm -rf -- " + _quote(folder.encode()) + b" >/dev/null 2>&1")
        self._flush()
        if self._channel is not None and not self.gone:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.answer_wait_s):
                    await self._channel.session.closed.wait()

    def listen(self, record: str, notice: Notice) -> None:
        """Tells `notice` what the server says of a command."""
        self._listeners[record] = notice

    def unlisten(self, record: str) -> None:
        """Nobody waits for it any more."""
        self._listeners.pop(record, None)

    # ------------------------------------------------------------ inside

    def _define(self, part: str) -> None:
        if part not in self._known_parts:
            self._known_parts.add(part)
            self._send(program.part(part).encode())

    async def _ask(self, part: str, request: bytes, *, deliver: Deliver | None = None) -> list[Frame]:
        return await self._answer(self._put(part, request, deliver))

    def _put(self, part: str, request: bytes, deliver: Deliver | None = None) -> Question:
        self._define(part)
        loop = asyncio.get_running_loop()
        question = Question(loop.create_future(), loop.time(), deliver=deliver)
        self._questions.append(question)
        self._send(request)
        if self._greeted.done():
            self._flush()
        return question

    async def _answer(self, question: Question) -> list[Frame]:
        overdue = asyncio.get_running_loop().call_later(self._settings.answer_wait_s, self._overdue)
        try:
            return await question.answer
        finally:
            overdue.cancel()
            question.deliver = None

    def _no_greeting(self) -> None:
        self.close(f"no answer within {self._settings.hello_wait_s:g} s")

    def _overdue(self) -> None:
        self.close(f"no answer within {self._settings.answer_wait_s:g} s")

    def _send(self, request: bytes) -> None:
        if self.gone or self._channel is None:
            raise SessionLost(self.why_lost or "it was never opened")
        self._outgoing.append(request + b"\n")
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Requests made within a turn of the loop travel together: a packet costs more than what is in it."""
        if not self._flushing:
            self._flushing = True
            loop = asyncio.get_running_loop()
            loop.call_soon(loop.call_soon, self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self._outgoing or self.gone or self._channel is None:
            return
        data = b"".join(self._outgoing)
        self._outgoing.clear()
        try:
            self._channel.write(data)
        except LinkGone as error:
            self._lose(str(error))

    def _received(self, is_stderr: bool, data: bytes) -> None:
        if self.gone:
            return
        try:
            (self._notices if is_stderr else self._answers).feed(data)
        except Garbled as error:
            self.close(f"it said something unexpected: {error}")

    def _answered(self, frame: Frame) -> None:
        if not self._greeted.done():
            if frame.kind != "B":
                raise Garbled("no greeting came first")
            self.answer_s = asyncio.get_running_loop().time() - self._begun_s
            self._greeted.set_result(frame)
            self._look_no_more()
            return
        if frame.kind == "X":
            self._noticed(frame)
            return
        if not self._questions:
            raise Garbled(f"nobody asked for {frame.kind[:20]!r}")
        question = self._questions[0]
        if frame.kind == "O":
            stream = {"o": Stream.STDOUT, "e": Stream.STDERR}.get(frame.text(1))
            if stream is None:
                raise Garbled("there is no such stream")
            if question.deliver is not None:
                question.deliver(stream, frame.number(2), frame.body)
            return
        question.frames.append(frame)
        if len(question.frames) > MAX_FRAMES:
            raise Garbled("an answer has no end")
        if frame.kind in LAST:
            self._questions.popleft()
            self.answer_s = asyncio.get_running_loop().time() - question.asked_s
            if not question.answer.done():
                question.answer.set_result(question.frames)

    def _noticed(self, frame: Frame) -> None:
        notice = self._listeners.get(frame.text(0))
        if notice is not None:
            notice(frame)

    def _channel_ended(self) -> None:
        if self._channel is not None:
            ending = self._channel.session.ending
            self._lose(ending.lost or self._link.lost_why or "the supervisor's shell ended")

    def _look_no_more(self) -> None:
        if self._hello_late is not None:
            self._hello_late.cancel()
            self._hello_late = None

    def _lose(self, why: str) -> None:
        if self.gone:
            return
        self.why_lost = why
        self._look_no_more()
        if not self._greeted.done():
            self._greeted.set_exception(SessionLost(why))
            self._greeted.exception()
        while self._questions:
            answer = self._questions.popleft().answer
            if not answer.done():
                answer.set_exception(SessionLost(why))
                answer.exception()
        for notice in list(self._listeners.values()):
            notice(None)
        self._listeners.clear()

    def _words(self) -> str:
        """The last lines of what came instead of a greeting, for a person."""
        noise = self._answers.noise[-4096:] + b"\n" + bytes(self._notices.noise[-4096:])
        lines = [line.strip() for line in display_lines(noise) if line.strip()]
        return display_line("; ".join(lines[-3:]), max_chars=300)


def _path(folder: str, record: str) -> str:
    return shell.quote_text(f"{folder}/{record}")


def _quote(word: bytes) -> bytes:
    return b"'" + word.replace(b"'", b"'\\''") + b"'"
