"""The real program on OpenSSH servers: a workspace whose servers come from the `static` provider."""

from __future__ import annotations

from collections.abc import Mapping
from getpass import getuser
from pathlib import Path

from core.batch.model import Strategy
from tests.support.program import Program
from tests.support.sshd import Sshd, one_line


def on_sshd(
    folder: Path, servers: Mapping[str, Sshd], *, pinned: bool = True, keepalive_s: int = 0
) -> Program:
    """A workspace with these servers; with `pinned` their host keys are vouched for.

    With `keepalive_s` they come from an ssh_config that asks so often and gives up after two silences.
    """
    program = Program(folder, tuple(servers))
    (folder / "servers" / "local.yaml").unlink()
    if keepalive_s:
        _by_ssh_config(folder, servers, keepalive_s)
        return program
    entries = [
        f"  {name}: {{address: 127.0.0.1, port: {sshd.port}, user: {getuser()}, identity_file: {sshd.user_key}"
        + (f", host_key: {one_line(sshd.host_keys[0])!r}" if pinned else "")
        + "}\n"
        for name, sshd in servers.items()
    ]
    (folder / "servers" / "static.yaml").write_text(f"provider: static\nservers:\n{''.join(entries)}")
    return program


def _by_ssh_config(folder: Path, servers: Mapping[str, Sshd], keepalive_s: int) -> None:
    known = [f"[127.0.0.1]:{sshd.port} {one_line(sshd.host_keys[0])}\n" for sshd in servers.values()]
    (folder / "known").write_text("".join(known))
    blocks = [
        f"Host {name}\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {getuser()}\n"
        f"  IdentityFile {sshd.user_key}\n"
        for name, sshd in servers.items()
    ]
    (folder / "config").write_text(
        f"{''.join(blocks)}Host *\n  UserKnownHostsFile {folder}/known\n"
        f"  ServerAliveInterval {keepalive_s}\n  ServerAliveCountMax 2\n"
    )
    hosts = ", ".join(servers)
    (folder / "servers" / "static.yaml").write_text(
        f"provider: static\nssh_config: {{file: {folder}/config, hosts: [{hosts}]}}\n"
    )


def reconnect(seconds: int) -> str:
    """The setting that bounds how long a lost server is waited for, where batches know it; with its comma."""
    aliases = {field.alias for field in Strategy.model_fields.values()}
    return f"reconnect: {seconds}s, " if "reconnect" in aliases else ""
