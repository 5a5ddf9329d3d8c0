"""Edits of the configuration from its screens: what one comes to, saved and taken back. No widget is touched here.

`value_edit`, `text_edit`, `save` and `take_back` open files and work templates out: call them off the interface's
thread.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from core.batch.yaml_source import Document
from core.config import paths
from core.config.compare import ABSENT, same
from core.config.edit import Edited, set_value
from core.config.effect import FAULTY, Effect, Servers, effect_of
from core.config.files import Change, change_file, file_of, history, revert
from core.config.merge import marked_lines
from core.config.render import one_line
from core.config.settings import built_in, read_settings
from core.config.sources import parse_value, read_text
from core.config.tree import Layer
from core.engine.protection import check_changeable, check_edit, name_for_edit
from core.errors import InputError
from core.workspace.folder import Workspace
from tui.configuration import ConfigRow, Reading


class FileChanged(InputError):
    """A file is not any more as it was when the edit began: nothing was written."""


@dataclass(frozen=True, slots=True)
class Preview:
    """An edit that is not saved: the file's text before and after it, and what it comes to.

    `path` is what is edited, "." for a whole file. `confirm` is the name that must be typed, "" where none must be.
    """

    file: str
    path: str
    environment: str
    before: str
    after: str
    effect: Effect
    diff: tuple[str, ...]
    confirm: str = ""

    @property
    def stopped(self) -> str:
        """Why it is not to be saved as it is; "" where it may be."""
        if self.before == self.after:
            return f"{self.file} says so already: there is nothing to save"
        marks = marked_lines(self.after)
        if marks:
            return f"line {marks[0]} of {self.file} still has a mark of two changes that overlap"
        if self.effect.stops:
            return "the file has faults: mend them first"
        return ""

    @property
    def changes(self) -> tuple[tuple[str, str, str], ...]:
        """The values that change in the environment at hand, each with what it was and what it becomes."""
        told = self.effect.changes
        return tuple((paths.show(each.path), _told(each.before), _told(each.after)) for each in told)


# ---------------------------------------------------------------- a value as one types it


def as_input(value: Any) -> str:
    """A value in one line that `from_input` reads as just that value."""
    for text in (one_line(value), json.dumps(value, ensure_ascii=False)):
        visible = "".join(char if char.isprintable() else _escaped(char) for char in text)
        try:
            if same(from_input(visible), value):
                return visible
        except InputError:
            continue
    return json.dumps(value)


def _escaped(char: str) -> str:
    """As text in quotes writes it: nothing that a terminal obeys gets into the field."""
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"


def from_input(text: str) -> Any:
    """What was typed, read as YAML. Raises InputError with every fault."""
    return Document(parse_value(text, "value"), text, "value").data()


def text_in_layer(reading: Reading, row: ConfigRow, layer: Layer) -> str:
    """What stands in a layer for a value, as one would type it; what counts where the layer has none of its own."""
    assert reading.config is not None
    chain = [link for link in reading.config.chain(row.path) if link.hides is None]
    own = next((link.entry for link in chain if link.entry.origin.layer is layer), None)
    entry = own or reading.config.find(row.path)
    return as_input(None if entry is None else entry.data())


# ---------------------------------------------------------------- what an edit comes to


def text_of(folder: FilePath, file: str) -> str:
    """The text of a file of the configuration, "" where there is none. Raises InputError."""
    return read_text(folder / file, file) or ""


def value_edit(
    folder: FilePath, environment: str, layer: Layer, path: paths.Path, typed: str, servers: Servers
) -> Preview:
    """What setting a value would change. Raises InputError (it is refused), NotPossible (read-only)."""
    workspace = _changeable(folder)
    file = file_of(workspace, environment if layer is Layer.ENVIRONMENT else "")
    value = from_input(typed)
    before = read_text(folder / file, file) or ""
    after = set_value(before, file, path, value).after
    return _preview(workspace, environment, file, paths.show(path), before, after, servers)


def text_edit(
    folder: FilePath, environment: str, file: str, before: str, after: str, servers: Servers
) -> Preview:
    """What a whole text would change. Raises InputError, NotPossible in a read-only workspace."""
    return _preview(_changeable(folder), environment, file, ".", before, after, servers)


def _preview(
    workspace: Workspace, environment: str, file: str, path: str, before: str, after: str, servers: Servers
) -> Preview:
    return Preview(
        file,
        path,
        environment,
        before,
        after,
        effect_of(workspace, file, after, servers, environment),
        diff_of(before, after),
        name_for_edit(workspace, file),
    )


# ---------------------------------------------------------------- made and taken back


def save(folder: FilePath, seen: Preview, actor: str, keep: int, typed: str = "") -> Change | None:
    """Writes what was looked at; None where nothing differs.

    `typed` is the name that a person typed. Raises FileChanged, InputError, NotPossible, ConfirmationNeeded.
    """

    def edit(text: str) -> Edited:
        if text != seen.before:
            raise FileChanged(
                f"{seen.file} has changed since it was looked at; nothing was written",
                hint="look at it again",
            )
        return Edited(seen.before, seen.after)

    workspace = Workspace.load(folder)
    check_edit(workspace, seen.file, typed)
    action = "edit" if seen.path == "." else "set"
    _, change = change_file(workspace, seen.file, edit, actor=actor, action=action, path=seen.path, keep=keep)
    return change


def kept_edits(reading: Reading) -> int:
    """How many edits are kept: the setting, or its default where the configuration cannot be read."""
    if reading.config is None:
        return built_in().history
    return read_settings(reading.config.root).history


def take_back(folder: FilePath, number: int, actor: str, keep: int, typed: str = "") -> Change:
    """Reverts an edit. Raises InputError, NotPossible: the file has changed since; ConfirmationNeeded."""
    workspace = _changeable(folder)
    for change in history(workspace):
        if change.number == number:
            check_edit(workspace, change.file, typed)
    return revert(workspace, number, actor=actor, keep=keep)


def diff_back(change: Change) -> tuple[str, ...]:
    """What taking an edit back changes in its file."""
    return diff_of(change.after, change.before or "")


def diff_of(before: str, after: str) -> tuple[str, ...]:
    """The lines of a file that differ, with one around them."""
    found: list[str] = []
    hunks = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    for line in list(hunks)[2:]:  # without the two lines that name the file
        if not line.startswith("@@"):
            found.append(line)
        elif found:
            found.append("...")
    return tuple(found)


def _changeable(folder: FilePath) -> Workspace:
    workspace = Workspace.load(folder)
    check_changeable(workspace)
    return workspace


def _told(value: Any) -> str:
    if value is ABSENT:
        return "not there"
    return "cannot be worked out" if value is FAULTY else one_line(value)
