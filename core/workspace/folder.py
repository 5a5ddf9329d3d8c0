"""The workspace folder: its settings (`workspace.yaml`) and where everything in it lies.

    workspace.yaml      format, name, description
    servers/NAME.yaml   the settings of provider NAME
    batches/NAME.yaml   batch documents
    files/              what batches upload
    secrets/            one encrypted file for each secret, and who can open them (core/secrets)
    .windlass/          state (0700), made when there is something to keep: the database, the lease,
                        known_hosts, copies of files in use

Nothing here writes but `make_state_dir`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import Fault, InputError
from core.files import private_folder
from core.model.names import refuse_workspace_name
from core.workspace.find import SETTINGS_FILE, find_batch

if TYPE_CHECKING:
    from core.batch.yaml_source import Document

FORMAT = 1
STATE_DIR = ".windlass"
MAX_SETTINGS_BYTES = 1024 * 1024
MAX_DESCRIPTION = 1000
KEYS = ("format", "name", "description")
_PLAIN = {
    "format": re.compile("[1-9][0-9]{0,3}"),
    "name": re.compile("[A-Za-z][A-Za-z0-9_-]{0,62}"),
    "description": re.compile("[A-Za-z][A-Za-z0-9_,.()/-]*(?: [A-Za-z0-9_,.()/-]+)*"),
}
"""What a value may look like to be read without a YAML parser."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One workspace; `path` is absolute."""

    path: Path
    name: str
    description: str = ""
    format: int = FORMAT

    @classmethod
    def load(cls, path: Path) -> Workspace:
        """Reads `workspace.yaml`. Raises InputError with every fault."""
        return _load(path.absolute())

    @property
    def settings_file(self) -> Path:
        """What makes the folder a workspace."""
        return self.path / SETTINGS_FILE

    @property
    def servers_dir(self) -> Path:
        """The settings of the providers."""
        return self.path / "servers"

    @property
    def batches_dir(self) -> Path:
        """The batch documents."""
        return self.path / "batches"

    @property
    def files_dir(self) -> Path:
        """What batches upload, by custom: `from` may name any file of the workspace."""
        return self.path / "files"

    @property
    def known_hosts(self) -> Path:
        """Host keys trusted for this workspace."""
        return self.state_dir / "known_hosts"

    @property
    def state_dir(self) -> Path:
        """Everything that is state. It may not exist yet."""
        return self.path / STATE_DIR

    @property
    def database(self) -> Path:
        """The database. It may not exist yet."""
        return self.state_dir / "state.db"

    def make_state_dir(self) -> Path:
        """The state folder, made where it is missing, for its owner alone. Raises InputError."""
        try:
            private_folder(self.state_dir)
        except OSError as error:
            raise InputError(
                f"{self.state_dir} cannot be used: {error.strerror or error}",
                hint="the workspace must lie where you may write",
            ) from error
        return self.state_dir

    def batch_path(self, batch: str) -> Path:
        """Where a batch lies, by its name or a path. Raises InputError."""
        return find_batch(batch, self.path)


def _load(path: Path) -> Workspace:
    text = _text(path / SETTINGS_FILE)
    data: Any = _plain_settings(text)
    if data is None:
        data = _parsed(path, text)
    return Workspace(
        path=path,
        name=data.get("name") or path.name or "workspace",
        description=data.get("description") or "",
        format=data.get("format", FORMAT),
    )


def _plain_settings(text: str) -> dict[str, str | int] | None:
    """The settings where every line is as plain as our templates write it; None for everything else.

    Commands that only list something need no YAML parser then. What is read here a parser would read the same.
    """
    found: dict[str, str | int] = {}
    for line in text.split("\n"):
        if not line or (line.startswith("#") and line.isprintable()):
            continue
        key, colon, rest = line.partition(": ")
        if not colon or key in found or key not in _PLAIN or not _PLAIN[key].fullmatch(rest):
            return None
        if rest.lower() in {"true", "false", "null"}:
            return None
        found[key] = int(rest) if key == "format" else rest
    if found.get("format", FORMAT) != FORMAT or len(str(found.get("description", ""))) > MAX_DESCRIPTION:
        return None
    return found or None


def _parsed(path: Path, text: str) -> Mapping[str, Any]:
    """The settings of any YAML document. Raises InputError with every fault."""
    from core.batch.yaml_source import Limits, parse

    document = parse(text, SETTINGS_FILE, Limits(max_bytes=MAX_SETTINGS_BYTES, nodes=1000))
    data = document.data()
    if not isinstance(data, Mapping):
        line, column = document.at()
        what = f"{SETTINGS_FILE} is a mapping with the keys {', '.join(KEYS)}"
        raise InputError(f"{path} cannot be opened", faults=[Fault(SETTINGS_FILE, line, column, what)])
    faults = sorted(_faults(document, data), key=lambda fault: (fault.line, fault.column))
    if faults:
        raise InputError(f"the workspace {path} cannot be opened", faults=faults)
    return data


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


def _faults(document: Document, data: Mapping[str, Any]) -> list[Fault]:
    """Everything wrong with the settings."""
    found: list[Fault] = []

    def fault(key: str, message: str, hint: str = "") -> None:
        found.append(Fault(SETTINGS_FILE, *document.at(key), message, hint))

    for key in data:
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1)
            meant = f"; did you mean '{close[0]}'?" if close else f" (there are: {', '.join(KEYS)})"
            found.append(Fault(SETTINGS_FILE, *document.key_at(key), f"unknown key '{key}'{meant}"))
    stored = data.get("format", FORMAT)
    if isinstance(stored, bool) or not isinstance(stored, int) or stored < 1:
        fault("format", f"`format` is a whole number from 1, not {stored!r}")
    elif stored > FORMAT:
        fault(
            "format",
            f"the workspace has format {stored}; this Windlass reads up to format {FORMAT}",
            "open it with a newer Windlass",
        )
    name, description = data.get("name"), data.get("description")
    if name is not None:
        why = refuse_workspace_name(name) if isinstance(name, str) else "`name` is text: quote it"
        if why:
            fault("name", why)
    if description is not None and not isinstance(description, str):
        fault("description", "`description` is text: quote it")
    elif description and (
        len(description) > MAX_DESCRIPTION or not description.replace("\n", " ").isprintable()
    ):
        fault("description", f"`description` is printable text of at most {MAX_DESCRIPTION} characters")
    return found
