"""The command line of OpenSSH's `ssh` for a person's own session on a server.

It connects as Windlass does: same address, port, user, keys and host keys. Pinned host keys are written to
a private file that goes away with the context.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import InputError, NotTrusted
from core.files import write_atomically
from core.ssh.options import Resolved, resolve
from core.ssh.programs import named_by_others
from providers.base import Server


@contextlib.contextmanager
def interactive_argv(
    server: Server,
    known_hosts: Path | None,
    command: Sequence[str] = (),
    *,
    ssh: str = "ssh",
    foreign_programs: bool = True,
) -> Iterator[list[str]]:
    """The argument list of `ssh` for the server; `known_hosts` is the workspace's own file.

    Valid inside the context only. Raises InputError where OpenSSH is not installed or ssh_config is bad, NotTrusted
    where it would follow a file that is not the user's own and `foreign_programs` is false: ssh runs more of what such
    a file names (`Match exec`, `LocalCommand`) than Windlass does.
    """
    program = shutil.which(ssh)
    if program is None:
        raise InputError("OpenSSH's client `ssh` is not installed", hint="install openssh-client")
    if not foreign_programs and named_by_others(server.ssh):
        raise NotTrusted(
            f"{server.name}: ssh would run programs that {server.ssh.ssh_config} names, and the workspace that names "
            "this file is not trusted",
            hint="look at what it names, then: `windlass workspace trust`",
        )
    resolved = resolve(server)
    if resolved.faults:
        raise InputError(f"{server.name}: ssh_config cannot be followed", faults=resolved.faults)
    with contextlib.ExitStack() as stack:
        if resolved.target.host_keys:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windlass-")))
            file = folder / "known_hosts"
            name = _pinned_name(resolved)
            lines = "".join(f"{name} {key}\n" for key in resolved.target.host_keys)
            write_atomically(file, lines.encode())
            files: tuple[Path, ...] = (file,)
        else:
            own = () if known_hosts is None else (known_hosts,)
            files = (*own, *resolved.known_hosts_files)
        yield [program, *_options(resolved, files), "--", resolved.lookup, *command]


def _pinned_name(resolved: Resolved) -> str:
    return f"windlass-{resolved.name}".lower()


def _options(resolved: Resolved, known_hosts: Sequence[Path]) -> list[str]:
    target = resolved.target
    words = []
    if not target.use_ssh_config or target.ssh_config == Path():
        words += ["-F", "none"]
    elif target.ssh_config is not None:
        words += ["-F", str(target.ssh_config)]
    words += ["-p", str(resolved.port), "-l", resolved.user]
    for path in target.identity_files:
        words += ["-i", str(path.expanduser())]
    options = {
        "UserKnownHostsFile": " ".join(_quoted(path) for path in known_hosts) or "none",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
    }
    if target.identity_files:
        options["IdentitiesOnly"] = "yes"
    if target.host_keys:
        options["HostKeyAlias"] = _pinned_name(resolved)
        options["GlobalKnownHostsFile"] = "none"
    if resolved.address != resolved.lookup:
        options["HostName"] = resolved.address
    for name, value in options.items():
        words += ["-o", f"{name}={value}"]
    return words


def _quoted(path: Path) -> str:
    """A path as a word of ssh_config, where `%` begins a token."""
    text = str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
