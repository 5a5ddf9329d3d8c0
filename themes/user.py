"""A user's own themes: every `*.toml` of a folder, each valid as a whole or left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import Fault, InputError
from themes.load import ThemeData, parse_theme

MOST_BYTES = 64 * 1024
MOST_FILES = 100


def user_themes(folder: Path, ours: Mapping[str, ThemeData]) -> tuple[list[ThemeData], list[Fault]]:
    """The themes of a folder, and every fault of those that are left out. A folder that is not there has none."""
    found: dict[str, ThemeData] = {}
    faults: list[Fault] = []
    try:
        files: Sequence[Path] = sorted(path for path in folder.iterdir() if path.suffix == ".toml")
    except OSError:
        return [], []
    for path in files[:MOST_FILES]:
        try:
            theme = parse_theme(_text(path), str(path), ours)
        except InputError as error:
            faults += error.faults
            continue
        if theme.name in found:
            faults.append(Fault(str(path), 1, 1, f"another file has a theme of the name '{theme.name}'"))
        else:
            found[theme.name] = theme
    return list(found.values()), faults


def _text(path: Path) -> str:
    """Raises InputError where a file is none to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _refused(path, "it is no regular file")
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise _refused(path, error.strerror or str(error)) from error
    if len(data) > MOST_BYTES:
        raise _refused(path, f"it has more than {MOST_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(path, "it is not UTF-8") from error


def _refused(path: Path, why: str) -> InputError:
    return InputError(f"{path}: {why}", faults=[Fault(str(path), 0, 0, why)])
