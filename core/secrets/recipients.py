"""Who can open the secrets of a workspace: `secrets/recipients`, one public key a line, as age reads it.

A recipient is an age key (`age1…`) or an SSH public key (`ssh-ed25519 …`, `ssh-rsa …`); empty lines and lines that
begin with `#` are passed over. The file also serves `age --recipients-file`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import pyrage

from core.errors import Fault, InputError

FILE = "recipients"
HEAD = "# Who can open the secrets of this workspace: age or SSH public keys, one a line.\n"
MAX_BYTES = 256 * 1024

Recipient: TypeAlias = Any
"""A recipient of pyrage's, which has no types: `x25519.Recipient` or `ssh.Recipient`."""


def parse_recipient(text: str) -> Recipient:
    """One recipient. Raises ValueError with the reason."""
    if not text.isprintable():
        raise ValueError("it has control characters or line breaks in it")
    if text.startswith("ssh-"):
        try:
            return pyrage.ssh.Recipient.from_str(text)
        except pyrage.RecipientError:
            raise ValueError("it is no SSH public key that age takes (ssh-ed25519 or ssh-rsa)") from None
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise ValueError("it is a private key; the public key begins with age1")
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise ValueError("it is neither an age recipient (age1…) nor an SSH public key") from None


def key_of(line: str) -> str:
    """What tells recipients apart: the key without an SSH key's comment."""
    return " ".join(line.split()[:2]) if line.startswith("ssh-") else line.strip()


def lines_of(text: str) -> list[tuple[int, str]]:
    """The lines that name a recipient, with their numbers from 1."""
    found = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in found if line and not line.startswith("#")]


def parse_recipients(text: str, file: str) -> Sequence[Recipient]:
    """Every recipient of a file. Raises InputError with every fault, and where it names nobody."""
    found: list[Recipient] = []
    faults: list[Fault] = []
    for number, line in lines_of(text):
        try:
            found.append(parse_recipient(line))
        except ValueError as error:
            faults.append(Fault(file, number, 1, str(error)))
    if faults:
        raise InputError("the recipients of the secrets cannot be read", faults=faults)
    if not found:
        raise InputError(
            f"{file} names nobody: a secret would be lost", hint="`windlass secrets init` names you"
        )
    return found
