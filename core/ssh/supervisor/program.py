"""The supervisor: the shell program that one session of each connection runs on a server.

It starts commands that outlive the session, keeps their records in a private folder, and answers short
requests. Nothing is installed. Right under dash, bash and busybox ash; where `/proc` is missing it asks
`ps`. The program itself is program.sh beside this module.

Requests are calls of the functions below, a line each on standard input; the session never waits for
anything but the next line. Answers go to standard output, in order, from the main loop only:

    B boot up pid group shared     the greeting; `group` names how process groups are made, "-" for none
    F path / F - why               the run's folder was made, or not; then N name for each folder of others
    X id why                       a command was certainly not started: gone, claimed, full
    O id stream start length       that many bytes of output, then the marker on a line of its own
    G id claim status alive pid up now     what the record says; "-" stands for what is not known
    V id void|claimed|gone
    K id pids…                     what is left of a process group after a signal, "?" where it can't be told
    S status words…                how a question of yes or no went
    C                              a clean-up was done

The end of a command is one line on standard error, written by the command's own watcher:

    D id status stdout-bytes stderr-bytes     ended; what it printed is still to be fetched
    D id status = lines                       ended; it printed exactly this on stdout, ^ for each newline
    D id status 0                             ended; it printed nothing
    N id why                                  certainly never ran: its record could not be written

Records: ID.c the claim ("v" for a void), ID.p pid, watcher, start time, uptime and boot id, ID.o and ID.e
the output, ID.s the exit status, ID.o.k how much was cut from the front of the output when it passed its
bound. A record without its final newline counts as not written.

Forks are what a server pays for, so builtins do what they can: a claim, the greeting, a short output.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from core.ssh.shell import quote_text

CHUNK_BYTES = 1024 * 1024
"""How much of a stream is handed over in one answer."""

SMALL_BYTES = 4096
"""Output up to here is read by the shell itself, which takes no process but reads byte by byte."""

ARGUMENT_BYTES = 100 * 1024
"""What fits into one variable of a process's environment, with room to spare (Linux takes 128 KiB)."""

_OPEN = re.compile(r"(\{|\(|\bdo|\bthen|\belse|\bin|;;|\|\||&&|&|\|)$")


def core_lines(shell: str, marker: str, bound_bytes: int) -> list[str]:
    """The lines that start a session: the greeting, then what every command needs."""
    if not re.fullmatch(r"[0-9A-Za-z]+", marker):
        raise ValueError("a marker is letters and digits")
    # The marker is put together on the server, so that a shell that shows its input does not print it.
    first = f"wl_m=WL; wl_m=${{wl_m}}{marker}; wl_h={quote_text(shell)}; {_parts()['greeting']}"
    loop = 'while IFS= read -r wl_s; do eval "$wl_s"; done; wl_bye'
    return [
        f"{first}; {loop}",
        f"wl_w={quote_text(_parts()['leader'])}",
        _parts()["run"],
        _parts()["guard"].replace("@BOUND@", str(bound_bytes)),
    ]


def part(name: str) -> str:
    """The line that defines a part that is needed only now and then."""
    return _parts()[name]


@cache
def _parts() -> dict[str, str]:
    """Every part as one line."""
    text = Path(__file__).with_name("program.sh").read_text("utf-8")
    for name, number in (("SMALL", SMALL_BYTES), ("CHUNK", CHUNK_BYTES), ("ARGUMENT", ARGUMENT_BYTES)):
        text = text.replace(f"@{name}@", str(number))
    _, *sections = re.split(r"^#: ([a-z]+)$", text, flags=re.MULTILINE)
    return {name: one_line(body) for name, body in zip(sections[::2], sections[1::2], strict=True)}


def one_line(text: str) -> str:
    """A piece of program as one line, without its comments."""
    lines = [line.strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith("#")]
    return "".join(line + (" " if _OPEN.search(line) else "; ") for line in told).rstrip("; ")
