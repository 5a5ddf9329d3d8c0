"""Runs commands under the supervisor: they outlive the connection, and their records tell how they ended.

One session serves all commands of a connection. Where the server allows no other channel beside it, the
session makes room and is opened again; commands do not notice. What is certain, and why:

- a command starts only where its attempt's folder is there and its claim could be written: an answer that
  says otherwise, or a claim written by us (void), proves that it never ran and never will;
- an end is what the record says, never a guess: a record that is missing, torn, or of another boot is doubt.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from core.engine.executor import (
    NO_TRACE,
    Answer,
    Command,
    Ended,
    Found,
    InDoubt,
    NotStarted,
    OutputSink,
    StopAnswer,
    Stopped,
    StopUnconfirmed,
    Trace,
)
from core.model.ids import AttemptRef
from core.model.states import Stream, from_the_start
from core.ssh import shell
from core.ssh.commands import Hello, Ledger, Running
from core.ssh.link import ChannelRefused, Link, LinkGone
from core.ssh.plain import PlainCommands
from core.ssh.settings import SshSettings
from core.ssh.supervisor.folder import FoldersOver, make_folder
from core.ssh.supervisor.record import exit_status_of, is_folder, passing_id, record_id
from core.ssh.supervisor.session import NoShell, Session, SessionLost
from core.ssh.supervisor.stop import pids_of, stop_record
from core.ssh.supervisor.watch import Watch, hints, settled, verdict

FORGET_AT_ONCE = 24
SETTLE_S = 3.0
"""How long a claim may stand without a pid, or a dead process without a status, before it is believed."""

LOOKS = 10
"""Every so many looks at a command take the size of its files from the files themselves."""

SLOW_ANSWERS = 2.0
"""A server that takes long to answer, or is far away, is looked at so many times less often than it could be."""

LOSSES = 5
"""How many sessions in a row may end without an answer while their connection stands."""


class SupervisedCommands:
    """The commands of one connection. `folder` is the run's folder on the server, kept over connections."""

    def __init__(
        self,
        link: Link,
        settings: SshSettings,
        ledger: Ledger,
        plain: PlainCommands,
        *,
        run_id: str,
        folder: str,
        folders_over: FoldersOver | None,
    ) -> None:
        self.hello = Hello()
        self._link = link
        self._settings = settings
        self._ledger = ledger
        self._plain = plain
        self._run_id = run_id
        self._folder = folder
        self._folders_over = folders_over
        self._session: Session | None = None
        self._opening: asyncio.Task[Session] | None = None
        self._stops = 0
        self._gone_records: list[tuple[str, str]] = []
        self._sudo: dict[str, str] = {}
        self._why_plain = ""

    async def prepare(self) -> None:
        """Opens the session and makes the run's folder. Raises LinkGone.

        A server that can't supervise is noted, not refused: its commands run plainly.
        """
        try:
            session = await Session.begin(self._link, self._settings)
            self._session, self._link.spare = session, self._make_room
            if self._folder:
                session.leave_scope()
                await session.greet()
                why, ends_at_logout = "", ""
            else:
                # Asked before the greeting came: a new connection costs one round trip less for each.
                try:
                    logout = session.ask_survives_logout()
                    why = await self._make_folder(session)
                    ends_at_logout = await session.survives_logout(logout)
                except SessionLost:
                    await session.greet()  # where no greeting came, that is what is wrong
                    raise
                await session.greet()
        except ChannelRefused as error:
            self._be_plain(Hello(notes=(f"commands cannot be run: {error}",)), str(error))
            return
        except NoShell as error:
            why = f"no POSIX shell answers: {error}"
            self._be_plain(Hello(notes=(f"{why}; commands will fail",)), why)
            return
        except SessionLost as error:
            if self._link.gone:
                raise LinkGone(self._link.lost_why) from None
            why, ends_at_logout = str(error), ""
        if session.group == "-":
            why = "it has neither setsid, python3 nor perl to make a process group"
        if why:
            session.close("nothing is supervised here")
            self._folder = ""
            hello = Hello(session.boot_id, (f"commands run unsupervised: {why}",))
            self._be_plain(hello, f"unsupervised: {why}")
            return
        notes: tuple[str, ...] = ()
        if ends_at_logout:
            notes = (
                f"the login manager ends what a user leaves running ({ends_at_logout}: KillUserProcesses): "
                "a command does not survive its connection; `loginctl enable-linger` there lets it",
            )
        self.hello = Hello(session.boot_id, notes, self._folder)

    def _be_plain(self, hello: Hello, why: str) -> None:
        self.hello = self._plain.hello = hello
        self._why_plain = why

    async def _make_folder(self, session: Session) -> str:
        """Makes the run's folder; returns why not."""
        self._folder, why = await make_folder(session, self._settings, self._run_id, self._folders_over)
        return why

    @property
    def stale(self) -> bool:
        """Whether the run's folder went."""
        return not self._folder and bool(self.hello.folder)

    async def refresh(self) -> None:
        """Makes the run's folder anew where it went: attempts that were filed in the old one are not in it."""
        if not self.stale:
            return
        try:
            why = await self._make_folder(await self._open_session())
        except (LinkGone, ChannelRefused, NoShell, SessionLost) as error:
            why = str(error)
        notes = self.hello.notes
        if why:
            notes = (*notes, f"commands run unsupervised: {why}")
        self.hello = replace(self.hello, folder=self._folder, notes=notes)

    # ------------------------------------------------------------ the session

    async def _open_session(self) -> Session:
        """The open session, or a new one. Raises LinkGone, ChannelRefused, NoShell."""
        if self._session is not None and not self._session.gone:
            return self._session
        if self._opening is None or self._opening.done():
            self._opening = asyncio.ensure_future(Session.open(self._link, self._settings))
        session = await asyncio.shield(self._opening)
        if session is not self._session and not session.gone:
            self._session = session
            self._link.spare = self._make_room
            if self._folder:
                with contextlib.suppress(SessionLost):
                    session.leave_scope()
        return session

    def _make_room(self) -> bool:
        """Gives the session's channel up for another one; it is opened again when it is needed.

        Not while an answer is waited for: once it is there the session gives way to whoever waits. Not while
        a command is being stopped either: that is short, and must not be broken off again and again.
        """
        session = self._session
        if session is None or session.gone or session.asked or self._stops:
            return False
        self._session = self._link.spare = None
        session.close("it made room for another channel")
        return True

    def _give_way(self) -> None:
        """Gives the channel up where somebody waits for one and nothing is asked at the moment.

        Who waits is served in turn, and so is the session that comes back.
        """
        if self._link.wanted:
            self._make_room()

    # ------------------------------------------------------------ running

    def _plainly(self, command: Command, trace: Trace) -> bool:
        if not command.supervise or not self._folder:
            return True
        return not command.repeats and not trace.folder

    async def run(self, ref: AttemptRef, command: Command, sink: OutputSink, trace: Trace) -> Answer:
        """Hands a command over and follows it to its end; see the module for what is certain when."""
        if self._plainly(command, trace):
            return await self._plain.run(ref, command, sink, trace)
        running = self._ledger.setdefault(ref, Running(command.sudo))
        folder = self._folder if command.repeats else trace.folder
        record = passing_id(ref) if command.repeats else record_id(ref)
        running.record, running.trace = record, Trace(trace.boot_id or self.hello.boot_id, folder)
        try:
            line = shell.supervised_line(
                command.text, command.env, piped=command.sudo is not None, discard=command.discard
            )
            kind = b"-"
            if command.sudo is not None:
                kind = shell.become_words(self._settings.shell, command.sudo)
        except shell.NotExpressible as error:
            return Ended(2, why=str(error), evidence="it was not handed over")
        watch = Watch(ref, folder, record, sink, from_the_start())
        name = ("windlass", ref.server, ref.step, str(ref.attempt))
        for last in (*(False,) * (LOSSES - 1), True):
            try:
                session = await self._open_session()
                if command.sudo is not None and (refused := await self.sudo_refused(command.sudo)):
                    return Ended(1, why=refused, evidence="it was not handed over")
                if running.called_off:
                    return NotStarted("it was stopped by us before it was handed over")
                session.run(folder, record, line, kind, name)
                session.listen(record, watch.told)
                break
            except LinkGone as error:
                return NotStarted(
                    f"the connection to {self._link.resolved.name} was lost before: {error}", again=True
                )
            except (ChannelRefused, NoShell, SessionLost) as error:
                # A session that made room in between took nothing with it: nothing was sent.
                if last or self._link.gone or not isinstance(error, SessionLost):
                    return NotStarted(
                        f"the supervisor on {self._link.resolved.name} did not answer: {error}",
                        again=isinstance(error, SessionLost),
                    )
        running.handed_over = True
        running.reported.set()
        answer = await self._follow(watch, running, session, fresh=True)
        running.ended = not isinstance(answer, InDoubt)
        if command.repeats:
            self._forget_record(folder, record)
        return answer

    async def attach(
        self,
        ref: AttemptRef,
        command: Command,
        offsets: Mapping[Stream, int],
        sink: OutputSink,
        trace: Trace,
        found: Found | None,
    ) -> Answer:
        """Finds the record of a command and follows it from `offsets`."""
        if not trace.folder:
            return await self._plain.attach(ref, command, offsets, sink, trace, found)
        if not is_folder(trace.folder):
            return InDoubt("the stored folder has an odd name")
        record = record_id(ref)
        running = self._ledger.setdefault(ref, Running(command.sudo))
        running.record, running.trace, running.handed_over = record, trace, True
        running.reported.set()
        watch = Watch(ref, trace.folder, record, sink, {stream: offsets.get(stream, 0) for stream in Stream})
        answer = await self._follow(watch, running, None, fresh=False, found=found)
        running.ended = not isinstance(answer, InDoubt)
        return answer

    async def _follow(
        self,
        watch: Watch,
        running: Running,
        session: Session | None,
        *,
        fresh: bool,
        found: Found | None = None,
    ) -> Answer:
        """Follows a command to its end. `fresh` says that this process has just asked to start it."""
        settings, link, name = self._settings, self._link, self._link.resolved.name
        clock = asyncio.get_running_loop().time
        pause_s, waits, losses, looks = settings.look_first_s, fresh, 0, 0
        if session is not None:
            pause_s = max(pause_s, session.answer_s * SLOW_ANSWERS)
        odd_since: float | None = None
        told: int | None = None
        try:
            while True:
                notice = await watch.next(pause_s if waits else 0)
                if notice is not None and notice.kind == "D":
                    told = exit_status_of(notice.text(1))
                answer = settled(notice, watch, name) if notice is not None else None
                if answer is not None:
                    if isinstance(answer, NotStarted) and answer.again and watch.folder == self._folder:
                        self._folder = ""
                    return answer
                waits = True
                # Now and then the files are measured, for what was not printed by way of the watcher's own.
                looks += 1
                asked = hints(notice) if looks % LOOKS else ("?", "?")
                try:
                    session = await self._open_session()
                    session.listen(watch.record, watch.told)
                    state = await session.get(watch.folder, watch.record, watch.offsets, watch.deliver, asked)
                    losses = 0
                except (LinkGone, ChannelRefused, NoShell, SessionLost) as error:
                    losses += 1
                    if link.gone or losses >= LOSSES or not isinstance(error, SessionLost):
                        why = link.lost_why or str(error)
                        return InDoubt(
                            f"it was handed over to {name}, then the connection was lost: {why}", lost=True
                        )
                    continue
                self._give_way()
                await watch.make_room()
                printed, full = watch.take_printed()
                pause_s = settings.look_first_s if printed else min(pause_s * 1.3, settings.look_most_s)
                pause_s = max(pause_s, session.answer_s * SLOW_ANSWERS)
                if full or watch.stirred:
                    waits = False
                    continue
                if state.claim == "n":
                    return await self._void(session, watch, running.trace)
                if state.status is None and told is not None:
                    # Its watcher said so, and had no room to write it.
                    return Ended(told)
                proved = verdict(state, watch.folder, name)
                if proved is None:
                    odd_since = None
                    if found is not None:
                        found(state.elapsed_s)
                        found = None
                elif not state.unsettled:
                    return proved
                else:
                    odd_since = clock() if odd_since is None else odd_since
                    if clock() - odd_since > SETTLE_S:
                        return await self._look_for_rest(session, watch, proved)
        finally:
            if session is not None:
                session.unlisten(watch.record)

    async def _look_for_rest(self, session: Session, watch: Watch, proved: Answer) -> Answer:
        """Whether anything is left of a command whose process is gone without a status."""
        if not isinstance(proved, InDoubt):
            return proved
        try:
            left = await session.kill(watch.folder, watch.record, "-")
        except SessionLost:
            return proved
        if not left:
            return replace(proved, over=True)
        known = ", ".join(str(pid) for pid in pids_of(left)[:20])
        rest = f"; of its process group {known} are left" if known else ""
        return replace(proved, evidence=proved.evidence + rest)

    async def _void(self, session: Session, watch: Watch, trace: Trace) -> Answer:
        """Writes the claim of an attempt that has none."""
        name = self._link.resolved.name
        if not trace.boot_id or not session.boot_id:
            return InDoubt(f"{name} does not tell its boot id, so a missing claim proves nothing")
        if trace.boot_id != session.boot_id:
            return InDoubt(f"{name} was rebooted since the intent, so a missing claim proves nothing")
        try:
            said = await session.void(watch.folder, watch.record)
        except SessionLost as error:
            return InDoubt(f"the attempt could not be voided on {name}: {error}", lost=True)
        if said == "void":
            return NotStarted(f"it never started on {name}, and never will: its claim was written by us")
        return InDoubt(f"the attempt on {name} could not be voided: {said}", lost=said == "claimed")

    async def sudo_refused(self, user: str) -> str:
        """Why sudo does not run a shell as `user`; asked once for each connection."""
        if user not in self._sudo:
            try:
                session = await self._open_session()
                said = await session.may_sudo(shell.kill_words(user))
            except (LinkGone, ChannelRefused, NoShell, SessionLost):
                return ""
            self._sudo[user] = said and f"sudo refuses to run a shell as {user}: {said}"
        return self._sudo[user]

    # ------------------------------------------------------------ the other verbs

    async def void(self, ref: AttemptRef, trace: Trace) -> NotStarted | InDoubt:
        """Makes sure that a command that never started never will."""
        running = self._ledger.get(ref)
        if running is not None and not running.handed_over:
            return NotStarted("it was never handed over")
        if not trace.folder:
            return await self._plain.void(ref, trace)
        watch = Watch(ref, trace.folder, record_id(ref), _ignore, from_the_start())
        try:
            session = await self._open_session()
            answer = await self._void(session, watch, trace)
            self._give_way()
        except (LinkGone, ChannelRefused, NoShell) as error:
            return InDoubt(f"it could not be voided: {error}", lost=True)
        return answer if isinstance(answer, NotStarted | InDoubt) else InDoubt("it was claimed")

    async def stop(self, ref: AttemptRef, grace_s: float) -> StopAnswer:
        """Ends the command's process group, and what it left in it."""
        running = self._ledger.get(ref)
        if running is None or not running.record:
            return await self._plain.stop(ref, grace_s)
        if not running.handed_over:
            running.called_off = True
            return Stopped("it was never handed over")
        record = (running.trace.folder, running.record)
        why = ""
        self._stops += 1
        try:
            for _ in range(LOSSES):
                try:
                    session = await self._open_session()
                    return await stop_record(session, self._settings, record, running.sudo, grace_s)
                except SessionLost as error:
                    why = str(error)  # to stop twice does no harm
                    if self._link.gone:
                        break
        except (LinkGone, ChannelRefused, NoShell) as error:
            why = str(error)
        finally:
            self._stops -= 1
            self._give_way()
        return StopUnconfirmed(f"the stop could not be confirmed: {why}")

    async def forget(self, ref: AttemptRef) -> None:
        """Removes what the command left, but for its claim; many at a time."""
        running = self._ledger.pop(ref, None)
        if running is not None and running.record and running.trace != NO_TRACE:
            self._forget_record(running.trace.folder, running.record)

    def _forget_record(self, folder: str, record: str) -> None:
        self._gone_records.append((folder, record))
        if len(self._gone_records) >= FORGET_AT_ONCE:
            self._flush_forgotten()

    def _flush_forgotten(self) -> None:
        records, self._gone_records = self._gone_records, []
        if records and self._session is not None and not self._session.gone:
            try:
                self._session.forget(records)
            except SessionLost:
                self._gone_records = records

    async def close(self, over: bool) -> None:
        """Ends the session; where the run is over, its folder goes."""
        await self._plain.close(over)
        session = self._session
        try:
            if over and self._folder and not self._link.gone:
                # Waited for: sshd drops what it has not yet passed on when a connection ends.
                session = await self._open_session()
                await session.leave(self._folder)
            else:
                self._flush_forgotten()
        except (LinkGone, ChannelRefused, NoShell, SessionLost):
            pass  # swept by a later session
        if session is not None:
            session.close()


def _ignore(stream: Stream, start: int, data: bytes) -> None:
    """Output that nobody wants."""
