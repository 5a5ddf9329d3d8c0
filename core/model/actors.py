"""Who did something, as events and the audit log have it: one line that tells what is certain from what is said.

`root@bastion (pts/3; pid 4711; says sudo by alice, ssh from 10.0.0.5)`, `token ci`, `engine`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

ENGINE = "engine"
"""What is done by no person."""

ACTOR_CHARS = 300
HEADER_CHARS = 4 * ACTOR_CHARS
SAYS = "says "
PID = "pid "
_ODD = re.compile(r"[^\w.@:+/,;=()\[\]%$\\ -]")


@dataclass(frozen=True, slots=True)
class Actor:
    """`name` is user@host, or a token; `terminal` where it sits ("" none), `pid` its process (0 unknown).

    `says` is what it claims of itself beyond that, and nobody checked.
    """

    name: str
    terminal: str = ""
    pid: int = 0
    says: str = ""

    @classmethod
    def parse(cls, text: str) -> Actor:
        """The actor of a line, of any version and whoever wrote it; what does not fit is part of what it says."""
        name, _, rest = text.partition(" (")
        terminal, pid, says = "", 0, []
        for part in rest.removesuffix(")").split("; ") if rest else ():
            if part.startswith(PID) and part.removeprefix(PID).isdecimal():
                pid = int(part.removeprefix(PID)[:10])
            elif part.startswith(SAYS) or terminal or pid:
                says.append(part.removeprefix(SAYS))
            else:
                terminal = part
        return cls(name, terminal, pid, ", ".join(says))

    @property
    def place(self) -> str:
        """Who, and where: the same for each command of one terminal."""
        return f"{self.name} ({self.terminal})" if self.terminal else self.name

    def __str__(self) -> str:
        parts = [
            self.terminal,
            f"{PID}{self.pid}" if self.pid else "",
            f"{SAYS}{self.says}" if self.says else "",
        ]
        told = "; ".join(filter(None, parts))
        return f"{self.name} ({told})" if told else self.name


def place(actor: str) -> str:
    """`Actor.place` of a line: how an actor is shown where there is little room, and told from others."""
    return Actor.parse(actor).place


def nameless(uid: int) -> str:
    """What an account is called that has no name."""
    return f"uid{uid}"


def to_header(actor: str) -> str:
    """A line as a header may hold it: in ASCII, to be read by `from_header`."""
    return quote(actor, safe=" @()/.:,;+-")


def from_header(value: str) -> str:
    """The line of a header, whoever sent it; characters that could be taken for anything else are gone."""
    return harmless(unquote(value[:HEADER_CHARS]), ACTOR_CHARS)


def harmless(text: str, at_most: int) -> str:
    """What somebody says of itself, in characters that cannot be taken for anything else, of bounded length."""
    return " ".join(_ODD.sub("?", text[: at_most * 2]).split())[:at_most]
