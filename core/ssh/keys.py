"""User keys: identity files, certificates and the agent, in the order in which they are tried.

Purpose: a file is read once for a pool, however many servers use it; nothing prompts for a passphrase. What
was tried, and what could not be (a missing file, a passphrase, an agent that is gone), is kept for the
words of a refusal.

Order: configured identity files, then the agent's other keys (unless `IdentitiesOnly`); without configured
ones the agent's keys, then the usual files. A file that needs a passphrase is used through the agent.
"""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from asyncssh.agent import SSHAgentClient, SSHAgentKeyPair
from asyncssh.public_key import SSHCertificate, SSHKey, SSHKeyPair

from core.ssh.options import Resolved

MAX_KEY_FILE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class IdentityFile:
    """One identity file as it was read. `public` is the key's public data, None where it is not known."""

    path: Path
    key: SSHKey | None
    certificate: SSHCertificate | None
    public: bytes | None
    trouble: str


@dataclass(slots=True)
class Tried:
    """What one connection attempt used: `keys` offered, `skipped` with why, and trouble with the agent."""

    keys: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    locked: list[Path] = field(default_factory=list)
    agent: str = ""
    agent_keys: int = 0


class KeyRing:
    """The user keys of one pool."""

    def __init__(self) -> None:
        self._files: dict[Path, IdentityFile] = {}
        self._certificates: dict[Path, SSHCertificate | str] = {}

    async def candidates(self, resolved: Resolved, tried: Tried) -> AsyncIterator[list[SSHKeyPair]]:
        """Key pairs to offer one after the other, noted in `tried` as they are handed out."""
        agent = SSHAgentClient(resolved.agent) if resolved.agent else None
        try:
            files = [self._read(path) for path in resolved.identity_files]
            certificates = self._certificates_of(resolved, tried)
            if resolved.chosen_keys:
                async for pairs in self._of_files(files, certificates, agent, tried, explicit=True):
                    yield pairs
                if not resolved.identities_only:
                    async for pairs in self._of_agent(agent, files, tried):
                        yield pairs
            else:
                if not resolved.identities_only:
                    async for pairs in self._of_agent(agent, [], tried):
                        yield pairs
                async for pairs in self._of_files(files, certificates, agent, tried, explicit=False):
                    yield pairs
        finally:
            if agent is not None:
                agent.close()

    # ------------------------------------------------------------ sources

    async def _of_files(
        self,
        files: list[IdentityFile],
        certificates: dict[bytes, SSHCertificate],
        agent: SSHAgentClient | None,
        tried: Tried,
        *,
        explicit: bool,
    ) -> AsyncIterator[list[SSHKeyPair]]:
        for file in files:
            if file.key is not None:
                certificate = file.certificate or certificates.get(file.key.public_data)
                tried.keys.append(f"{file.path} ({_algorithm(file.key)})")
                yield list(asyncssh.load_keypairs([(file.key, certificate)] if certificate else [file.key]))
                continue
            held = await self._held(agent, file, tried) if file.public is not None else None
            if held is not None:
                tried.keys.append(f"{file.path} (by the agent)")
                yield [held]
            elif explicit or file.path.exists():
                tried.skipped.append(f"{file.path}: {file.trouble}")
                if file.trouble == _LOCKED:
                    tried.locked.append(file.path)

    async def _of_agent(
        self, agent: SSHAgentClient | None, files: list[IdentityFile], tried: Tried
    ) -> AsyncIterator[list[SSHKeyPair]]:
        known = {file.public for file in files if file.public is not None}
        for pair in await self._agent_keys(agent, tried):
            if pair.public_data not in known:
                tried.keys.append(f"agent: {_comment(pair)}")
                yield [pair]

    async def _held(
        self, agent: SSHAgentClient | None, file: IdentityFile, tried: Tried
    ) -> SSHKeyPair | None:
        for pair in await self._agent_keys(agent, tried):
            if pair.public_data == file.public:
                return pair
        return None

    async def _agent_keys(self, agent: SSHAgentClient | None, tried: Tried) -> list[SSHKeyPair]:
        if agent is None or tried.agent:
            return []
        try:
            pairs = [_Tracked(pair, agent, tried) for pair in await agent.get_keys()]
        except (OSError, ValueError) as error:
            tried.agent = f"the agent does not answer: {error}"
            return []
        tried.agent_keys = len(pairs)
        return list(pairs)

    # ------------------------------------------------------------ files, each read once

    def _read(self, path: Path) -> IdentityFile:
        known = self._files.get(path)
        if known is None:
            known = self._files[path] = read_identity(path)
        return known

    def _certificates_of(self, resolved: Resolved, tried: Tried) -> dict[bytes, SSHCertificate]:
        found = {}
        for path in resolved.certificate_files:
            certificate = self._certificates.get(path)
            if certificate is None:
                try:
                    certificate = asyncssh.read_certificate(path)
                except (OSError, ValueError) as error:
                    certificate = _words(error)
                self._certificates[path] = certificate
            if isinstance(certificate, str):
                tried.skipped.append(f"{path}: {certificate}")
            else:
                found[certificate.key.public_data] = certificate
        return found


_LOCKED = "needs a passphrase"


def read_identity(path: Path) -> IdentityFile:
    """Reads a private key without asking for a passphrase, and the certificate and public key beside it."""
    public = _public(Path(f"{path}.pub")) or _public(path)
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_KEY_FILE_BYTES:
            return IdentityFile(path, None, None, public, "is no key file")
        data = path.read_bytes()
    except OSError as error:
        return IdentityFile(path, None, None, public, _words(error))
    try:
        key = asyncssh.import_private_key(data)
    except ValueError as error:
        locked = "passphrase" in str(error).lower() or isinstance(error, asyncssh.KeyEncryptionError)
        if public is None and locked:
            public = _public_of_locked(data)
        return IdentityFile(path, None, None, public, _LOCKED if locked else _words(error))
    if stat.S_IMODE(info.st_mode) & 0o077:
        return IdentityFile(path, None, None, public, f"others can read it: chmod 600 {path}")
    certificate = None
    try:
        certificate = asyncssh.read_certificate(f"{path}-cert.pub")
    except (OSError, ValueError):
        certificate = None
    return IdentityFile(path, key, certificate, key.public_data, "")


def _public(path: Path) -> bytes | None:
    try:
        return asyncssh.read_public_key(path).public_data
    except (OSError, ValueError):
        return None


def _public_of_locked(data: bytes) -> bytes | None:
    """OpenSSH's own format keeps the public key in clear beside the encrypted private one."""
    try:
        return asyncssh.import_public_key(data).public_data
    except ValueError:
        return None


def _words(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "does not exist"
    return (error.strerror if isinstance(error, OSError) else str(error)) or type(error).__name__


def _algorithm(key: SSHKey) -> str:
    return key.algorithm.decode("ascii", "replace")


def _comment(pair: SSHKeyPair) -> str:
    comment: str = pair.get_comment(errors="replace") or ""
    return comment or pair.algorithm.decode("ascii", "replace")


class _Tracked(SSHAgentKeyPair):
    """A key of the agent that notes when the agent would not sign."""

    def __init__(self, pair: SSHKeyPair, agent: SSHAgentClient, tried: Tried) -> None:
        super().__init__(agent, pair.algorithm, pair.public_data, pair.get_comment_bytes() or b"")
        self._tried = tried

    async def sign_async(self, data: bytes) -> bytes:
        """Signs, or notes why not and gives the next key its turn."""
        try:
            return await super().sign_async(data)
        except ValueError as error:
            self._tried.agent = f"the agent did not sign with {_comment(self)}: {error}"
            raise
