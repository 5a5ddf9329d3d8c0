"""Variables of the environment, moved into the configuration: worked out whole first, then written.

Nothing here writes but `apply`. What a secret is never appears in a move or in a message: it goes into the
workspace's secrets, and the configuration gets the reference to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from core.config import paths
from core.config.compare import same
from core.config.edit import Edited, set_value
from core.config.files import Change, change_file
from core.config.resolve import Resolver
from core.config.sources import read_text, text_layer
from core.config.tree import Entry, Layer
from core.config.variables import Wanted, as_value, looks_secret
from core.errors import InputError, NotPossible
from core.model.names import refuse_secret_name
from core.secrets.store import MAX_BYTES, MIN_BYTES, SecretStore
from core.workspace.folder import Workspace

ABSENT = object()


class Status(Enum):
    """What becomes of a variable."""

    MOVE = "move"
    EQUAL = "equal"
    CONFLICT = "conflict"  # another value is there, which stays
    REFUSED = "refused"  # it cannot be moved; nothing at all is written then
    UNSET = "unset"  # a mapping file names it, and it is not set


@dataclass(frozen=True, slots=True)
class Move:
    """One variable. `secret` is the name of the secret that it becomes; `value` and `before` are None then."""

    variable: str
    path: paths.Path
    status: Status
    value: Any = None
    before: Any = None
    secret: str = ""
    why: str = ""


@dataclass(slots=True)
class Migration:
    """What is to be done to one file: its text before and after, and the secrets that are to be stored."""

    file: str
    before: str
    after: str
    moves: list[Move] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict, repr=False)

    def count(self, status: Status) -> int:
        """How many variables come out so."""
        return sum(move.status is status for move in self.moves)


def plan(
    workspace: Workspace,
    file: str,
    wanted: Sequence[Wanted],
    environ: Mapping[str, str],
    resolver: Resolver,
    store: SecretStore,
    *,
    environment: str,
    force: bool,
) -> Migration:
    """Works out what becomes of each variable.

    `resolver` has the values that the workspace's files come to. With `force` a value that is there is replaced. The
    secrets of an environment have its name before their path, since another one has others.
    Raises InputError where the file cannot be read.
    """
    text = read_text(workspace.path / file, file) or ""
    planner = _Planner(
        Migration(file, text, text), environ, resolver, store, environment=environment, force=force
    )
    for one in wanted:
        planner.migration.moves.append(planner.move(one))
    return planner.migration


def apply(
    workspace: Workspace, migration: Migration, store: SecretStore, *, actor: str, keep: int
) -> Change | None:
    """Stores the secrets, then writes the file: one edit. Raises InputError, NotPossible."""
    if migration.count(Status.REFUSED):
        raise NotPossible("some variables cannot be moved; nothing was written")
    for name, value in migration.secrets.items():
        store.put(name, value)

    def put(now: str) -> Edited:
        if now != migration.before:
            raise NotPossible(
                f"{migration.file} has changed meanwhile; it was not written", hint="run it again"
            )
        return Edited(now, migration.after)

    _, change = change_file(
        workspace, migration.file, put, actor=actor, action="migrate", path=".", keep=keep
    )
    return change


class _Planner:
    def __init__(
        self,
        migration: Migration,
        environ: Mapping[str, str],
        resolver: Resolver,
        store: SecretStore,
        *,
        environment: str,
        force: bool,
    ) -> None:
        self.migration = migration
        self._environ = environ
        self._resolver = resolver
        self._store = store
        self._folder = (environment,) if environment else ()
        self._force = force
        self._layer = text_layer(migration.before, migration.file, Layer.WORKSPACE)
        self._taken: dict[paths.Path, str] = {}

    def move(self, wanted: Wanted) -> Move:
        """What becomes of one variable; the migration's text and secrets follow."""
        name, path = wanted.variable, wanted.path
        text = self._environ.get(name)
        if wanted.why:
            return Move(name, path, Status.REFUSED, why=wanted.why)
        if text is None:
            return Move(name, path, Status.UNSET)
        other = self._taken.setdefault(path, name)
        if other != name:
            return Move(name, path, Status.REFUSED, why=f"{other} goes to {paths.show(path)} as well")
        secret = looks_secret(name, text) if wanted.secret is None else wanted.secret
        try:
            return self._secret(name, path, text) if secret else self._plain(name, path, text)
        except InputError as error:
            told = error.faults[0].message if error.faults and not error.hint else error.message
            return Move(name, path, Status.REFUSED, why=f"{told} ({error.hint})" if error.hint else told)

    def _plain(self, name: str, path: paths.Path, text: str) -> Move:
        now = self._now(path)
        value = as_value(text, None if now is ABSENT else now)
        before = None if now is ABSENT else now
        if now is not ABSENT and same(now, value):
            return Move(name, path, Status.EQUAL, value, before)
        if self._in_file(path) and not self._force:
            return Move(name, path, Status.CONFLICT, value, before, why=f"{self.migration.file} has another")
        self._set(path, value)
        return Move(name, path, Status.MOVE, value, before)

    def _secret(self, name: str, path: paths.Path, text: str) -> Move:
        secret = "/".join(map(str, (*self._folder, *path)))
        if why := refuse_secret_name(secret):
            raise InputError(why)
        raw = text.encode("utf-8", "surrogateescape")
        if len(raw.strip()) < MIN_BYTES or len(raw) > MAX_BYTES:
            raise InputError(
                f"a secret has {MIN_BYTES} to {MAX_BYTES} bytes",
                hint="a mapping file says {path, secret: false} of what is none",
            )
        reference = f"{{{{ secret('{secret}') }}}}"
        entry = self._entry(path)
        if entry is not None and entry.kind != "scalar":
            raise InputError("the configuration has keys or entries below this path")
        refers = entry is not None and entry.value == reference
        stored = self._compare(secret, raw)
        if refers and stored == "":
            return Move(name, path, Status.EQUAL, secret=secret)
        conflict = "" if stored is None else stored
        if not conflict and not refers and self._in_file(path):
            conflict = f"{self.migration.file} has another value"
        if conflict and not self._force:
            return Move(name, path, Status.CONFLICT, secret=secret, why=conflict)
        self._store.recipient_lines()  # there must be somebody who can open it
        self._set(path, reference)
        if stored != "":
            self.migration.secrets[secret] = raw
        return Move(name, path, Status.MOVE, secret=secret)

    def _compare(self, secret: str, raw: bytes) -> str | None:
        """None where there is no such secret, "" where it has this value, else why it is in the way."""
        if not self._store.exists(secret):
            return None
        try:
            return "" if self._store.get(secret) == raw else f"the secret {secret} has another value"
        except InputError:
            return f"the secret {secret} is there and cannot be opened to compare"

    # ---------------------------------------------------------------- what is there

    def _entry(self, path: paths.Path) -> Entry | None:
        return self._resolver.config.find(path)

    def _now(self, path: paths.Path) -> Any:
        """The value that the files come to; as it is written where that cannot be worked out."""
        entry = self._entry(path)
        if entry is None:
            return ABSENT
        try:
            return self._resolver.value(path)
        except InputError:
            return entry.data()

    def _in_file(self, path: paths.Path) -> bool:
        """Whether the file that is written has a value there."""
        entry = self._layer
        for part in path:
            entry = entry.child(part) if entry is not None else None
        return entry is not None

    def _set(self, path: paths.Path, value: Any) -> None:
        edited = set_value(self.migration.after, self.migration.file, path, value)
        self.migration.after = edited.after
