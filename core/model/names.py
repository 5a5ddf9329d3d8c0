"""Which names servers, groups, labels, batches and workspaces may have; one rule for all.

Names travel into shell words, file names, selectors and screens: plain ASCII, no look-alikes. Every
function returns why a text is refused, as a sentence for a person, or "" when it is fine.
"""

from __future__ import annotations

import re
import unicodedata

from core.model.ids import ENGINE_SERVER

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NAME_CHARACTER = re.compile(r"[A-Za-z0-9._-]")
_VALUE = re.compile(r"[A-Za-z0-9._:/@+-]{1,128}")
_VALUE_CHARACTER = re.compile(r"[A-Za-z0-9._:/@+-]")
MAX_NAME = 63
MAX_LABEL_VALUE = 128


def refuse_server_name(text: str) -> str:
    """Why `text` cannot name a server; "" when it can."""
    if text.lower() == ENGINE_SERVER:
        return f"'{text}' is reserved: it stands for the engine itself"
    return _refuse_name(text, "a server's name")


def refuse_group_name(text: str) -> str:
    """Why `text` cannot name a group; "" when it can."""
    return _refuse_name(text, "a group's name")


def refuse_batch_name(text: str) -> str:
    """Why `text` cannot name a batch; "" when it can."""
    return _refuse_name(text, "a batch's name")


def refuse_workspace_name(text: str) -> str:
    """Why `text` cannot name a workspace; "" when it can."""
    return _refuse_name(text, "a workspace's name")


def refuse_environment_name(text: str) -> str:
    """Why `text` cannot name an environment of the configuration; "" when it can."""
    return _refuse_name(text, "an environment's name")


def refuse_label_key(text: str) -> str:
    """Why `text` cannot be the key of a label; "" when it can."""
    return _refuse_name(text, "a label's key")


def refuse_label_value(text: str) -> str:
    """Why `text` cannot be the value of a label; "" when it can."""
    if _VALUE.fullmatch(text):
        return ""
    if not text:
        return "a label's value cannot be empty"
    if len(text) > MAX_LABEL_VALUE:
        return f"a label's value has at most {MAX_LABEL_VALUE} characters; this one has {len(text)}"
    bad = next(character for character in text if not _VALUE_CHARACTER.match(character))
    return f"a label's value cannot hold {describe(bad)}; letters, digits and . _ - : / @ + are allowed"


def describe(character: str) -> str:
    """A character as a person can tell it from its look-alikes: 'x', or U+0430 with its Unicode name."""
    if character == " ":
        return "a space"
    if character.isascii() and character.isprintable():
        return f"'{character}'"
    name = unicodedata.name(character, "a control character")
    return f"U+{ord(character):04X} ({name})"


def _refuse_name(text: str, what: str) -> str:
    if _NAME.fullmatch(text):
        return ""
    if not text:
        return f"{what} cannot be empty"
    bad = next((character for character in text if not _NAME_CHARACTER.match(character)), None)
    if bad is not None:
        return f"{what} cannot hold {describe(bad)}; letters, digits and . _ - are allowed"
    if len(text) > MAX_NAME:
        return f"{what} has at most {MAX_NAME} characters; this one has {len(text)}"
    return f"{what} begins with a letter or a digit, not with {describe(text[0])}"
