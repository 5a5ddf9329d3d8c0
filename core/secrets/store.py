"""The secrets of a workspace: one armoured age file for each, which the `age` program opens as well.

    secrets/recipients        who can open them, one public key a line
    secrets/NAME.age          one secret; NAME may have folders: db/password

Invariants: folders are 0700 and files 0600; a file is the old one or the new one; no link below `secrets` is
followed, so nothing leads out of the workspace; a value is never part of a message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyrage

from core.errors import InputError
from core.files import private_folder, write_atomically
from core.model.names import refuse_secret_name
from core.secrets import recipients
from core.secrets.identity import Identities, find_identities
from core.secrets.regular import read_regular

FOLDER = "secrets"
SUFFIX = ".age"
MIN_BYTES = 8
"""A shorter secret would be found by chance in ordinary output, and take that away with it."""
MAX_BYTES = 64 * 1024
"""Longer values do not fit into an environment variable everywhere."""
MAX_FILE_BYTES = 1024 * 1024
_STANZA = re.compile(rb"^-> (?:X25519|ssh-ed25519|ssh-rsa|scrypt|piv-p256|mlkem768x25519) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """What may be shown of a secret. `recipients` is None where its file cannot be read as one of age's.

    `changed` is in seconds since 1970.
    """

    name: str
    recipients: int | None
    changed: float


@dataclass(frozen=True, slots=True)
class Rotated:
    """What a rotation did: the names encrypted anew, and for the others why not."""

    done: tuple[str, ...]
    left: dict[str, str]


class SecretStore:
    """The secrets of the workspace at `workspace`."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self.folder = workspace / FOLDER

    # ------------------------------------------------------------ who

    def recipient_lines(self) -> list[str]:
        """The recipients as they are written. Raises InputError."""
        return [line for _, line in recipients.lines_of(self._recipients_text())]

    def add_recipients(self, lines: Sequence[str]) -> list[str]:
        """Names more recipients; returns those that were not named yet. Raises InputError for a bad one."""
        for line in lines:
            try:
                recipients.parse_recipient(line.strip())
            except ValueError as error:
                raise InputError(f"{line.strip()[:80]!r} cannot be a recipient: {error}") from None
        text = self._recipients_text(missing_ok=True) or recipients.HEAD
        known = {recipients.key_of(line) for _, line in recipients.lines_of(text)}
        new: list[str] = []
        for line in lines:
            if recipients.key_of(line.strip()) not in known:
                known.add(recipients.key_of(line.strip()))
                new.append(line.strip())
        if new:
            text += "" if text.endswith("\n") else "\n"
            self._write(self.folder / recipients.FILE, (text + "\n".join(new) + "\n").encode())
        return new

    def remove_recipient(self, line: str) -> None:
        """Takes a recipient out; what is encrypted already stays open to it until `rotate`. Raises InputError."""
        text = self._recipients_text()
        named = recipients.lines_of(text)
        gone = {
            number for number, known in named if recipients.key_of(known) == recipients.key_of(line.strip())
        }
        if not gone:
            raise InputError(
                f"{line.strip()[:80]!r} is no recipient", hint="`windlass secrets recipients` lists them"
            )
        if len(gone) == len(named):
            raise InputError("it is the last recipient: nobody could open the secrets any more")
        kept = [known for number, known in enumerate(text.splitlines(), 1) if number not in gone]
        self._write(self.folder / recipients.FILE, ("\n".join(kept) + "\n").encode())

    # ------------------------------------------------------------ values

    def check_name(self, name: str) -> None:
        """Raises InputError for a name that no secret can have."""
        self._path(name)

    def exists(self, name: str) -> bool:
        """Whether there is something under the name. Raises InputError for a bad one."""
        path = self._path(name)
        self._check_folders(path.parent)
        return os.path.lexists(path)

    def file_digest(self, name: str) -> str:
        """The SHA-256 of a secret's file as it lies there, encrypted; "" where there is none. Raises InputError."""
        try:
            return hashlib.sha256(self._read(self._path(name), MAX_FILE_BYTES)).hexdigest()
        except FileNotFoundError:
            return ""

    def put(self, name: str, value: bytes, *, force: bool = False) -> None:
        """Stores a secret for the present recipients.

        Raises InputError for a bad name, an empty or long value, without recipients, and, unless `force`, for a
        short value or one with a NUL.
        """
        path = self._path(name)
        if not value:
            raise InputError("a secret cannot be empty")
        if len(value) > MAX_BYTES:
            raise InputError(f"a secret has at most {MAX_BYTES} bytes; this one has {len(value)}")
        if len(value.strip()) < MIN_BYTES and not force:
            raise InputError(
                f"a secret has at least {MIN_BYTES} bytes: a shorter one would be taken out of ordinary output too",
                hint="take a longer one, or store it all the same with --force",
            )
        if b"\0" in value and not force:
            raise InputError(
                "the value contains a NUL, which no environment can hold: no run could use it",
                hint="encode it (base64), or store it all the same with --force",
            )
        self._write(path, self._sealed(value))

    def get(self, name: str) -> bytes:
        """The value. Raises InputError where there is none, or where none of the user's identities opens it."""
        path = self._path(name)
        try:
            sealed = self._read(path, MAX_FILE_BYTES)
        except FileNotFoundError:
            raise InputError(
                f"there is no secret {name!r} in this workspace",
                hint=f"`windlass secrets set {name}` stores it, `windlass secrets list` shows what there is",
            ) from None
        identities = self._identities
        try:
            return bytes(pyrage.decrypt(sealed, list(identities.keys)))
        except pyrage.DecryptError as error:
            tried = ", ".join(str(path) for path in identities.files)
            refused = "".join(f"; {why}" for why in identities.refused)
            raise InputError(
                f"the secret {name!r} cannot be opened: {error} (tried: {tried}{refused})",
                hint="somebody who can open it adds you with `windlass secrets recipients add`, then runs "
                "`windlass secrets rotate`",
            ) from None

    def names(self) -> list[str]:
        """The names of all secrets, sorted. Files that cannot be secrets are passed over. Raises InputError."""
        self._check_folders(self.folder)
        try:
            return sorted(self._walk(self.folder, ""))
        except OSError as error:
            raise InputError(f"{self.folder} cannot be read: {error.strerror or error}") from error

    def infos(self) -> list[SecretInfo]:
        """What may be shown of each secret."""
        return [self._info(name) for name in self.names()]

    def rotate(self) -> Rotated:
        """Encrypts every secret anew, for the present recipients. Raises InputError without recipients."""
        self._recipients()
        done: list[str] = []
        left: dict[str, str] = {}
        for name in self.names():
            try:
                self._write(self._path(name), self._sealed(self.get(name)))
                done.append(name)
            except InputError as error:
                left[name] = error.message
        return Rotated(tuple(done), left)

    # ------------------------------------------------------------ files

    @cached_property
    def _identities(self) -> Identities:
        return find_identities()

    def _sealed(self, value: bytes) -> bytes:
        return bytes(pyrage.encrypt(value, list(self._recipients()), armored=True))

    def _recipients(self) -> Sequence[recipients.Recipient]:
        return recipients.parse_recipients(self._recipients_text(), f"{FOLDER}/{recipients.FILE}")

    def _recipients_text(self, *, missing_ok: bool = False) -> str:
        path = self.folder / recipients.FILE
        try:
            return self._read(path, recipients.MAX_BYTES).decode()
        except FileNotFoundError:
            if missing_ok:
                return ""
            raise InputError(
                f"nobody is named in {path} who could open the secrets",
                hint="`windlass secrets init` names you",
            ) from None
        except UnicodeDecodeError:
            raise InputError(f"{path} is not UTF-8") from None

    def _path(self, name: str) -> Path:
        if why := refuse_secret_name(name):
            raise InputError(why)
        return self.folder / f"{name}{SUFFIX}"

    def _steps(self, folder: Path) -> list[Path]:
        """The folders from `secrets` down to `folder`."""
        inside = folder.relative_to(self._workspace)
        return [self._workspace / step for step in (*reversed(inside.parents[:-1]), inside)]

    def _check_folders(self, folder: Path) -> None:
        """Raises InputError where a folder between the workspace and a file is a link, or no folder."""
        for step in self._steps(folder):
            try:
                status = step.lstat()
            except FileNotFoundError:
                return
            except OSError as error:
                raise InputError(f"{step} cannot be read: {error.strerror or error}") from error
            if stat.S_ISLNK(status.st_mode):
                raise InputError(f"{step} is a symbolic link; secrets lie in real folders only")
            if not stat.S_ISDIR(status.st_mode):
                raise InputError(f"{step} is no folder")

    def _read(self, path: Path, most: int) -> bytes:
        """A file's content. Raises FileNotFoundError, and InputError as `read_regular` does."""
        self._check_folders(path.parent)
        return read_regular(path, most)[0]

    def _write(self, path: Path, content: bytes) -> None:
        try:
            self._check_folders(path.parent)
            for step in self._steps(path.parent):
                private_folder(step)
            if path.is_dir() and not path.is_symlink():
                raise InputError(f"{path} is a folder")
            write_atomically(path, content)
        except OSError as error:
            raise InputError(f"{path} cannot be written: {error.strerror or error}") from error

    def _walk(self, folder: Path, prefix: str) -> Iterator[str]:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if not refuse_secret_name(f"{name}/x"):
                    yield from self._walk(folder / entry.name, f"{name}/")
                continue
            plain = name.removesuffix(SUFFIX)
            if entry.is_file(follow_symlinks=False) and plain != name and not refuse_secret_name(plain):
                yield plain

    def _info(self, name: str) -> SecretInfo:
        path = self._path(name)
        try:
            count = _count_recipients(self._read(path, MAX_FILE_BYTES))
            return SecretInfo(name, count, path.lstat().st_mtime)
        except (InputError, OSError):
            return SecretInfo(name, None, 0.0)


def _count_recipients(sealed: bytes) -> int | None:
    """How many can open a file of age's, by its header; None where it is none."""
    raw = sealed
    if sealed.lstrip().startswith(b"-----BEGIN AGE"):
        try:
            raw = base64.b64decode(b"".join(sealed.strip().splitlines()[1:-1]), validate=True)
        except (binascii.Error, ValueError):
            return None
    header = raw.partition(b"\n--- ")[0]
    return len(_STANZA.findall(header)) if raw.startswith(b"age-encryption.org/v1\n") else None
