"""Where the value behind a reference comes from.

    db/password         a secret of the workspace, opened with the user's identity
    env:NAME            a variable of our own environment
    file:PATH           a file in the workspace, or one of those allowed; without one newline at its end
    command:WORDS       what a command prints, run without a shell in the workspace, only where it is trusted

A reference may come from a batch that somebody else wrote: what it may reach is up to `Sources`, never to it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from core.errors import InputError
from core.secrets.reference import command_words, parts_of, refuse_reference
from core.secrets.regular import read_regular
from core.secrets.store import MAX_BYTES, SecretStore
from core.workspace.folder import Workspace
from core.workspace.trust import is_trusted

COMMAND_TIMEOUT_S = 30.0


class Sources:
    """Reads references for one workspace.

    `allowed` are files and folders outside the workspace that `file:` may read; `trusted` lets `command:` run;
    `variables` are what `env:` reads instead of this process's environment.
    `readable` are variables that every template may read, and that are stored in clear: no secrets.
    """

    def __init__(
        self,
        workspace: Path,
        *,
        allowed: Sequence[Path] = (),
        trusted: bool = False,
        readable: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._variables = variables
        self._workspace = workspace
        self._allowed = tuple(allowed)
        self._trusted = trusted
        self._readable = frozenset(readable)

    @classmethod
    def of(cls, workspace: Workspace, variables: Mapping[str, str] | None = None) -> Sources:
        """What the references of a workspace may reach, as it and its user say. Raises InputError."""
        return cls(
            workspace.path,
            allowed=workspace.allow_paths,
            trusted=is_trusted(workspace),
            readable=workspace.allow_env,
            variables=variables,
        )

    def check(self, reference: str, *, trust: bool = True) -> None:
        """What can be told without reading a value; without `trust` also for a command that may not run. Raises
        InputError."""
        if why := refuse_reference(reference):
            raise InputError(why)
        kind, rest = parts_of(reference)
        if not kind and not self._store.exists(reference):
            raise InputError(
                f"there is no secret {reference!r} in this workspace",
                hint=f"`windlass secrets set {reference}` stores it",
            )
        if kind == "env" and rest in self._readable:
            raise InputError(
                f"the variable {rest} is no secret here: every template may read it, and it is stored with runs",
                hint="take it out of `allow_env` of workspace.yaml",
            )
        if kind == "file":
            self._file(rest)
        if kind == "command" and trust and not self._trusted:
            raise InputError(
                "a secret from a command is read in a trusted workspace only, and this one is not",
                hint="`windlass workspace trust` after a look at it, or store the value instead: "
                "`windlass secrets set NAME`",
            )

    def read(self, reference: str) -> bytes:
        """The value. Blocks; raises InputError, which never quotes it."""
        self.check(reference)
        kind, rest = parts_of(reference)
        if not kind:
            value = self._store.get(reference)
        elif kind == "env":
            value = _variable(rest, self._variables)
        elif kind == "file":
            value = _without_newline(self._content(rest))
        else:
            value = _without_newline(self._printed(rest))
        if not value:
            raise InputError(f"the secret {reference!r} is empty")
        if b"\0" in value:
            raise InputError(f"the secret {reference!r} contains a NUL, which no environment can hold")
        if len(value) > MAX_BYTES:
            raise InputError(f"the secret {reference!r} has more than {MAX_BYTES} bytes")
        return value

    def file_digest(self, reference: str) -> str:
        """The digest of the encrypted file of a secret of the workspace; "" for any other. Raises InputError."""
        return self._store.file_digest(reference) if not parts_of(reference)[0] else ""

    @cached_property
    def _store(self) -> SecretStore:
        return SecretStore(self._workspace)

    def _file(self, path: str) -> Path:
        """The real file. Raises InputError where it lies outside of what is allowed."""
        try:
            real = (self._workspace / path).resolve()
            roots = [root.resolve() for root in (self._workspace, *self._allowed)]
        except (OSError, RuntimeError) as error:
            raise InputError(f"{path} cannot be read: {error}") from None
        if not any(real.is_relative_to(root) for root in roots):
            raise InputError(
                f"{path} leads out of the workspace: a secret's file lies in it",
                hint="name its folder in `allow_paths` of workspace.yaml, or store the value instead: "
                "`windlass secrets set NAME`",
            )
        if not real.exists():
            raise InputError(f"{path} is no file in the workspace ({self._workspace})")
        return real

    def _content(self, path: str) -> bytes:
        try:
            return read_regular(self._file(path), MAX_BYTES + 2)[0]
        except FileNotFoundError:
            raise InputError(f"{path} is no file in the workspace ({self._workspace})") from None

    def _printed(self, text: str) -> bytes:
        """What a command prints. Its errors are not shown: they may hold the value."""
        words = command_words(text)
        try:
            process = subprocess.Popen(
                words,
                cwd=self._workspace,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            told = getattr(error, "strerror", None) or error
            raise InputError(f"the command {words[0]!r} of a secret cannot be run: {told}") from None
        try:
            value, _ = process.communicate(timeout=COMMAND_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise InputError(
                f"the command {words[0]!r} of a secret took more than {COMMAND_TIMEOUT_S:g} s"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if process.returncode != 0:
            raise InputError(
                f"the command {words[0]!r} of a secret ended with status {process.returncode}",
                hint="run it by hand in the workspace to see why",
            )
        return value


def _variable(name: str, variables: Mapping[str, str] | None) -> bytes:
    if variables is None:
        value = os.environb.get(name.encode())
    else:
        value = variables[name].encode("utf-8", "surrogateescape") if name in variables else None
    if value is None:
        raise InputError(
            f"the environment variable {name}, from which a secret is read, is not set",
            hint=f"export {name}=…",
        )
    return value


def _without_newline(value: bytes) -> bytes:
    return value.removesuffix(b"\n").removesuffix(b"\r") if value.endswith(b"\n") else value
