"""Ends the process group of a command: TERM, then KILL after a grace time, and looks whether it is gone.

Gone is read from the server's process table, never from kill's own status: no member of the group that is
not a zombie, whoever owns it. A small loop of the shell's own builtins answers one line for each question,
so that no process is started for a look. The group's leader counts only with its start time: a number that
was given anew is left alone. Processes that the command put into another session are out of reach.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.display import last_line
from core.engine.executor import StopAnswer, Stopped, StopUnconfirmed, Unreachable
from core.ssh import shell
from core.ssh.commands import Running
from core.ssh.link import Channel, ChannelRefused, Link, LinkGone
from core.ssh.settings import SshSettings

MAX_PIDS = 50
_FIRST_POLL_S = 0.02
_ANSWER_WAIT_S = 15.0
_CHANNEL_WAIT_S = 1.0

# $wl_g is the group, $wl_h the start of its leader ("" where unknown); "?" is answered where neither
# /proc nor ps can tell.
_LOOK = (
    # Whether the group is still the one that was started: a leader of another start is somebody else's.
    "wl_ours(){ wl_l=;{ IFS= read -r wl_l </proc/$wl_g/stat; } 2>/dev/null;set -- ${wl_l##*) };"
    '[ -z "$wl_h" ]||[ -z "${20-}" ]||[ "${20-}" = "$wl_h" ]; };'
    "wl_a(){ wl_o=;wl_ours||return;if [ -r /proc/self/stat ];then "
    "for wl_f in /proc/[0-9]*/stat;do wl_l=;{ IFS= read -r wl_l <$wl_f; } 2>/dev/null;"
    # A name with a newline in it hides the rest of the line.
    'case $wl_l in ""|*") "*);;*)wl_l=$(cat $wl_f 2>/dev/null);;esac;'
    'set -- ${wl_l##*) };[ "${3-}" = "$wl_g" ]||continue;'
    'case $1 in Z|X|x)continue;;esac;wl_f=${wl_f#/proc/};wl_o="$wl_o ${wl_f%/stat}";done;'
    "else wl_l=$(ps -eo pid=,pgid=,stat= 2>/dev/null)||{ wl_o=' ?';return; };"
    'set -- $wl_l;while [ $# -ge 3 ];do if [ "$2" = "$wl_g" ];then '
    'case $3 in Z*|X*);;*)wl_o="$wl_o $1";;esac;fi;shift 3;done;fi; };'
)


class NoAnswer(Exception):
    """The server did not answer about the group; the text says why."""


@dataclass(slots=True)
class _Asking:
    """The near end of the loop on the server."""

    channel: Channel
    answers: asyncio.Queue[bytes]
    noise: bytearray

    async def ask(self, question: bytes) -> tuple[int, ...]:
        """Sends T (TERM), K (KILL) or Q (look only); the pids that are left. Raises NoAnswer."""
        try:
            self.channel.write(question + b"\n")
            async with asyncio.timeout(_ANSWER_WAIT_S):
                answer = await self.answers.get()
        except TimeoutError:
            raise NoAnswer(f"no answer within {_ANSWER_WAIT_S:g} s") from None
        except LinkGone as error:
            raise NoAnswer(str(error)) from None
        if not re.fullmatch(rb"( [0-9]{1,9})*", answer):
            said = last_line(bytes(self.noise), max_chars=200)
            raise NoAnswer(said or "the server's process table cannot be read")
        return tuple(int(pid) for pid in answer.split()[:MAX_PIDS])


async def stop_group(
    link: Link,
    another: Callable[[], Awaitable[Link]],
    settings: SshSettings,
    running: Running | None,
    grace_s: float,
) -> StopAnswer:
    """Ends the group of `running`; never raises. `another` makes a connection where `link` has no room."""
    if running is None:
        return StopUnconfirmed(
            "this process did not start it, and the server keeps no record of its processes"
        )
    if not running.handed_over:
        running.called_off = True
        return Stopped("it was never handed over")
    if not running.reported.is_set() and not running.ended:
        try:
            async with asyncio.timeout(grace_s):
                await running.reported.wait()
        except TimeoutError:
            return StopUnconfirmed("the server did not tell its process group")
    started = running.started
    if started is None:
        return Stopped("it never ran") if running.ended else StopUnconfirmed("its process group is not known")
    if started.group <= 1:
        return StopUnconfirmed(
            "the server has no setsid, so the command has no process group of its own", (started.pid,)
        )
    extra: Link | None = None
    try:
        try:
            asking = await _begin(link, settings, running)
        except (ChannelRefused, LinkGone):
            extra = await another()
            asking = await _begin(extra, settings, running)
        try:
            return await _end(asking, settings, started.group, grace_s)
        finally:
            asking.channel.close()
    except Unreachable as error:
        return StopUnconfirmed(f"the stop could not be sent: {error.why}", (started.pid,))
    except (NoAnswer, ChannelRefused, LinkGone) as error:
        return StopUnconfirmed(f"the stop could not be confirmed: {error}", (started.pid,))
    finally:
        if extra is not None:
            await extra.close()


async def _end(asking: _Asking, settings: SshSettings, group: int, grace_s: float) -> StopAnswer:
    if not await asking.ask(b"T") or not (left := await _until_gone(asking, settings, grace_s)):
        return Stopped(f"process group {group} ended after TERM")
    if not await asking.ask(b"K") or not (left := await _until_gone(asking, settings, settings.kill_wait_s)):
        return Stopped(f"process group {group} ended after KILL")
    return StopUnconfirmed(f"process group {group} is still there after KILL", left)


async def _until_gone(asking: _Asking, settings: SshSettings, wait_s: float) -> tuple[int, ...]:
    """The pids that are left when the group is gone or the time is up."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + wait_s
    pause_s = _FIRST_POLL_S
    while left := await asking.ask(b"Q"):
        if loop.time() >= ends_at:
            return left
        await asyncio.sleep(min(pause_s, max(0.0, ends_at - loop.time())))
        pause_s = min(pause_s * 2, settings.stop_poll_s)
    return ()


