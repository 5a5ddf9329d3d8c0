"""Tokens: who may come in over TCP, and as what.

A token is 32 random bytes, shown once. What is kept is its SHA-256 (a random token needs no slow hash), its name,
role and expiry, in the workspace's state folder (0600): it belongs to this machine and is in no archive.
A file that somebody else wrote is read anew; a revoked or expired token is refused with the next request.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import InputError, NotFound, StoreError
from core.files import private_folder, write_atomically
from daemon.access import Caller, Role

NAME = "tokens.json"
PREFIX = "wl_"
TOKEN_BYTES = 32
MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept. Times are seconds since the epoch; `expires` None means never."""

    name: str
    role: Role
    digest: str
    created: float
    expires: float | None = None

    def expired(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and now >= self.expires


class Tokens:
    """The tokens of one workspace on this machine."""

    def __init__(self, state_dir: Path, now: Callable[[], float] = time.time) -> None:
        self._path = state_dir / NAME
        self._now = now
        self._seen: tuple[int, int, int] | None = None
        self._known: list[Token] = []

    def all(self) -> list[Token]:
        """Every token, in the order in which they were made. Raises StoreError."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            self._seen, self._known = None, []
            return []
        signature = (found.st_mtime_ns, found.st_size, found.st_ino)
        if signature != self._seen:
            self._known = self._read()
            self._seen = signature
        return list(self._known)

    def create(self, name: str, role: Role, expires_s: float | None = None) -> str:
        """Makes a token and returns it, for the one time that it is shown. Raises InputError, StoreError."""
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InputError(f"{name!r} is no name for a token: 1 to {MAX_NAME} printable characters")
        known = self.all()
        if any(one.name == name for one in known):
            raise InputError(
                f"there is a token named {name}",
                hint=f"`windlass token revoke {name}` makes room for a new one",
            )
        token = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        now = self._now()
        expires = None if expires_s is None else now + expires_s
        self._write([*known, Token(name, role, _digest(token), now, expires)])
        return token

    def revoke(self, name: str) -> None:
        """Takes a token back. Raises NotFound, StoreError."""
        known = self.all()
        left = [one for one in known if one.name != name]
        if len(left) == len(known):
            raise NotFound(f"there is no token named {name}", hint="`windlass token list` names them")
        self._write(left)

    def authenticate(self, token: str) -> Caller | None:
        """Who comes with this token; None where it is not known or its time is over."""
        digest = _digest(token)
        for one in self.all():
            if secrets.compare_digest(one.digest, digest) and not one.expired(self._now()):
                return Caller(f"token {one.name}", one.role)
        return None

    def _read(self) -> list[Token]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
            return [
                Token(
                    str(one["name"]),
                    Role(one["role"]),
                    str(one["digest"]),
                    float(one["created"]),
                    None if one["expires"] is None else float(one["expires"]),
                )
                for one in found["tokens"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{self._path} cannot be read: {error}",
                hint="no token is accepted before it can; remove it and make new tokens",
            ) from None

    def _write(self, tokens: list[Token]) -> None:
        private_folder(self._path.parent)
        document = {"tokens": [asdict(one) for one in tokens]}
        write_atomically(self._path, json.dumps(document).encode())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
