"""The shell text that runs a command on a server, and the reading of what it reports in-band.

Purpose: a command reaches any login shell through one constant line; everything else (the command, its
environment) follows on standard input, so that nothing of it stands in a process list.

    exec'd line    exec /bin/sh -c 'IFS= read -r wl_s && eval "$wl_s"'      any login shell, csh too
    line 1         sees to a process group of its own; may say hello; reads the next line as bytes
    line 2         with sudo only: exec sudo … /bin/sh -c '…', which reads the rest
    line 3         the environment and the command in quotes; prints a marker on both streams, closes its
                   standard input and evaluates the command

Invariants: each line is evaluated only when it arrived whole (`read` fails without its newline), so a
connection that breaks off starts nothing; the marker is printed after the whole command was read and right
before it is evaluated, so an exit without a marker proves that the command never ran; a process group is
told only where it is the command's own. Right under dash, bash and busybox ash; no bytes but NUL are
changed, as the last lines are read in the C locale. The server's shell reads its input byte by byte,
so the text is kept short; it starts no process of its own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

MAX_COMMAND_BYTES = 4 * 1024 * 1024
MAX_NOISE_BYTES = 64 * 1024

_BOOT = 'IFS= read -r wl_s && eval "$wl_s"'
_PREFIX = "WL"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_USER = re.compile(r"#[0-9]+|[A-Za-z0-9_.][A-Za-z0-9_.@+\\ $-]*")

_LAST_BOOT = f"wl_c=${{LC_ALL-}};LC_ALL=C;{_BOOT}"
_OWN_LOCALE = 'if [ -n "$wl_c" ];then LC_ALL=$wl_c;else unset LC_ALL;fi;'
_EVALUATE = 'set --;unset wl_s wl_g wl_n wl_c;eval "unset wl_t;$wl_t"'


class NotExpressible(ValueError):
    """The command cannot be handed to a shell as it is; the text says why."""


def exec_line(shell: str) -> str:
    """The constant command line."""
    return f"exec {shell} -c '{_BOOT}'"


def new_marker() -> str:
    """A random word that tells our lines from whatever else a server prints."""
    return secrets.token_hex(8)


def marker_bytes(marker: str) -> bytes:
    """The marker as it appears in the output."""
    return f"{_PREFIX}{marker}".encode()


def opening_line(shell: str, marker: str, *, hello: bool = False) -> bytes:
    """Line 1. With `hello` it first prints the marker and the server's boot id on stdout.

    It leaves the command's process group in $1 and the start time of its leader in $2; 0 where the shell
    neither leads a group nor can get one by setsid: such a group is somebody else's.
    """
    said = (
        "wl_b=;{ IFS= read -r wl_b </proc/sys/kernel/random/boot_id; } 2>/dev/null;"
        '[ -n "$wl_b" ]||wl_b=$(sysctl -n kern.boottime 2>/dev/null);'
        f"printf '%s%s %s\\n' {_PREFIX} {marker} \"$wl_b\";unset wl_b;"
    )
    # Field 3 after the name is the process group, 20 the start time (proc(5)).
    own_group = (
        "wl_g=;{ IFS= read -r wl_g </proc/$$/stat; } 2>/dev/null;set -- ${wl_g##*) };"
        'set -- 0 "${20-}" "${3-}";[ -n "$3" ]||set -- 0 "" $(ps -o pgid= -p $$ 2>/dev/null);'
        'if [ "${3-}" = $$ ];then set -- $$ "$2";'
        'elif [ -n "${3-}" ]&&command -v setsid >/dev/null 2>&1;'
        f"then exec setsid {shell} -c '{_LAST_BOOT}' {shell.split()[0]} $$ \"$2\";fi;"
    )
    return f"{said if hello else ''}{own_group}{_LAST_BOOT}\n".encode()


def sudo_line(shell: str, user: str) -> bytes:
    """Line 2. Raises NotExpressible for a name that no user can have."""
    inner = f'{shell} -c \'{_LAST_BOOT}\' {shell.split()[0]} "$1" "$2"'
    return f"{_OWN_LOCALE}exec sudo -n -u {_user(user)} -- {inner}\n".encode()


def command_line(text: str, env: Mapping[str, str], marker: str) -> bytes:
    """Line 3: exports `env` and evaluates `text`. Raises NotExpressible."""
    start = (
        f"{_OWN_LOCALE}"
        # In two words, so that a shell that shows its input does not print the whole marker.
        f"printf '%s%s\\n' {_PREFIX} {marker}&&"
        f'printf \'%s%s %s %s %s\\n\' {_PREFIX} {marker} $$ "$1" "$2" >&2||exit 125;'
        f"exec </dev/null;{_EVALUATE}\n"
    )
    return _line(text, env, start)


def supervised_line(text: str, env: Mapping[str, str], *, piped: bool, discard: bool) -> bytes:
    """What the leader of a supervised command evaluates, without a newline. Raises NotExpressible.

    `piped` says that it comes in on the command's standard input, which is then closed.
    """
    start = _OWN_LOCALE
    if piped:
        start += "exec </dev/null;"
    if discard:
        start += "exec >/dev/null 2>&1;"
    return _line(text, env, start + _EVALUATE)


def become_words(shell: str, user: str) -> bytes:
    """How the leader of a supervised command becomes another user. Raises NotExpressible."""
    inner = f"{shell} -c '{_LAST_BOOT}' {shell.split()[0]}"
    return f"{_OWN_LOCALE}exec sudo -n -u {_user(user)} -- {inner}".encode()


def kill_words(user: str) -> str:
    """The words by which another user's processes are signalled. Raises NotExpressible."""
    return f"sudo -n -u {_user(user)} --"


