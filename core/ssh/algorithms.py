"""Which algorithms are offered, in which order.

The cheap and sound ones come first: curve25519-sha256 and aes128-gcm@openssh.com; the rest of asyncssh's
defaults follows, without key exchange and signatures by SHA-1, as in OpenSSH. `Ciphers`,
`KexAlgorithms`, `MACs` and `HostKeyAlgorithms` of ssh_config are honoured in all their forms (a list,
`+`, `-`, `^`); names that asyncssh does not know are skipped.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from asyncssh.encryption import get_default_encryption_algs, get_encryption_algs
from asyncssh.kex import get_default_kex_algs, get_kex_algs
from asyncssh.mac import get_default_mac_algs, get_mac_algs
from asyncssh.public_key import get_certificate_algs, get_public_key_algs

from core.ssh.patterns import matches_list

FIRST_KEX = ("curve25519-sha256", "curve25519-sha256@libssh.org")
FIRST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com")
HOST_KEYS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-ed448",
)
"""Host key algorithms that are offered by default, the one asked for first in front."""

_RSA = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")


def _names(algorithms: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(name.decode("ascii") for name in algorithms)


@functools.cache
def default_kex() -> tuple[str, ...]:
    """Key exchanges in the order of preference."""
    others = (name for name in _names(get_default_kex_algs()) if not name.startswith("gss-"))
    modern = (name for name in others if not name.endswith("-sha1"))
    return tuple(dict.fromkeys((*FIRST_KEX, *modern)))


@functools.cache
def default_ciphers() -> tuple[str, ...]:
    """Ciphers in the order of preference."""
    return tuple(dict.fromkeys((*FIRST_CIPHERS, *_names(get_default_encryption_algs()))))


@functools.lru_cache(maxsize=64)
def choose_kex(configured: str | None) -> tuple[str, ...]:
    """Key exchanges by ssh_config. Raises ValueError where none that it names is known."""
    return _choose("KexAlgorithms", configured, default_kex(), _names(get_kex_algs()))


@functools.lru_cache(maxsize=64)
def choose_ciphers(configured: str | None) -> tuple[str, ...]:
    """Ciphers by ssh_config. Raises ValueError where none that it names is known."""
    return _choose("Ciphers", configured, default_ciphers(), _names(get_encryption_algs()))


@functools.lru_cache(maxsize=64)
def choose_macs(configured: str | None) -> tuple[str, ...]:
    """Message authentication codes by ssh_config. Raises ValueError where none is known."""
    return _choose("MACs", configured, _names(get_default_mac_algs()), _names(get_mac_algs()))


@functools.lru_cache(maxsize=64)
def choose_host_keys(configured: str | None) -> tuple[str, ...]:
    """Plain host key algorithms by ssh_config; certificates are added where an authority is known."""
    plain = _names(get_public_key_algs())
    if configured is not None and configured[:1] not in ("+", "-", "^"):
        wanted = [name for name in configured.split(",") if "-cert-" not in name]
        configured = ",".join(wanted) or None
    return _choose("HostKeyAlgorithms", configured, HOST_KEYS, plain)


def order_host_keys(allowed: Sequence[str], known: Sequence[str], *, authority: bool) -> list[str]:
    """`allowed` with the algorithms of known keys first, so that a server with several keys shows one of these.

    `known` are algorithms of public keys ("ssh-rsa"); `authority` adds the certificate forms in front.
    """
    wanted = [name for key in known for name in (_RSA if key == "ssh-rsa" else (key,))]
    ordered = list(dict.fromkeys((*(name for name in wanted if name in allowed), *allowed)))
    if not authority:
        return ordered
    possible = _names(get_certificate_algs())
    certificates = [f"{name}-cert-v01@openssh.com" for name in allowed]
    return [name for name in certificates if name in possible] + ordered


def _choose(
    option: str, configured: str | None, default: tuple[str, ...], possible: tuple[str, ...]
) -> tuple[str, ...]:
    default = tuple(name for name in default if name in possible)
    if configured is None:
        return default
    how = configured[:1] if configured[:1] in ("+", "-", "^") else ""
    patterns = configured.removeprefix(how).split(",")
    matched = [name for pattern in patterns for name in possible if matches_list(name, pattern)]
    if how == "-":
        chosen = [name for name in default if name not in matched]
    elif how == "+":
        chosen = [*default, *matched]
    elif how == "^":
        chosen = [*matched, *default]
    else:
        chosen = matched
    if not chosen:
        raise ValueError(f"{option} {configured}: none of these is supported here")
    return tuple(dict.fromkeys(chosen))
