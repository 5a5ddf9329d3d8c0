"""Recognises a command that asked somebody something, and says what to do instead.

Commands have no standard input and no terminal: a password prompt, a pager or a question finds nobody. Most
programs then fail with a line that only makes sense to who sat at a keyboard; some wait until their time is
up. What they printed last tells which. A hint is advice beside an exit status, never evidence of anything.

`hint_for` is pure. It looks at the end of the output only, so that a log that merely mentions a prompt some
lines earlier is not taken for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.display import display_lines

TAIL_BYTES = 1024
"""How much of the end of each stream is worth keeping for `hint_for`."""

LINES = 5
"""How many lines before the end a program may still complain in."""

_SUDO = "it has no terminal to type one: allow it in sudoers with NOPASSWD, or let the step use `sudo`"
_TERMINAL = "it wants a terminal, and commands have none: use its option for scripts"
_PAGER = "a pager waited for a key: set PAGER=cat (GIT_PAGER, SYSTEMD_PAGER) or use --no-pager"
_HOST_KEY = "an ssh inside the command met an unknown host key: put it into known_hosts there beforehand"
_PASSWORD = "it asked for a password, and commands have no input: give it a key, a token or a file"
_PASSPHRASE = "a key wants its passphrase, and commands have no input: use a key without one, or an agent"
_GIT = "git asked for a user name or password: use an SSH key or a credential helper on the server"
_PACKAGES = "it asked whether to go on: use -y (for apt DEBIAN_FRONTEND=noninteractive too)"
_TERRAFORM = "it asked for an approval: use -auto-approve or -input=false"
_QUESTION = "it asked a question, and commands have no input: use its option that answers it"


@dataclass(frozen=True, slots=True)
class _Rule:
    """`asks` matches the last line as it was left, `complains` any of the last lines."""

    hint: str
    asks: str = ""
    complains: str = ""


_RULES = (
    _Rule(
        f"sudo asked for a password; {_SUDO}",
        asks=r"\[sudo[^\]]*\].*:$|^\[sudo\]|^sudo password.*:$",
        complains=r"^sudo: .*(a password is required|a terminal is required|no tty present|must have a tty)",
    ),
    _Rule(
        _HOST_KEY,
        asks=r"continue connecting \(yes/no",
        complains=r"continue connecting \(yes/no|^Host key verification failed\.?$",
    ),
    _Rule(_GIT, complains=r"could not read (Username|Password) for|terminal prompts disabled"),
    _Rule(_PASSPHRASE, asks=r"^Enter passphrase for .*:$|^Enter PEM pass phrase:$"),
    _Rule(_PAGER, asks=r"--More--(\s*\(\d+%\))?$|^\(END\)$|^lines \d+-\d+(/\d+)?( \(END\)| \d+%)?$|^:$"),
    _Rule(_PAGER, complains=r"^WARNING: terminal is not fully functional$|Press RETURN to continue"),
    _Rule(
        _PACKAGES,
        asks=r"(Do you want to continue\?|Is this ok|Proceed).*\[?[yYdDnN/\[\]()]+\]?:?\??$",
        complains=r"^(Do you want to continue\?|Is this ok) [\[(].*Abort",
    ),
    _Rule(_TERRAFORM, asks=r"^Enter a value:$"),
    _Rule(
        _PASSWORD,
        asks=r"^(Enter |New |Current |Retype |\S+'s )?([Uu][Nn][Ii][Xx] )?[Pp]ass(word|code|phrase)( for [^:]{1,80})?:$"
        r"|^(Please )?[Ee]nter [^:]{0,40}[Pp]assword[^:]{0,40}:$|^Verification code:$",
        complains=r"^su: (must be run from a terminal|Authentication token manipulation error)",
    ),
    _Rule(
        _TERMINAL,
        complains=r"(the input device is not a TTY|[Ss]tandard (in|input) (must be|is not) a tty"
        r"|stdin is not a (tty|terminal)|must be run from a terminal|not running in a terminal"
        r"|Inappropriate ioctl for device$|open /dev/tty: )",
    ),
    _Rule(_QUESTION, asks=r"[\[(] ?(y/n|Y/n|y/N|yes/no|Y/N|yes/No|y/n/q) ?[\])] ?[:?]?$"),
)

_ASKS = tuple((re.compile(rule.asks), rule.hint) for rule in _RULES if rule.asks)
_COMPLAINS = tuple((re.compile(rule.complains), rule.hint) for rule in _RULES if rule.complains)
_MARKUP = re.compile(r"\^\[(\[[0-9;?]*[A-Za-z]|[=>])")
"""Control sequences as the display form shows them."""


def hint_for(stderr_tail: bytes, stdout_tail: bytes, exit_status: int | None) -> str:
    """What to do instead, as one sentence; "" where nothing points to a prompt.

    The tails are the ends of both streams, cleaned or not. `exit_status` is None where the command was
    stopped, by a timeout for one. A command that went well asked nothing that mattered.
    """
    if exit_status == 0:
        return ""
    ends = [_last_lines(tail) for tail in (stderr_tail, stdout_tail)]
    for lines in ends:
        for pattern, hint in _ASKS:
            if lines and pattern.search(lines[-1]):
                return hint
    for lines in ends:
        for pattern, hint in _COMPLAINS:
            if any(pattern.search(line) for line in lines):
                return hint
    return ""


def _last_lines(tail: bytes) -> list[str]:
    """The last lines that are not blank, without colours and progress marks."""
    lines = (_MARKUP.sub("", line).lstrip("↵").strip() for line in display_lines(tail[-TAIL_BYTES:]))
    return [line for line in lines if line][-LINES:]