def _user(user: str) -> str:
    if not _USER.fullmatch(user):
        raise NotExpressible(f"{user!r} is no user name")
    return quote_text(user)


def _line(text: str, env: Mapping[str, str], start: str) -> bytes:
    body = text.encode("utf-8", "surrogateescape")
    if b"\0" in body:
        raise NotExpressible("the command contains a NUL character, which no shell can take")
    parts = []
    for name, value in env.items():
        if not _NAME.fullmatch(name):
            raise NotExpressible(f"{name!r} is no name of an environment variable")
        raw = value.encode("utf-8", "surrogateescape")
        if b"\0" in raw:
            raise NotExpressible(f"the environment variable {name} contains a NUL character")
        # The locale is put back at the end, when everything was read as bytes.
        assignment = b"export LC_ALL;wl_c=" if name == "LC_ALL" else f"export {name}=".encode()
        parts.append(assignment + _quote(raw) + b";")
    parts.append(b"wl_t=" + _quote(body) + b";")
    if any(b'"$wl_n"' in part for part in parts):
        parts.insert(0, b'wl_n=${IFS#??};wl_n=${wl_n%"${wl_n#?}"};')
    parts.append(start.encode())
    line = b"".join(parts)
    if len(line) > MAX_COMMAND_BYTES:
        raise NotExpressible(
            f"the command has {len(line)} bytes with its environment, {MAX_COMMAND_BYTES} are the most"
        )
    return line


def _quote(data: bytes) -> bytes:
    """A word of the shell; a newline comes out of a variable, as the whole program is one line."""
    return b"'" + data.replace(b"'", b"'\\''").replace(b"\n", b"'\"$wl_n\"'") + b"'"


def quote_text(text: str) -> str:
    """A word of the shell."""
    return "'" + text.replace("'", "'\\''") + "'"


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class Started:
    """What the command's shell reported: its pid, its process group, when the group's leader started.

    0 and "" stand for unknown; the group is told only where it is the command's own. The start is in the
    server's clock ticks, as text.
    """

    pid: int
    group: int
    leader_start: str


def parse_started(line: bytes) -> Started:
    """The report on stderr, without the marker. Hostile or odd values count as unknown."""
    words = line.decode("ascii", "replace").split()
    numbers = [int(word) if re.fullmatch(r"[0-9]{1,9}", word) else 0 for word in (*words[:2], "", "")[:2]]
    start = words[2] if len(words) > 2 and re.fullmatch(r"[0-9]{1,20}", words[2]) else ""
    return Started(numbers[0], numbers[1], start)


def parse_boot_id(line: bytes) -> str:
    """The boot id of a hello, "" where it makes no sense."""
    text = line.decode("ascii", "replace").strip()
    return text if re.fullmatch(r"[0-9A-Za-z{}=,: _-]{1,100}", text) else ""


class MarkedStream:
    """A stream in which our line comes first: what stands before it is noise of start-up files.

    `feed` returns what belongs to the command. Noise is bounded; its end is kept in `noise`. A stream
    that waited for another marker before hands its noise on.
    """

    def __init__(self, marker: str, noise: bytes = b"") -> None:
        self._wanted = marker_bytes(marker)
        self._before: bytearray | None = bytearray(noise)
        self.noise = noise
        self.line: bytes | None = None

    def feed(self, data: bytes) -> bytes:
        """The command's own bytes in `data`."""
        if self._before is None:
            return data
        self._before += data
        at = self._before.find(self._wanted)
        end = self._before.find(b"\n", at) if at >= 0 else -1
        if end < 0:
            if at < 0:
                del self._before[:-MAX_NOISE_BYTES]
            self.noise = bytes(self._before)
            return b""
        self.noise = bytes(self._before[:at])
        self.line = bytes(self._before[at + len(self._wanted) : end])
        rest = bytes(self._before[end + 1 :])
        self._before = None
        return rest
