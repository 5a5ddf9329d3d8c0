"""Files of the configuration as they were parsed, kept by the digest of their text, so that a long one is parsed once.

    .windlass/cache/config/DIGEST     32 bytes that prove who wrote it, then JSON (0600)

A file holds what the text holds, values with their positions, templates as they are written; nothing worked out. It
counts only where it was written by this user's Windlass, by a key that lies in the user's own data folder: what came
with a copied or cloned workspace, what is damaged, and what anybody else could have written is ignored. A cache that
cannot be read or written is no fault of anybody's.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from core.config.tree import Entry, Layer, Origin
from core.errors import InputError
from core.files import private_folder, write_atomically
from core.workspace.folder import STATE_DIR
from core.workspace.userfiles import user_folder

FORMAT = 1
FOLDER = ("cache", "config")
KEY_FILE = "cache.key"
KEY_BYTES = 32
KEPT = 32
MAX_BYTES = 64 * 1024 * 1024
_BLOCK = 1


def remembered(workspace: Path, text: str, file: str, layer: Layer) -> Entry | None:
    """The values of a text that was parsed before; None where that is not known."""
    try:
        key = _key()
        if key is None:
            return None
        name = _digest(text)
        raw = _read(_folder(workspace) / name, MAX_BYTES)
        mac, body = raw[:KEY_BYTES], raw[KEY_BYTES:]
        if not hmac.compare_digest(mac, _mac(key, name, body)):
            return None
        return _entry(json.loads(body), layer, file)
    except (OSError, InputError, ValueError, TypeError, IndexError, RecursionError):
        return None


def remember(workspace: Path, text: str, root: Entry) -> None:
    """Keeps the values of a text; the oldest of many kept ones go."""
    with contextlib.suppress(OSError, InputError, ValueError):
        folder = _folder(workspace)
        for step in (folder.parent.parent, folder.parent, folder):
            private_folder(step)
        name = _digest(text)
        body = json.dumps(_packed(root), separators=(",", ":"), ensure_ascii=False).encode()
        write_atomically(folder / name, _mac(_key() or _new_key(), name, body) + body)
        kept = sorted(folder.iterdir(), key=lambda path: path.lstat().st_mtime_ns, reverse=True)
        for old in kept[KEPT:]:
            old.unlink(missing_ok=True)


def _folder(workspace: Path) -> Path:
    return workspace.joinpath(STATE_DIR, *FOLDER)


def _digest(text: str) -> str:
    return hashlib.sha256(f"{FORMAT}\n{text}".encode()).hexdigest()


def _mac(key: bytes, name: str, body: bytes) -> bytes:
    return hmac.digest(key, name.encode() + body, "sha256")


def _read(file: Path, most: int) -> bytes:
    """A file that is this user's alone. Raises OSError, also where it is not."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        private = stat.S_ISREG(status.st_mode) and not status.st_mode & 0o077
        if not private or status.st_uid != os.geteuid():
            raise PermissionError(f"{file} is not a private file of this user")
        return stream.read(most)


def _key() -> bytes | None:
    """What this user's cache files are signed with; None where there is none yet."""
    try:
        key = _read(user_folder() / KEY_FILE, KEY_BYTES + 1)
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None


def _new_key() -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    write_atomically(private_folder(user_folder()) / KEY_FILE, key)
    return key


# ---------------------------------------------------------------- entries as JSON


def _packed(entry: Entry) -> list[Any]:
    """[line, column, value], a mapping or list as value being a collection; a fourth field marks a block scalar."""
    origin = entry.origin
    if entry.kind == "mapping":
        return [origin.line, origin.column, {key: _packed(child) for key, child in entry.items.items()}]
    if entry.kind == "sequence":
        return [origin.line, origin.column, [_packed(child) for child in entry.entries]]
    packed = [origin.line, origin.column, entry.value]
    return [*packed, _BLOCK] if entry.block else packed


def _entry(packed: list[Any], layer: Layer, file: str) -> Entry:
    origin, value = Origin(layer, file, packed[0], packed[1]), packed[2]
    if isinstance(value, dict):
        items = {key: _entry(child, layer, file) for key, child in value.items()}
        return Entry("mapping", origin, items=items)
    if isinstance(value, list):
        return Entry("sequence", origin, entries=[_entry(child, layer, file) for child in value])
    return Entry("scalar", origin, value, len(packed) > 3)
