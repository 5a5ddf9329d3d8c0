"""Variables of other programs, as they are taken over into the configuration: which, where to, and as what.

A value is typed only where the type loses nothing: `8080` is a number, `012` and `1.10` stay text. A key that is
there already keeps its kind. Whatever looks like a secret is one, unless a mapping file says otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from core.batch.yaml_source import NO_TEXT, Document, Node, plain_scalar
from core.batch.yaml_source import parse as parse_yaml
from core.config import paths
from core.config.matching import path_of_variable
from core.config.sources import LIMITS, NO_MAPPING, parse_value, read_text, says_nothing
from core.config.tree import Entry
from core.errors import Fault, InputError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SECRET_WORDS = frozenset(
    ("apikey", "credential", "credentials", "pass", "passphrase", "passwd", "password", "pat", "pwd")
).union(("secret", "secrets", "token", "tokens"))
SECRET_VALUE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|[a-zA-Z][a-zA-Z0-9+.-]*://[^/@\s]*:[^/@\s]+@")
TEMPLATE = re.compile(r"\{\{|\{%|\{#")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable and the path that it goes to; `why` says why it cannot. `secret` is None where nobody said."""

    variable: str
    path: paths.Path = ()
    secret: bool | None = None
    why: str = ""


def by_prefix(environ: Mapping[str, str], prefix: str, below: Entry) -> list[Wanted]:
    """The variables whose names begin with a prefix, sorted; `below` has the keys that they are fitted to."""
    found = []
    for name in sorted(name for name in environ if name.startswith(prefix) and name != prefix):
        try:
            found.append(Wanted(name, path_of_variable(name, name.removeprefix(prefix), below)))
        except InputError as error:
            found.append(Wanted(name, why=_told(error)))
    return found


def by_mapping(file: FilePath, shown: str) -> list[Wanted]:
    """What a mapping file says, VARIABLE: path or {path, secret}. Raises InputError with every fault."""
    text = read_text(file, shown)
    if text is None:
        raise InputError(f"there is no file {shown}")
    if says_nothing(text):
        raise InputError(f"{shown} names no variable", hint="write lines such as SHOP_PORT: web.port")
    document = parse_yaml(text, shown, LIMITS)
    if document.root.kind != "mapping":
        raise InputError(shown, faults=[Fault(shown, document.root.line, document.root.column, NO_MAPPING)])
    faults: list[Fault] = []
    found = []
    for name, node in document.root.items.items():
        try:
            found.append(_mapped(name, node))
        except InputError as error:
            line, column = document.at(name)
            faults.append(Fault(shown, line, column, f"{name}: {error.message}", error.hint))
    if faults:
        raise InputError(f"{shown} cannot be used", faults=faults)
    return found


def _mapped(name: str, node: Node) -> Wanted:
    if not NAME.fullmatch(name):
        raise InputError("this can name no variable")
    if node.kind == "scalar" and isinstance(node.value, str):
        return Wanted(name, paths.parse(node.value))
    said = Document(node, "", "").data() if node.kind == "mapping" else {}
    if not isinstance(said.get("path"), str) or not said.keys() <= {"path", "secret"}:
        raise InputError("write a path, or {path: web.port, secret: true}")
    secret = said.get("secret")
    if secret is not None and not isinstance(secret, bool):
        raise InputError("secret is true or false")
    return Wanted(name, paths.parse(said["path"]), secret)


def looks_secret(name: str, value: str) -> bool:
    """True where the name or the value is that of a secret, as far as one can tell."""
    words = name.lower().split("_")
    named = words[-1] == "key" or not SECRET_WORDS.isdisjoint(words)
    return named or SECRET_VALUE.search(value) is not None


def as_value(text: str, now: Any) -> Any:
    """A variable's text as a value, of the kind of what is there `now` (None where nothing is). Raises InputError."""
    if NO_TEXT.search(text):
        raise InputError("it is not UTF-8")
    if TEMPLATE.search(text):
        raise InputError("it would be a template in the configuration: write it there by hand")
    if isinstance(now, Mapping):
        raise InputError("the configuration has keys below this path")
    if isinstance(now, list):
        value = Document(parse_value(text, "its value"), text, "").data()
        if not isinstance(value, list):
            raise InputError("the configuration has a list there: write it as [a, b]")
        if TEMPLATE.search(json.dumps(value)):
            raise InputError("it would be a template in the configuration: write it there by hand")
        return value
    return text if isinstance(now, str) else _typed(text)


def _typed(text: str) -> Any:
    value = plain_scalar(text)
    if isinstance(value, bool):
        return value if text in ("true", "false") else text
    return value if isinstance(value, int | float) and str(value) == text else text


def _told(error: InputError) -> str:
    """An error in one line."""
    said = error.faults[0].message if error.faults else error.message
    return f"{said} ({error.hint})" if error.hint else said
