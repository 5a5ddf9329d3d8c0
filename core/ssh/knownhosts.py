"""Reads known_hosts files: parsed once, asked for many names.

Purpose: a file of a thousand lines handed to every connect costs more than the handshake. Here a file is
parsed once and kept while it is unchanged (looked at, not opened, for each answer); an answer holds only
the keys of the name that was asked for, each with its file and line. Plain names, `[name]:port`, patterns,
hashed names, `@revoked` and `@cert-authority` are understood; a line that cannot be read is skipped, as ssh does.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKey

from core.ssh.patterns import matches_list

MAX_FILE_BYTES = 16 * 1024 * 1024

REVOKED = "@revoked"
AUTHORITY = "@cert-authority"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `marker` is "", "@revoked" or "@cert-authority"; `key` is OpenSSH's one-line form."""

    names: str
    marker: str
    key: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """ "file:line"."""
        return f"{self.file}:{self.line}"

    def public_key(self) -> SSHKey | None:
        """The key, or None where asyncssh cannot read it."""
        try:
            return read_public_key(self.key)
        except ValueError:
            return None


@functools.lru_cache(maxsize=4096)
def read_public_key(line: str) -> SSHKey:
    """A public key in OpenSSH's one-line form, read once for all connections. Raises ValueError."""
    return asyncssh.import_public_key(line)


@dataclass(slots=True)
class KnownHosts:
    """A parsed file."""

    exact: dict[str, list[Entry]] = field(default_factory=dict)
    patterns: list[Entry] = field(default_factory=list)
    hashed: list[tuple[bytes, bytes, Entry]] = field(default_factory=list)
    revokes: bool = False
    """Whether any line revokes a key: where none does, a name that is known already need not be looked up."""

    def of(self, name: str) -> list[Entry]:
        """The entries of a name as `known_hosts` writes it (lower case; `[name]:port`), in file order."""
        found = list(self.exact.get(name, ()))
        found += (entry for entry in self.patterns if matches_list(name, entry.names))
        encoded = name.encode()
        found += (
            entry for salt, digest, entry in self.hashed if hmac.digest(salt, encoded, "sha1") == digest
        )
        return sorted(found, key=lambda entry: entry.line)


_CACHE: dict[Path, tuple[tuple[int, ...], KnownHosts]] = {}


def load_known_hosts(path: Path) -> KnownHosts:
    """A file's entries; a file that does not exist or cannot be read has none."""
    try:
        cached = _CACHE.get(path)
        if cached is not None and cached[0] == _signature(path.stat()):
            return cached[1]
        with path.open("rb") as file:
            signature = _signature(os.fstat(file.fileno()))
            data = file.read(MAX_FILE_BYTES)
    except OSError:
        return KnownHosts()
    parsed = parse_known_hosts(data.decode("utf-8", "replace"), str(path))
    if len(_CACHE) > 64:
        _CACHE.clear()
    _CACHE[path] = (signature, parsed)
    return parsed


def _signature(info: os.stat_result) -> tuple[int, ...]:
    return (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)


def parse_known_hosts(text: str, file: str) -> KnownHosts:
    """Parses the text of a file named `file`."""
    parsed = KnownHosts()
    for number, raw in enumerate(text.split("\n"), start=1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0).lower() if words[0].startswith("@") else ""
        if len(words) < 3 or marker not in ("", REVOKED, AUTHORITY):
            continue
        parsed.revokes = parsed.revokes or marker == REVOKED
        entry = Entry(words[0].lower(), marker, f"{words[1]} {words[2]}", file, number)
        if words[0].startswith("|"):
            split = _hashed(words[0])
            if split is not None:
                parsed.hashed.append((*split, entry))
        elif any(char in words[0] for char in "*?!"):
            parsed.patterns.append(entry)
        else:
            for name in entry.names.split(","):
                parsed.exact.setdefault(name, []).append(entry)
    return parsed


def _hashed(names: str) -> tuple[bytes, bytes] | None:
    parts = names.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return None
    try:
        return base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (ValueError, binascii.Error):
        return None
