"""How a batch refers to a secret: by its name in the workspace, or by where else its value is.

db/password    env:NAME    file:PATH    command:WORDS
"""

from __future__ import annotations

import re
import shlex

from core.model.names import refuse_secret_name

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def refuse_reference(reference: str) -> str:
    """Why a text can refer to no secret, whatever there is; "" when it can."""
    kind, rest = parts_of(reference)
    match kind:
        case "":
            return refuse_secret_name(rest)
        case "env":
            return "" if _VARIABLE.fullmatch(rest) else f"{rest[:80]!r} is no name of an environment variable"
        case "file":
            return "" if rest and rest.isprintable() else "`file:` needs the path of a file"
        case "command":
            return "" if command_words(rest) else "`command:` needs a command, its quotes closed"
    return f"there is no source {kind[:40]!r}: a secret's name, env:NAME, file:PATH or command:WORDS"


def parts_of(reference: str) -> tuple[str, str]:
    """The kind ("" for a secret of the workspace) and what follows it."""
    kind, colon, rest = reference.partition(":")
    return (kind, rest) if kind and colon else ("", reference)


def command_words(text: str) -> list[str]:
    """The words of a command; none where a quote is not closed or a word cannot be one."""
    try:
        return shlex.split(text) if "\0" not in text else []
    except ValueError:
        return []
