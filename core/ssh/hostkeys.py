"""Whether a host key is the one we know: pinned, in the workspace's known_hosts, or in the user's.

Order of trust: keys that the provider vouches for stand alone; else the first of the workspace's
known_hosts, the user's and the system's that knows the name decides. A key that any of them revokes is
refused. An unknown key is refused with the command that trusts it; a changed key is always refused, with
both fingerprints and the place of the stored one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh
from asyncssh.public_key import SSHKey

from core.engine.executor import Unreachable
from core.errors import InputError, NotPossible
from core.files import private_folder, write_atomically
from core.ssh.knownhosts import (
    AUTHORITY,
    REVOKED,
    Entry,
    load_known_hosts,
    parse_known_hosts,
    read_public_key,
)
from core.ssh.options import Resolved, resolve
from providers.base import Server


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key we know and where it stands: "file:line", or who vouches for it."""

    key: SSHKey
    place: str

    @property
    def fingerprint(self) -> str:
        """ "SHA256:…"."""
        return fingerprint(self.key)


@dataclass(frozen=True, slots=True)
class Trust:
    """What is known of one server's host key. `pinned` keys are the provider's word and cannot be added to."""

    known_as: str
    keys: tuple[KnownKey, ...] = ()
    authorities: tuple[KnownKey, ...] = ()
    revoked: tuple[KnownKey, ...] = ()
    pinned: bool = False
    by_port: bool = True

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The algorithms of the known keys, so that these are asked for first."""
        return tuple(dict.fromkeys(known.key.algorithm.decode("ascii") for known in self.keys))


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A host key as a server showed it, not trusted yet. `key` is OpenSSH's one-line form."""

    server: str
    address: str
    port: int
    known_as: str
    key: str
    fingerprint: str


def fingerprint(key: SSHKey) -> str:
    """The key's SHA256 fingerprint as OpenSSH prints it."""
    return key.get_fingerprint("sha256")


def one_line(key: SSHKey) -> str:
    """The key in OpenSSH's one-line form, without a comment."""
    return " ".join(key.export_public_key("openssh").decode("ascii").split()[:2])


def trust_of(resolved: Resolved, workspace_file: Path | None) -> Trust:
    """What is known of the server's host key, from the first source that knows it."""
    if resolved.target.host_keys:
        return Trust(resolved.known_as, keys=_pinned(resolved), pinned=True)
    own = () if workspace_file is None else (workspace_file,)
    files = (*own, *resolved.known_hosts_files, *resolved.global_known_hosts_files)
    names = [(resolved.known_as, True)]
    plain = resolved.address.lower()
    if resolved.known_as.startswith("[") and resolved.known_as != plain:
        names.append((plain, False))
    revoked: list[KnownKey] = []
    decisive: Trust | None = None
    for name, by_port in names:
        for file in files:
            known = load_known_hosts(file)
            if decisive is not None and not known.revokes:
                continue  # hashed names cost a digest for each line
            entries = known.of(name)
            revoked += _keys(entry for entry in entries if entry.marker == REVOKED)
            keys = _keys(entry for entry in entries if not entry.marker)
            authorities = _keys(entry for entry in entries if entry.marker == AUTHORITY)
            if decisive is None and (keys or authorities):
                decisive = Trust(resolved.known_as, tuple(keys), tuple(authorities), by_port=by_port)
    found = decisive or Trust(resolved.known_as)
    return Trust(found.known_as, found.keys, found.authorities, tuple(revoked), by_port=found.by_port)


def _pinned(resolved: Resolved) -> tuple[KnownKey, ...]:
    keys = []
    for line in resolved.target.host_keys:
        try:
            keys.append(KnownKey(read_public_key(line), "pinned by its provider"))
        except ValueError as error:
            raise Unreachable(
                f"{resolved.name}: its provider pins a host key that cannot be read: {error}",
                hint="the server's definition has to be put right",
            ) from None
    return tuple(keys)


def _keys(entries: Iterable[Entry]) -> list[KnownKey]:
    found = []
    for entry in entries:
        key = entry.public_key()
        if key is not None:
            found.append(KnownKey(key, entry.place))
    return found