async def _begin(link: Link, settings: SshSettings, running: Running) -> _Asking:
    """Starts the loop on the server, as the user who owns the command. Raises ChannelRefused, LinkGone."""
    started = running.started
    if started is None:
        raise NoAnswer("its process group is not known")
    marker = shell.new_marker()
    prefix = shell.marker_bytes(marker)
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    noise, partial = bytearray(), bytearray()

    def receive(is_stderr: bool, data: bytes) -> None:
        if is_stderr:
            noise.extend(data)
            del noise[: -shell.MAX_NOISE_BYTES]
            return
        partial.extend(data)
        *lines, rest = bytes(partial).split(b"\n")
        partial[:] = rest[-shell.MAX_NOISE_BYTES :]
        for line in lines:
            if line.startswith(prefix):
                answers.put_nowait(line[len(prefix) :])

    channel = await link.execute(shell.exec_line(settings.shell), receive, wait_s=_CHANNEL_WAIT_S)
    loop = (
        f"wl_g={started.group};wl_h={started.leader_start};{_LOOK}"
        "while IFS= read -r wl_q;do "
        "{ case $wl_q in T)wl_ours&&kill -TERM -$wl_g;;K)wl_ours&&kill -KILL -$wl_g;;esac; } 2>/dev/null;"
        f"wl_a;printf '%s%s%s\\n' {prefix[:2].decode()} {marker} \"$wl_o\";done\n"
    )
    lines = [loop.encode()]
    if running.sudo is not None:
        lines.insert(0, shell.sudo_line(settings.shell, running.sudo))
    lines.insert(0, shell.opening_line(settings.shell, marker))
    channel.write(b"".join(lines))
    ended = asyncio.ensure_future(channel.session.closed.wait())
    # A loop that ends (sudo refused, the connection went) answers every question with nothing readable.
    ended.add_done_callback(lambda done: None if done.cancelled() else answers.put_nowait(b"?"))
    return _Asking(channel, answers, noise)
