"""What `workspace.yaml` says: read whole, with every fault at its place.

    format: 1
    name: shop
    description: The shop's servers
    environments: [dev, prod]          # or a mapping: {prod: {protection: production, description: ...}}
    labels: {team: web}
    protection: production             # none (the default) or production, for the whole workspace
    read_only: true                    # nothing may be changed but pausing and cancelling
    allow_paths: [../shared/files]     # folders outside that uploads may read from
    allow_env: [BUILD_ID]              # environment variables that templates may read

Every key may be missing. Files as plain as the shipped templates are read without a YAML parser; what is
read so a parser would read the same.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Fault, InputError, WorkspaceNewer
from core.model.names import (
    refuse_environment_name,
    refuse_label_key,
    refuse_label_value,
    refuse_workspace_name,
)
from core.workspace.find import SETTINGS_FILE

if TYPE_CHECKING:
    from core.batch.yaml_source import Document

FORMAT = 1
MAX_SETTINGS_BYTES = 1024 * 1024
MAX_DESCRIPTION = 1000
KEYS = (
    "format",
    "name",
    "description",
    "environments",
    "labels",
    "protection",
    "read_only",
    "allow_paths",
    "allow_env",
)
ENVIRONMENT_KEYS = ("protection", "description")
_VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]{0,127}")
_PLAIN = {
    "format": re.compile("[1-9][0-9]{0,3}"),
    "name": re.compile("[A-Za-z][A-Za-z0-9_-]{0,62}"),
    "description": re.compile("[A-Za-z][A-Za-z0-9_,.()/-]*(?: [A-Za-z0-9_,.()/-]+)*"),
    "protection": re.compile("none|production"),
    "read_only": re.compile("true|false"),
}
"""What a value may look like to be read without a YAML parser."""


class Protection(Enum):
    """How much a workspace or an environment guards against a mistake."""

    NONE = "none"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Environment:
    """One named environment. `protection` None means: that of the workspace."""

    name: str
    protection: Protection | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """The content of `workspace.yaml`. `allow_paths` are as they are written."""

    name: str = ""
    description: str = ""
    format: int = FORMAT
    environments: tuple[Environment, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    protection: Protection = Protection.NONE
    read_only: bool = False
    allow_paths: tuple[str, ...] = ()
    allow_env: tuple[str, ...] = ()


def read_settings(path: Path) -> Settings:
    """The settings of the workspace folder `path`. Raises InputError with every fault, WorkspaceNewer."""
    text = _text(path / SETTINGS_FILE)
    data = plain_settings(text)
    return make(parsed_settings(path, text) if data is None else data)


def make(data: Mapping[str, Any]) -> Settings:
    """Settings from data without faults."""
    return Settings(
        name=data.get("name") or "",
        description=data.get("description") or "",
        format=data.get("format", FORMAT),
        environments=_environments(data.get("environments")),
        labels={str(key): str(value) for key, value in (data.get("labels") or {}).items()},
        protection=Protection(data.get("protection", "none")),
        read_only=data.get("read_only", False),
        allow_paths=tuple(data.get("allow_paths") or ()),
        allow_env=tuple(data.get("allow_env") or ()),
    )


def legible_read_only(path: Path) -> bool:
    """Whether a faulty `workspace.yaml` still says `read_only: true`."""
    from core.batch.yaml_source import Limits, parse

    try:
        data = parse(
            _text(path / SETTINGS_FILE), SETTINGS_FILE, Limits(MAX_SETTINGS_BYTES, nodes=1000)
        ).data()
    except InputError:
        return False
    return isinstance(data, Mapping) and data.get("read_only") is True


def plain_settings(text: str) -> dict[str, Any] | None:
    """The settings where every line is as plain as our templates write it; None for everything else.

    Commands that only list something need no YAML parser then. What is read here a parser would read the same.
    """
    found: dict[str, Any] = {}
    for line in text.split("\n"):
        if not line or (line.startswith("#") and line.isprintable()):
            continue
        key, colon, rest = line.partition(": ")
        if not colon or key in found or key not in _PLAIN or not _PLAIN[key].fullmatch(rest):
            return None
        if key == "read_only":
            found[key] = rest == "true"
            continue
        if rest.lower() in {"true", "false", "null"}:
            return None
        found[key] = int(rest) if key == "format" else rest
    if found.get("format", FORMAT) != FORMAT or len(str(found.get("description", ""))) > MAX_DESCRIPTION:
        return None
    return found or None


def parsed_settings(path: Path, text: str) -> Mapping[str, Any]:
    """The settings of any YAML document. Raises InputError with every fault, WorkspaceNewer."""
    from core.batch.yaml_source import Limits, parse

    document = parse(text, SETTINGS_FILE, Limits(max_bytes=MAX_SETTINGS_BYTES, nodes=1000))
    data = document.data()
    if not isinstance(data, Mapping):
        line, column = document.at()
        what = f"{SETTINGS_FILE} is a mapping with the keys {', '.join(KEYS)}"
        raise InputError(f"{path} cannot be opened", faults=[Fault(SETTINGS_FILE, line, column, what)])
    check = _Check(document, data)
    check.run()
    faults = sorted(check.found, key=lambda fault: (fault.line, fault.column))
    if faults:
        kind = WorkspaceNewer if check.newer else InputError
        raise kind(f"the workspace {path} cannot be opened", faults=faults)
    return data


def _environments(value: Any) -> tuple[Environment, ...]:
    if not isinstance(value, Mapping):
        return tuple(Environment(name) for name in value or ())
    made = []
    for name, entry in value.items():
        said = entry or {}
        protection = said.get("protection")
        made.append(
            Environment(
                name,
                None if protection is None else Protection(protection),
                said.get("description") or "",
            )
        )
    return tuple(made)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_SETTINGS_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"{file} cannot be read: {error.strerror or error}", hint="`windlass init DIR` makes a workspace"
        ) from error
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        fault = Fault(
            SETTINGS_FILE,
            before.count(b"\n") + 1,
            error.start - before.rfind(b"\n"),
            f"byte {raw[error.start]:#04x} is not UTF-8",
        )
        raise InputError(f"{file} cannot be read", faults=[fault]) from None


class _Check:
    """Everything wrong with the settings; `newer` where the format is not known here."""

    def __init__(self, document: Document, data: Mapping[str, Any]) -> None:
        self.document = document
        self.data = data
        self.found: list[Fault] = []
        self.newer = False

    def run(self) -> None:
        self._known((), self.data, KEYS)
        self._format(self.data.get("format", FORMAT))
        name = self.data.get("name")
        if name is not None:
            why = refuse_workspace_name(name) if isinstance(name, str) else "`name` is text: quote it"
            if why:
                self._at(("name",), why)
        self._description(("description",), self.data.get("description"))
        self._protection(("protection",), self.data, "none")
        read_only = self.data.get("read_only", False)
        if not isinstance(read_only, bool):
            self._at(("read_only",), f"`read_only` is true or false, not {read_only!r}")
        self._environments(self.data.get("environments"))
        self._labels(self.data.get("labels"))
        self._texts("allow_paths", "folders", _refuse_allowed_path)
        self._texts("allow_env", "names of environment variables", _refuse_variable)

    def _at(self, path: Sequence[str | int], message: str, hint: str = "") -> None:
        self.found.append(Fault(SETTINGS_FILE, *self.document.at(*path), message, hint))

    def _at_key(self, path: Sequence[str | int], message: str) -> None:
        self.found.append(Fault(SETTINGS_FILE, *self.document.key_at(*path), message))

    def _known(self, path: tuple[str, ...], data: Mapping[str, Any], keys: Sequence[str]) -> None:
        for key in data:
            if key not in keys:
                close = difflib.get_close_matches(str(key), keys, n=1)
                meant = f"; did you mean '{close[0]}'?" if close else f" (there are: {', '.join(keys)})"
                self._at_key((*path, key), f"unknown key '{key}'{meant}")

    def _format(self, stored: Any) -> None:
        if isinstance(stored, bool) or not isinstance(stored, int) or stored < 1:
            self._at(("format",), f"`format` is a whole number from 1, not {stored!r}")
        elif stored > FORMAT:
            self.newer = True
            self._at(
                ("format",),
                f"the workspace has format {stored}; this Windlass reads up to format {FORMAT}",
                "open it with a newer Windlass",
            )

    def _description(self, path: tuple[str, ...], text: Any) -> None:
        if text is not None and not isinstance(text, str):
            self._at(path, "`description` is text: quote it")
        elif text and (len(text) > MAX_DESCRIPTION or not text.replace("\n", " ").isprintable()):
            self._at(path, f"`description` is printable text of at most {MAX_DESCRIPTION} characters")

    def _protection(self, path: tuple[str, ...], data: Mapping[str, Any], usual: str) -> None:
        value = data.get("protection", usual)
        known = [protection.value for protection in Protection]
        if value not in known:
            self._at(path, f"`protection` is one of {', '.join(known)}, not {value!r}")

    def _environments(self, value: Any) -> None:
        path = ("environments",)
        if value is None:
            return
        if isinstance(value, Mapping):
            for name, entry in value.items():
                self._environment_name((*path, name), name, key=True)
                if entry is None:
                    continue
                if not isinstance(entry, Mapping):
                    told = (
                        f"an environment is a mapping with the keys {', '.join(ENVIRONMENT_KEYS)}, or nothing"
                    )
                    self._at((*path, name), told)
                    continue
                self._known((*path, name), entry, ENVIRONMENT_KEYS)
                self._protection((*path, name, "protection"), entry, "none")
                self._description((*path, name, "description"), entry.get("description"))
        elif isinstance(value, list | tuple):
            seen: set[str] = set()
            for index, name in enumerate(value):
                self._environment_name((*path, index), name, key=False)
                if isinstance(name, str) and name in seen:
                    self._at((*path, index), f"the environment '{name}' is named twice")
                seen.add(str(name))
        else:
            self._at(path, "`environments` is a list of names, or a mapping of names")

    def _environment_name(self, path: tuple[str | int, ...], name: Any, *, key: bool) -> None:
        why = (
            refuse_environment_name(name)
            if isinstance(name, str)
            else "an environment's name is text: quote it"
        )
        if why:
            (self._at_key if key else self._at)(path, why)

    def _labels(self, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, Mapping):
            self._at(("labels",), "`labels` is a mapping of text")
            return
        for key, text in value.items():
            why = refuse_label_key(str(key))
            if why:
                self._at_key(("labels", key), why)
            why = refuse_label_value(text) if isinstance(text, str) else "a label's value is text: quote it"
            if why:
                self._at(("labels", key), why)

    def _texts(self, key: str, what: str, refuse: Any) -> None:
        value = self.data.get(key)
        if value is None:
            return
        if not isinstance(value, list | tuple):
            self._at((key,), f"`{key}` is a list of {what}")
            return
        for index, text in enumerate(value):
            why = refuse(text) if isinstance(text, str) else f"`{key}` holds text: quote it"
            if why:
                self._at((key, index), why)


def _refuse_allowed_path(text: str) -> str:
    if not text or not text.isprintable():
        return f"{text!r} is no folder"
    if Path(text) == Path("/"):
        return "'/' would allow every file of this machine: name the folders that are needed"
    return ""


def _refuse_variable(text: str) -> str:
    return "" if _VARIABLE.fullmatch(text) else f"{text!r} is no name of an environment variable"