def refusal(resolved: Resolved, trust: Trust, shown: SSHKey, *, jump: bool = False) -> Unreachable:
    """Why the key that a server showed is refused, for a person."""
    what = f"the host key of {resolved.name} ({resolved.address}, port {resolved.port})"
    new = f"{shown.algorithm.decode('ascii', 'replace')} {fingerprint(shown)}"
    for known in trust.revoked:
        if known.key == shown:
            return Unreachable(
                f"{what} is revoked: {new} ({known.place})",
                hint="somebody else may have this key: give the server a new one before anything else",
            )
    if trust.keys and trust.by_port:
        stored = "; ".join(
            f"{known.key.algorithm.decode('ascii', 'replace')} {known.fingerprint} ({known.place})"
            for known in trust.keys
        )
        return Unreachable(
            f"{what} has changed: it shows {new}, known is {stored}",
            hint=_changed_hint(resolved, trust, shown, jump=jump),
        )
    why = f"{what} is not known: {new}"
    if trust.authorities:
        why += f"; it shows no certificate of the authority at {trust.authorities[0].place}"
    elif trust.keys:
        why += f"; for {resolved.address} without the port another is known ({trust.keys[0].place})"
    return Unreachable(why, hint=_trust_hint(resolved, shown, jump=jump))


def _trust_hint(resolved: Resolved, shown: SSHKey, *, jump: bool) -> str:
    if jump:
        command = f"ssh -p {resolved.port} {resolved.user}@{resolved.address}"
        return f"if it is the jump host's own, accept it once with: {command}"
    return f"if it is the server's own: {trust_command(resolved.name, fingerprint(shown))}"


def _changed_hint(resolved: Resolved, trust: Trust, shown: SSHKey, *, jump: bool) -> str:
    first = "somebody may be in between: find out why it changed before anything else"
    if trust.pinned:
        return f"{first}; the key is pinned by the server's provider and only it can change that"
    places = ", ".join(known.place for known in trust.keys)
    then = _trust_hint(resolved, shown, jump=jump)
    return f"{first}. If the server has a new key for a good reason, remove {places}; then, {then}"


def trust_command(name: str, print_of_key: str) -> str:
    """The command that trusts a key."""
    return f"windlass servers trust {shlex.quote(name)} --fingerprint {print_of_key}"


# ---------------------------------------------------------------- trusting


def trust(path: Path, server: Server, key: str, *, replace_stored: bool = False) -> list[str]:
    """Stores a server's host key (OpenSSH's one-line form) in the workspace's known_hosts, atomically, 0600.

    Returns the lines that were taken out. Raises NotPossible where the server's keys are pinned by its
    provider, the key is revoked, or another one is stored and `replace_stored` is False; InputError where
    it cannot be read.
    """
    try:
        wanted = asyncssh.import_public_key(key)
    except ValueError as error:
        raise InputError(f"this is no host key: {error}") from None
    shown = fingerprint(wanted)
    resolved = resolve(server)
    if resolved.target.host_keys:
        raise NotPossible(f"the host keys of {server.name} are pinned by its provider {server.provider}")
    name = resolved.known_as
    if any(known.key == wanted for known in trust_of(resolved, path).revoked):
        raise NotPossible(f"the host key {shown} of {server.name} is revoked")
    lines = path.read_text("utf-8", "surrogateescape").splitlines() if path.exists() else []
    text = "\n".join(lines)
    entries = [entry for entry in parse_known_hosts(text, str(path)).of(name) if not entry.marker]
    others = [entry for entry in entries if (entry.public_key() or wanted) != wanted]
    if others and not replace_stored:
        places = "; ".join(f"{_print_of(entry)} ({entry.place})" for entry in others)
        raise NotPossible(
            f"another host key of {server.name} is stored: {places}; it shows {shown} now",
            hint=f"find out why it changed; then remove {', '.join(entry.place for entry in others)} first",
        )
    removed = _without(lines, others, name)
    if len(others) == len(entries):
        lines.append(f"{name} {one_line(wanted)}")
    private_folder(path.parent)
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    return removed


def _print_of(entry: Entry) -> str:
    key = entry.public_key()
    return fingerprint(key) if key is not None else entry.key


def _without(lines: list[str], entries: Sequence[Entry], name: str) -> list[str]:
    """Takes `name` out of the lines of `entries`; lines that held other names too keep these."""
    removed = []
    for entry in sorted(entries, key=lambda entry: entry.line, reverse=True):
        line = lines[entry.line - 1]
        removed.append(line)
        names = [other for other in entry.names.split(",") if other != name]
        if names and not entry.names.startswith("|") and not any(char in entry.names for char in "*?!"):
            lines[entry.line - 1] = f"{','.join(names)} {entry.key}"
        else:
            del lines[entry.line - 1]
    return removed[::-1]
