"""The identities of the person at the keyboard: what opens the secrets of a workspace.

An identity is an age key in a file of the user's own (0600, in the directory of the platform for settings), or an
SSH key. `WINDLASS_IDENTITY` names another file of either kind. A file that others may read, or that belongs to
somebody else, is refused. Nothing here is ever written into a workspace.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import platformdirs
import pyrage

from core.errors import InputError
from core.files import write_atomically
from core.secrets.regular import read_regular

VARIABLE = "WINDLASS_IDENTITY"
FILE = "identity.txt"
SSH_KEYS = ("id_ed25519", "id_rsa")
MAX_BYTES = 64 * 1024

Identity: TypeAlias = Any
"""An identity of pyrage's, which has no types: `x25519.Identity` or `ssh.Identity`."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Keys that may open a secret. `files` are those read; `refused` tells why others were left out."""

    keys: tuple[Identity, ...]
    files: tuple[Path, ...]
    refused: tuple[str, ...] = ()


def identity_file() -> Path:
    """Where the user's own age identity lies, or would."""
    return Path(platformdirs.user_config_dir("windlass")) / FILE


def make_identity(path: Path) -> str:
    """Makes an age identity where there is none yet (0600) and returns its recipient, or that of the present one.

    Raises InputError.
    """
    if path.exists() or path.is_symlink():
        return recipient_of(path)
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # one that is there is not ours to tighten
        write_atomically(path, f"# public key: {public}\n{identity}\n".encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    return public


def recipient_of(path: Path) -> str:
    """The recipient of an identity file. Raises InputError where it holds none or more than one, or an SSH key."""
    found = read_identities(path)
    if len(found) == 1 and isinstance(found[0], pyrage.x25519.Identity):
        return str(found[0].to_public())
    raise InputError(
        f"the recipient of {path} cannot be told from it",
        hint="name it: `windlass secrets recipients add RECIPIENT` (for an SSH key the line of its .pub file)",
    )


def find_identities() -> Identities:
    """The identities to try: those of WINDLASS_IDENTITY alone, else the user's own file and SSH keys.

    Raises InputError where there is none, or where a file that was meant to be used cannot be.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        return Identities(tuple(read_identities(path)), (path,))
    keys: list[Identity] = []
    files: list[Path] = []
    refused: list[str] = []
    own = identity_file()
    if own.exists() or own.is_symlink():
        keys += read_identities(own)
        files.append(own)
    for name in SSH_KEYS:
        path = Path.home() / ".ssh" / name
        if path.exists():
            try:
                keys += read_identities(path)
                files.append(path)
            except InputError as error:
                refused.append(error.message)
    if not keys:
        raise InputError(
            f"you have no identity that could open a secret; looked at {own} and "
            f"{', '.join(f'~/.ssh/{name}' for name in SSH_KEYS)}" + "".join(f"; {why}" for why in refused),
            hint=f"`windlass secrets init` makes one, or {VARIABLE}=FILE names one",
        )
    return Identities(tuple(keys), tuple(files), tuple(refused))


def read_identities(path: Path) -> Sequence[Identity]:
    """The keys of one file: age identities, one a line, or one SSH private key.

    Raises InputError for a file that is loose, somebody else's, too large, or holds no key.
    """
    raw = _private_bytes(path)
    if raw.lstrip().startswith(b"-----BEGIN"):
        try:
            return (pyrage.ssh.Identity.from_buffer(raw),)
        except pyrage.IdentityError as error:
            raise InputError(
                f"{path} is no SSH key that can open secrets: {error}",
                hint="an Ed25519 or RSA key without a passphrase can",
            ) from None
    found: list[Identity] = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            found.append(pyrage.x25519.Identity.from_str(text))
        except pyrage.IdentityError:
            # The line itself is never quoted: it may be most of a key.
            raise InputError(
                f"{path}: line {number} is no age identity (AGE-SECRET-KEY-1…)",
                hint=f"`windlass secrets init` makes an identity, or {VARIABLE}=FILE names one",
            ) from None
    if not found:
        raise InputError(
            f"{path} holds no identity", hint="take it away, and `windlass secrets init` makes one"
        )
    return found


def _private_bytes(path: Path) -> bytes:
    try:
        raw, status = read_regular(path, MAX_BYTES, follow=True)
    except FileNotFoundError:
        raise InputError(f"there is no identity {path}", hint="`windlass secrets init` makes one") from None
    if status.st_uid != os.geteuid():
        raise InputError(f"the identity {path} belongs to another user (uid {status.st_uid})")
    if status.st_mode & 0o077:
        raise InputError(
            f"the identity {path} may be read by others (mode {stat.S_IMODE(status.st_mode):04o})",
            hint=f"if nobody has read it: chmod 600 {path}",
        )
    return raw
