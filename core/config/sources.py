"""What the layers are read from: files, variables of the environment, options of the command line.

Each reader gives an entry, or None where its source says nothing. Faults carry file, line and column; those of a
variable or an option carry its name in place of the file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path as FilePath

from core.batch.yaml_source import Limits, Node
from core.batch.yaml_source import parse as parse_yaml
from core.config import paths
from core.config.matching import match_variable
from core.config.tree import Entry, Layer, Origin, from_node, nested
from core.errors import Fault, InputError

MAX_BYTES = 4 * 1024 * 1024
LIMITS = Limits(max_bytes=MAX_BYTES, nodes=100_000)
LONG_CHARS = 16 * 1024
"""A shorter text is parsed sooner than a cache would be asked."""
VARIABLE_PREFIX = "WINDLASS__"
NO_MAPPING = "a configuration file is a mapping: `key: value`"


def read_text(file: FilePath, shown: str) -> str | None:
    """The text of a configuration file, None where there is no file. Raises InputError."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a named pipe must not block
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{shown} is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    return decoded(raw, shown)


def decoded(raw: bytes, shown: str) -> str:
    """The text of a configuration file's bytes. Raises InputError."""
    if len(raw) > MAX_BYTES:
        raise InputError(f"{shown} is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        fault = Fault(shown, line, column, f"byte {raw[error.start]:#04x} is not UTF-8")
        raise InputError(f"{shown} cannot be read", faults=[fault]) from None


def file_layer(file: FilePath, shown: str, layer: Layer, workspace: FilePath | None = None) -> Entry | None:
    """A file's values, None where there is no file or nothing in it. Raises InputError with every fault.

    A long one is kept parsed in the cache of `workspace`.
    """
    text = read_text(file, shown)
    if text is None:
        return None
    return text_layer(text, shown, layer, workspace if len(text) >= LONG_CHARS else None)


@lru_cache(maxsize=32)
def text_layer(text: str, shown: str, layer: Layer, workspace: FilePath | None = None) -> Entry | None:
    """The values of a file's text, None where there are none. Raises InputError with every fault.

    A long file takes a second to parse, and a command that looks at several environments reads the same ones again
    and again. Nobody changes an entry. `workspace` is where the values are kept for the next process.
    """
    if workspace is None:
        return _parsed_layer(text, shown, layer)
    from core.config import cache

    entry = cache.remembered(workspace, text, shown, layer)
    if entry is None:
        entry = _parsed_layer(text, shown, layer)
        if entry is not None:
            cache.remember(workspace, text, entry)
    return entry


def _parsed_layer(text: str, shown: str, layer: Layer) -> Entry | None:
    if says_nothing(text):
        return None
    root = parse_yaml(text, shown, LIMITS, merge_keys=True).root
    if root.kind == "scalar" and root.value is None:
        return None
    if root.kind != "mapping":
        raise InputError(shown, faults=[Fault(shown, root.line, root.column, NO_MAPPING)])
    return from_node(root, layer, shown)


def says_nothing(text: str) -> bool:
    """True for a text of blank lines and comments alone."""
    lines = text.removeprefix("\ufeff").splitlines()
    return all(not line.strip() or line.lstrip().startswith("#") for line in lines)


def variable_layers(environ: Mapping[str, str], below: Entry, faults: list[Fault]) -> list[Entry]:
    """One layer for each variable `WINDLASS__SECTION__KEY`; `below` has the keys that they may name."""
    found: list[Entry] = []
    taken: dict[paths.Path, str] = {}
    for name in sorted(name for name in environ if name.startswith(VARIABLE_PREFIX)):
        try:
            path = match_variable(name, name.removeprefix(VARIABLE_PREFIX), below)
            other = taken.setdefault(path, name)
            if other != name:
                raise _one(name, f"{other} sets {paths.show(path)} as well", "keep one of the two")
            found.append(nested(path, _value(environ[name], name, Layer.VARIABLE)))
        except InputError as error:
            faults += error.faults or [Fault(name, 1, 1, error.message, error.hint)]
    return found


def option_layer(given: str, option: str, *, literal: bool) -> Entry:
    """The layer of one `--set PATH=VALUE`; `literal` takes the value as text. Raises InputError."""
    written, sign, text = given.partition("=")
    if not sign:
        raise _one(option, f"{given!r} is not of the form PATH=VALUE")
    try:
        path = paths.parse(written.strip())
    except InputError as error:
        raise _one(option, error.message, error.hint) from None
    if any(isinstance(part, int) for part in path):
        raise _one(
            option, f"{written} is inside a list; a list is replaced whole", "write the list: PATH=[a, b]"
        )
    name = f"{option} {paths.show(path)}"
    if literal:
        return nested(path, Entry("scalar", Origin(Layer.OPTION, name), text))
    return nested(path, _value(text, name, Layer.OPTION))


def parse_value(text: str, name: str) -> Node:
    """A value written in one line, by the rules of YAML 1.2; nothing at all is null. Raises InputError."""
    if not text.strip():
        return Node(1, 1, "scalar")
    if says_nothing(text):
        raise _one(name, f"{text!r} is a comment to YAML", f"write it quoted: '{text}'")
    return parse_yaml(text, name, LIMITS).root


def _value(text: str, name: str, layer: Layer) -> Entry:
    return from_node(parse_value(text, name), layer, name)


def _one(name: str, message: str, hint: str = "") -> InputError:
    return InputError(name, faults=[Fault(name, 1, 1, message, hint)])
